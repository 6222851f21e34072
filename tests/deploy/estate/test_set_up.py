"""Waiting for a cluster's set-up while the control plane goes away and comes back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest

from havn.clients.estate import EstateClient
from havn.contracts.estate import ClusterInfo
from havn.kit.problem import Problem

BEGUN = ClusterInfo(
    org="ttd", environment="tt02", server="https://api.example.no:6443", namespace="default", ingress="",
    status="bootstrapping", reason=None, apps=0, added=datetime(2026, 11, 21, tzinfo=UTC), added_by="kari", dns=[],
)  # fmt: skip
READY = msgspec.structs.replace(BEGUN, status="ready")


@pytest.fixture
def client(answering) -> Callable[..., EstateClient]:
    return lambda *answers: EstateClient(answering(*answers), "token")


async def test_a_control_plane_that_is_killed_meanwhile_is_asked_again(client):
    assert await client(BEGUN, 503, 502, BEGUN, READY).set_up(BEGUN, within=60, pause=0) == READY


async def test_one_that_stays_away_or_refuses_is_told(client):
    with pytest.raises(Problem) as problem:
        await client(503).set_up(BEGUN, within=60, patience=0, pause=0)
    assert problem.value.status == 503
    with pytest.raises(Problem) as problem:
        await client(403, READY).set_up(BEGUN, within=60, pause=0)
    assert problem.value.status == 403


async def test_one_that_takes_too_long_is_as_it_is(client):
    assert (await client(BEGUN).set_up(BEGUN, within=0, pause=0)).status == "bootstrapping"
