"""From one environment to the next: the identical bytes, and somebody else's approval where it is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from havn.contracts.deploy import Deployment, DeployRequest
from havn.contracts.promotion import Approval, PromoteRequest
from havn.deploy.access import Operator
from havn.deploy.promotion.store import LIVES, Approvals
from havn.deploy.store import Target, Wanted
from havn.kit.problem import Problem

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RELEASE = f"sha256:{'a' * 64}"


def promote(app: str = "first", **more) -> PromoteRequest:
    return PromoteRequest(**{"org": "ttd", "app": app, "source": "tt02", "target": "production", **more})


async def test_a_release_is_promoted_as_it_runs_once_somebody_else_has_approved(story):
    kari, ola, per = (story.client(name) for name in ("kari", "ola", "per"))
    with pytest.raises(Problem, match=r"ttd/first is not deployed in tt02: `havn ps` lists what is"):
        await kari.promote(promote())
    release = await story.rig.release(1)
    await story.deploy(release)
    asked = await kari.promote(promote())
    assert isinstance(asked, Approval)
    assert (asked.release, asked.promoted_from, asked.status) == (release, "tt02", "waiting")
    assert await kari.apps(environment="production") == []

    # Who asked, and who only deploys or looks, may not approve.
    for client, code in ((kari, "role_needed"), (per, "role_needed")):
        with pytest.raises(Problem) as caught:
            await client.approve(asked.id, None)
        assert (caught.value.status, caught.value.code) == (403, code)
    with pytest.raises(Problem) as caught:
        await ola.promote(promote())
    assert caught.value.status == 403
    assert [each.id for each in await per.approvals(status="waiting")] == [asked.id]

    begun = await ola.approve(asked.id, "Read and tried.")
    ended = (await story.end(begun)).deployment
    assert (ended.status, ended.release, ended.promoted_from, ended.requested_by) == (
        "succeeded", release, "tt02", "kari",
    )  # fmt: skip
    [info] = await kari.apps(environment="production")
    assert (info.release, info.ready) == (release, 1)
    done = await kari.approval(asked.id)
    assert (done.status, done.decided_by, done.comment, done.deployment) == (
        "approved", "ola", "Read and tried.", begun.id,
    )  # fmt: skip
    with pytest.raises(Problem, match="was approved by ola already"):
        await ola.reject(asked.id, None)
    said = [(each.action, each.who, each.environment) for each in await per.audit(org="ttd", limit=10)]
    assert said[:4] == [
        ("approve", "ola", "production"),
        ("deploy", "kari", "production"),
        ("ask", "kari", "production"),
        ("deploy", "kari", "tt02"),
    ]


async def test_a_deployment_straight_into_such_an_environment_waits_too_but_a_rollback_does_not(story):
    root, ola = story.client("root"), story.client("ola")
    first, second = await story.rig.release(1), await story.rig.release(2)
    for release in (first, second):
        asked = await root.deploy(
            DeployRequest(environment="production", org="ttd", app="first", release=release)
        )  # fmt: skip
        assert isinstance(asked, Approval)
        with pytest.raises(Problem) as caught:
            await root.approve(asked.id, None)
        assert caught.value.code == "own_request"
        assert (await story.end(await ola.approve(asked.id, None))).deployment.status == "succeeded"
    # A machine asks for the person who made its token.
    asked = await story.client("robot").deploy(
        DeployRequest(environment="production", org="ttd", app="first", release=first)
    )
    assert isinstance(asked, Approval)
    with pytest.raises(Problem, match="ola acts for the same person as robot") as caught:
        await ola.approve(asked.id, None)
    assert caught.value.code == "own_request"
    assert (await ola.reject(asked.id, "Taken back.")).status == "rejected"
    back = await root.rollback("production", "ttd", "first", None)
    assert isinstance(back, Deployment)
    assert (await story.end(back)).deployment.release == first


async def test_a_promotion_that_strands_instances_is_refused_before_anybody_is_asked(story):
    await story.deploy(await story.rig.release(1, app="promoted"), app="promoted")
    story.rig.instance("promoted")
    await story.deploy(
        await story.rig.release(2, app="promoted", words={"Task_1": "Task_A"}), app="promoted", strand=True
    )
    with pytest.raises(Problem) as caught:
        await story.client().promote(promote("promoted"))
    assert caught.value.code == "strands_instances"
    assert await story.client().approvals() == []


class Waiting:
    """Approvals in a fresh database."""

    def __init__(self, approvals: Approvals) -> None:
        self.approvals = approvals

    async def ask(self, who: str = "kari") -> Approval:
        wanted = Wanted(
            target=Target("production", "ttd", "first"), kind="deploy", release=RELEASE, replicas=2, who=who, address=""
        )
        return await self.approvals.ask(wanted, f"person:{who}", NOW)


@pytest.fixture
async def waiting(make_database):
    from havn.deploy.store import Store

    store = await Store.open(await make_database("deploy"))
    yield Waiting(Approvals(store.database))
    await store.close()


OLA = Operator("ola", "192.0.2.2", {}, "person:ola")
KARI = Operator("kari", "192.0.2.1", {}, "person:kari")


async def test_an_approval_that_nobody_gives_in_time_expires(waiting):
    asked = await waiting.ask()
    late = NOW + LIVES + timedelta(seconds=1)
    with pytest.raises(Problem, match="was expired already"):
        await waiting.approvals.approve(asked.id, OLA, None, late)
    assert [each.status for each in await waiting.approvals.listed(None, None, late)] == ["expired"]


async def test_a_later_wish_takes_the_place_of_an_earlier_one(waiting):
    first, second = await waiting.ask(), await waiting.ask()
    assert [each.id for each in await waiting.approvals.listed("waiting", "ttd", NOW)] == [second.id]
    with pytest.raises(Problem, match="expired"):
        await waiting.approvals.approve(first.id, OLA, None, NOW)


async def test_two_who_approve_at_once_begin_it_once(waiting):
    import asyncio

    asked = await waiting.ask()
    answers = await asyncio.gather(
        *(waiting.approvals.approve(asked.id, OLA, None, NOW) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(each, Deployment) for each in answers) == 1


async def test_who_asked_may_take_it_back(waiting):
    asked = await waiting.ask()
    # Somebody of the same name is somebody else.
    with pytest.raises(Problem) as caught:
        await waiting.approvals.reject(asked.id, msgspec.structs.replace(KARI, subject="person:other"), None, NOW)
    assert caught.value.status == 403
    taken = await waiting.approvals.reject(asked.id, KARI, "A mistake.", NOW)
    assert (taken.status, taken.decided_by, taken.comment) == ("rejected", "kari", "A mistake.")


async def test_what_is_not_there_cannot_be_approved(waiting):
    with pytest.raises(Problem) as caught:
        await waiting.approvals.approve(99, OLA, None, NOW)
    assert caught.value.status == 404
