"""What whoever follows a deployment is told when the control plane goes away, or when they stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from havn.cli.following import aftermath, away, followed
from havn.cli.output import Failure
from havn.contracts.deploy import AppInfo, Deployment, DeploymentEvent, DeploymentProgress
from havn.kit.problem import Problem

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEGUN = Deployment(
    id=7, environment="tt02", org="ttd", app="first", revision=3, kind="deploy", release="sha256:" + "a" * 64,
    replicas=1, status="running", reason=None, requested_by="kari", requested=NOW, finished=None,
)  # fmt: skip


class Plane:
    """A control plane that tells one step, and then does what it is made with."""

    def __init__(self, then: Callable[[], Any]) -> None:
        self._then = then

    async def app(self, environment: str, org: str, app: str) -> AppInfo:
        found: AppInfo | int = self._then()
        if isinstance(found, int):
            raise Problem(found)
        return found

    async def follow(self, deployment: Deployment, *, away: Callable[[float], None]) -> AsyncGenerator[Any, None]:
        step = DeploymentEvent(number=1, at=NOW, message="Its policy is published.")
        yield DeploymentProgress(deployment=deployment, events=[step])
        away(57)
        await self._then()


async def gone() -> None:
    raise Problem(503, "The control plane cannot be reached just now.")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HAVN_CONSOLE", raising=False)


async def test_one_that_stays_away_is_told_with_what_becomes_of_the_work(capsys):
    steps: list[str] = []
    with pytest.raises(Failure) as failure:
        await followed(Plane(gone), BEGUN, steps.append)
    assert steps == ["Its policy is published."]
    assert "does not answer. It is asked again until " in capsys.readouterr().err
    assert "Revision 3 of ttd/first goes on by itself" in str(failure.value)
    assert "`havn up`" in str(failure.value)
    assert "`havn status ttd/first --env tt02`" in str(failure.value)


async def test_a_control_plane_elsewhere_is_nothing_that_the_reader_can_start(capsys, monkeypatch):
    monkeypatch.setenv("HAVN_CONSOLE", "https://console.example.no")
    away(57)
    assert "havn up" not in capsys.readouterr().err


async def test_who_stops_watching_learns_that_the_work_goes_on(capsys):
    watched = asyncio.Event()

    async def forever() -> None:
        watched.set()
        await asyncio.Event().wait()

    following = asyncio.create_task(followed(Plane(forever), BEGUN, None))
    await watched.wait()
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    told = capsys.readouterr().err
    assert "revision 3 of ttd/first goes on: `havn status ttd/first --env tt02`" in told


async def test_what_is_no_outage_is_passed_on():
    async def refused() -> None:
        raise Problem(403, "You lack the role deploy for ttd.")

    with pytest.raises(Problem):
        await followed(Plane(refused), BEGUN, None)


def info(*, ready: int, replicas: int = 1) -> AppInfo:
    return AppInfo(
        environment="tt02", org="ttd", app="first", revision=2, release="sha256:" + "b" * 64, replicas=replicas,
        address="https://ttd.apps.tt02.example.no/first", ready=ready, actual=[],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (info(ready=1), ", and what ran before runs on"),
        (info(ready=0, replicas=0), ", and what ran before runs on"),
        (info(ready=0), ", and what ran before is not ready either"),
        (404, ", and nothing of it runs in tt02"),
        (503, ""),
    ],
)
async def test_a_failure_is_told_with_what_runs_now_and_not_with_what_should(found, told):
    assert await aftermath(Plane(lambda: found), BEGUN) == told
