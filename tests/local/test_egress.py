"""The API proxy under `havn up`: a supervised process that follows published rules and is given its secrets."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from havn.engines.egress_policy import EgressPolicy
from havn.engines.egress_policy.model import Rule
from havn.kit.http import HttpClient
from havn.local import environment
from havn.local.egress import FolderRules, LocalEgress, policies
from havn.local.secrets import SecretStore
from havn.local.state import State


@pytest.fixture
def state(tmp_path: Path) -> State:
    made = State(tmp_path / "state")
    made.prepare()
    return made


@pytest.fixture
async def running(state: State) -> AsyncIterator[tuple[environment.Addresses, list[str]]]:
    lines: list[str] = []
    addresses = environment.Addresses(1, 2, 3, environment.free_port())
    source = str(Path(__file__).resolve().parents[2] / "src")
    store = SecretStore(state.secrets)
    await FolderRules(state, store).put_secrets("ttd", "skjema", {"early": "one"})
    egress = LocalEgress(
        state, addresses, store, environ={"PATH": os.environ["PATH"], "PYTHONPATH": source}, output=lines.append
    )
    egress.begin()
    try:
        await egress.supervisor.ready(attempts=1)
        yield addresses, lines
    finally:
        await egress.stop()


async def test_it_runs_and_lets_nobody_out_without_a_token(running: tuple[environment.Addresses, list[str]]) -> None:
    http = HttpClient(running[0].egress_url, name="egress")
    try:
        answer = await http.request("GET", "/folk/people")
    finally:
        await http.close()
    assert (answer.status_code, answer.json()["code"]) == (407, "identity_missing")


async def test_secrets_are_handed_over_at_the_start_and_while_it_runs(
    state: State, running: tuple[environment.Addresses, list[str]]
) -> None:
    rules = FolderRules(state, SecretStore(state.secrets))
    await rules.put_secrets("ttd", "skjema", {"early": "one", "late": "two"})
    folder = state.run / "egress-secrets/ttd"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"skjema.early": "one", "skjema.late": "two"}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    await rules.put_secrets("ttd", "skjema", {"late": "three"})
    await rules.put_secrets("ttd", "other", {})
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"skjema.late": "three"}
    assert SecretStore(state.secrets).under("egress/") == {"egress/ttd/skjema/late": "three"}


async def test_rules_are_written_whole_and_taken_away(state: State) -> None:
    rules = FolderRules(state, SecretStore(state.secrets))
    policy = EgressPolicy(mode="enforce", allow=(Rule(host="data.example.no"),))
    await rules.put("ttd", "skjema", policy)
    file = policies(state) / "ttd/skjema.json"
    assert msgspec.json.decode(file.read_bytes(), type=EgressPolicy) == policy
    await rules.put("ttd", "skjema", None)
    await rules.put("ttd", "skjema", None)
    assert not file.exists()
