"""Following a deployment while the control plane goes away and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx2
import msgspec
import pytest

from havn.clients.deploy import DeployClient
from havn.clients.outage import Outage
from havn.contracts.deploy import Deployment, DeploymentEvent, DeploymentProgress
from havn.kit.http import HttpClient
from havn.kit.problem import Problem

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEGUN = Deployment(
    id=7, environment="tt02", org="ttd", app="first", revision=1, kind="deploy", release="sha256:" + "a" * 64,
    replicas=1, status="running", reason=None, requested_by="kari", requested=NOW, finished=None,
)  # fmt: skip
ENDED = msgspec.structs.replace(BEGUN, status="succeeded", finished=NOW)


@pytest.fixture
def client(answering) -> Callable[..., DeployClient]:
    return lambda *answers: DeployClient(answering(*answers), "token")


def told(number: int, deployment: Deployment = BEGUN) -> DeploymentProgress:
    return DeploymentProgress(
        deployment=deployment, events=[DeploymentEvent(number=number, at=NOW, message=f"Step {number}.")]
    )


async def test_a_control_plane_that_is_away_for_a_moment_is_asked_again(client):
    following = client(told(1), 503, 502, 504, told(2, ENDED))
    heard = [event.message async for each in following.follow(BEGUN, pause=0) for event in each.events]
    assert heard == ["Step 1.", "Step 2."]


async def test_one_that_stays_away_is_told_in_the_end(client):
    with pytest.raises(Problem) as problem:
        async for _ in client(503).follow(BEGUN, patience=0, pause=0):
            pass
    assert problem.value.status == 503


async def test_what_is_no_outage_is_told_at_once(client):
    with pytest.raises(Problem) as problem:
        async for _ in client(404, told(1, ENDED)).follow(BEGUN, pause=0):
            pass
    assert problem.value.status == 404


async def test_a_control_plane_that_hangs_is_asked_again_and_told_in_the_end():
    asked = []

    async def plane(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        if len(asked) < 3:
            await asyncio.Event().wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": msgspec.json.encode(told(2, ENDED))})

    http = HttpClient("http://console.test", name="The control plane", transport=httpx2.ASGITransport(plane))
    following = DeployClient(http, "token").follow(BEGUN, pause=0, within=0.05)
    assert [event.message async for each in following for event in each.events] == ["Step 2."]
    asked.clear()
    with pytest.raises(Problem) as problem:
        async for _ in DeployClient(http, "token").follow(BEGUN, patience=0, pause=0, within=0.05):
            pass
    assert problem.value.status == 504


class Rounds:
    """How long the outage has lasted, in seconds, as of each time that somebody looks."""

    def __init__(self, *times: float) -> None:
        self._times = iter(times)

    def __call__(self) -> float:
        return next(self._times)


async def test_an_outage_that_lasts_is_told_once_with_the_time_that_is_left():
    left: list[float] = []
    outage = Outage(60, left.append, clock=Rounds(100, 101, 104, 105, 200, 201, 210))
    for _ in range(3):
        outage.bear(Problem(503))
    assert left == [56]
    outage.ended()
    for _ in range(2):
        outage.bear(Problem(503))
    assert left == [56, 50]
