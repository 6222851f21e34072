"""What the management API hands out and to whom, and that changes are told at once."""

from __future__ import annotations

import uuid

import pytest

from havn.contracts.metering import Ask, Passed, Settlement
from havn.kit.problem import Problem

HOLDER = uuid.uuid4().hex


@pytest.fixture
def settle(rig):
    async def settle(*asks, app="permit", passed=()):
        replica = await rig.replica(app=app)
        office = replica.meter.portions._office
        return (await office.settle(Settlement(holder=HOLDER, asks=asks, passed=passed))).leases

    return settle


async def test_an_app_leases_its_own_limits_and_nobody_elses(rig, rate, settle):
    subscription = await rig.subscription(await rig.plan(await rig.api(), rates=(rate(10),)))
    ask = Ask(subject=f"s:{subscription.id}", limit="rate:steady", need=2)
    # Both apps' keys are published before anybody calls.
    rig.tokens.signer("ttd", "other")
    [own], [others] = await settle(ask), await settle(ask, app="other")
    assert (own.granted, own.remaining, own.fault) == (2, 8, None)
    assert (others.granted, others.fault) == (0, "unknown")


@pytest.mark.parametrize(
    "subject",
    ["s:0190a000-0000-7000-8000-000000000009", "s:x", "a:ttd.permit.cases.v1", "a:no.such.api.v1/192.0.2.1", "o:x/1"],
)
async def test_limits_that_nobody_has_are_not_handed_out(rig, rate, settle, subject):
    await rig.plan(await rig.api(), rates=(rate(10),))
    [lease] = await settle(Ask(subject=subject, limit="rate:steady", need=2))
    assert lease.fault == "unknown"


async def test_a_limit_is_asked_for_once(rig, rate, settle):
    subscription = await rig.subscription(await rig.plan(await rig.api(), rates=(rate(10),)))
    ask = Ask(subject=f"s:{subscription.id}", limit="rate:steady", need=2)
    with pytest.raises(Problem) as refused:
        await settle(ask, ask)
    assert (refused.value.status, refused.value.code) == (400, "asked_twice")


async def test_nobody_writes_down_use_of_another_apps_subscription(rig, settle):
    subscription = await rig.subscription(await rig.plan(await rig.api()))
    await settle(app="other", passed=(Passed(subject=f"s:{subscription.id}", allowed=5),))
    assert await rig.database.fetchval("select count(*) from use_by_day") == 0


async def test_without_a_platform_token_nothing_is_told(rig):
    replica = await rig.replica()
    source = replica.meter.following._source
    source._signer = rig.tokens.signer("ttd", "permit", clock=lambda: rig.time.now.replace(year=2020))
    for asking in (source.managed(), source.key("x"), source.settle(Settlement(holder=HOLDER))):
        with pytest.raises(Problem) as refused:
            await asking
        assert refused.value.status == 401


async def test_a_change_is_told_to_whoever_follows_and_the_number_is_repeated(rig):
    async with rig.metering.hub.running():
        numbers = rig.metering.hub.subscribe()
        first = await anext(numbers)
        assert await anext(numbers) == first
        await rig.plan(await rig.api())
        heard = [await anext(numbers)]
        while heard[-1] == first:
            heard.append(await anext(numbers))
        assert heard[-1] > first
        await numbers.aclose()
