"""Management away, counters away or forgotten, clocks that jump: nothing is let through unless a plan says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from havn.contracts.metering import Stamp
from havn.guard.metering.following import Following
from havn.kit.problem import Problem
from havn.platform.management.metering.rates import MemoryRates, StoreAwayError
from havn.platform.management.store import subscriptions


class Unsteady:
    """A counter store that can be told to be away, or to forget."""

    def __init__(self, micros):
        self._micros = micros
        self._inner = MemoryRates(micros)
        self.away = False

    def forget(self):
        self._inner = MemoryRates(self._micros)

    async def settle(self, requests):
        if self.away:
            raise StoreAwayError("test")
        return await self._inner.settle(requests)

    async def close(self):
        pass


@pytest.fixture
async def unsteady(make_rig, time):
    rates = Unsteady(time.micros)
    return rates, await make_rig(rates)


@pytest.mark.parametrize(("store_away", "status"), [("open", 200), ("closed", 503)])
async def test_without_the_counter_store_the_plan_decides(unsteady, rate, store_away, status):
    rates, rig = unsteady
    key = await rig.managed_key(rates=(rate(5),), store_away=store_away)
    replica = await rig.replica()
    assert (await replica.get(key=key)).status_code == 200
    rates.away = True
    answer = await replica.get(key=key)
    assert answer.status_code == status
    if status == 503:
        assert answer.headers["retry-after"] == "2"
        assert answer.json()["type"].endswith("#temporary-reduced-capacity")
        assert answer.json()["violated-policies"] == ["steady"]
    rates.away = False
    rig.time.forward(1.1)
    assert (await replica.get(key=key)).headers["ratelimit"] == '"steady";r=3;t=12'


async def test_a_counter_store_that_has_forgotten_gives_one_burst_and_no_more(unsteady, rate):
    rates, rig = unsteady
    key = await rig.managed_key(rates=(rate(5, 3600),))
    replica = await rig.replica()
    assert (await replica.burst(9, key)).count(200) == 5
    rates.forget()
    rig.time.forward(2)
    assert (await replica.burst(9, key)).count(200) == 5


@pytest.mark.parametrize(("store_away", "status"), [("open", 200), ("closed", 503)])
async def test_without_management_the_plan_decides_for_known_keys_and_others_are_refused(rig, rate, store_away, status):
    plan = await rig.plan(await rig.api(), rates=(rate(3),), store_away=store_away)
    key, never_seen = [await rig.key(await rig.subscription(plan)) for _ in range(2)]
    replica = await rig.replica()
    assert (await replica.get(key=key)).status_code == 200
    rig.away = True
    # At first the key is still believed; what is left of the limit cannot be asked about.
    assert (await replica.get(key=key)).status_code == status
    rig.time.forward(60)
    assert (await replica.get(key=key)).status_code == status
    answer = await replica.get(key=never_seen)
    assert (answer.status_code, answer.json()["code"]) == (503, "management_unavailable")
    assert answer.headers["retry-after"] == "2"
    # Not for ever, since nothing is heard of keys that are withdrawn.
    rig.time.forward(3600)
    assert (await replica.get(key=key)).status_code == 503
    # And an Api that nobody has a key to stays closed.
    assert (await replica.get()).status_code == 401


async def test_after_an_outage_everything_is_as_it_was_decided_meanwhile(rig, rate):
    subscription = await rig.subscription(await rig.plan(await rig.api(), rates=(rate(3),)))
    key = await rig.key(subscription)
    replica = await rig.replica()
    await replica.get(key=key)
    rig.away = True
    rig.time.forward(10)
    assert (await replica.get(key=key)).status_code == 200
    await subscriptions.change(rig.database, subscription.id, "revoked", "abuse", None)
    rig.away = False
    rig.time.forward(2)
    await rig.hear(replica)
    assert (await replica.get(key=key)).json()["code"] == "subscription_revoked"


async def test_a_portion_at_hand_is_spent_while_management_is_away(rig, quota):
    key = await rig.managed_key(quotas=(quota(1000),), store_away="closed")
    replica = await rig.replica()
    await replica.burst(20, key)
    rig.time.forward(0.3)
    await replica.meter.portions.settle()
    await replica.burst(2, key)
    held = sum(each.units for each in replica.meter.portions._active)
    assert held > 2
    rig.away = True
    statuses = await replica.burst(held + 2, key)
    assert statuses == [200] * held + [503] * 2


async def test_what_was_used_meanwhile_is_counted_when_management_is_back(rig, quota):
    key = await rig.managed_key(quotas=(quota(1000),))
    replica = await rig.replica()
    await replica.burst(3, key)
    rig.away = True
    rig.time.forward(1)
    await replica.meter.portions.settle()
    rig.away = False
    rig.time.forward(1)
    await replica.meter.portions.settle()
    assert await rig.database.fetchval("select used from quota_use") == 3
    assert await rig.database.fetchval("select allowed from use_by_day") == 3


async def test_a_wall_clock_set_back_over_midnight_does_not_open_a_quota_again(rig, quota):
    rig.time.now = datetime(2026, 11, 21, 22, 59, 57, tzinfo=UTC)
    key = await rig.managed_key(quotas=(quota(3),))
    replica = await rig.replica()
    assert (await replica.burst(5, key)).count(200) == 3
    rig.time.forward(4)
    assert (await replica.burst(5, key)).count(200) == 3
    rig.time.now -= timedelta(seconds=6)
    rig.time.seconds += 2
    assert (await replica.burst(2, key)).count(200) == 0


class Scripted:
    """Management as one app sees it, saying what the test wants."""

    def __init__(self):
        self.managed_answers = []
        self.stamps: asyncio.Queue[int | Problem] = asyncio.Queue()
        self.asked = asyncio.Semaphore(0)

    async def managed(self):
        self.asked.release()
        answer = self.managed_answers[0] if len(self.managed_answers) == 1 else self.managed_answers.pop(0)
        if isinstance(answer, Problem):
            raise answer
        return answer

    async def changes(self) -> AsyncIterator[Stamp]:
        while True:
            said = await self.stamps.get()
            if isinstance(said, Problem):
                raise said
            yield Stamp(version=said)


async def test_until_it_is_known_what_is_managed_consumers_wait_and_browsers_do_not(rig):
    key = await rig.managed_key()
    replica = await rig.replica(hear=False)
    assert (await replica.get(x_test_browser="yes")).status_code == 200
    assert (await replica.get("/permit/health")).status_code == 200
    asking = asyncio.create_task(replica.get(key=key))
    await replica.meter.following.read()
    assert (await asking).status_code == 200


async def test_where_there_is_no_api_management_nothing_is_managed():
    source = Scripted()
    source.managed_answers = [None]
    following = Following(source)
    async with following.running():
        assert (await following.known()).empty


async def test_a_management_api_whose_route_is_lost_opens_nothing(rig):
    await rig.plan(await rig.api())
    replica = await rig.replica()
    following = replica.meter.following
    following._source = Scripted()
    following._source.managed_answers = [None]
    await following.read()
    assert (await replica.get()).status_code == 401


async def test_what_is_managed_is_read_until_it_could_be_and_kept_when_it_cannot_be():
    source, away = Scripted(), Problem(503)
    source.managed_answers = [away, None]
    following = Following(source)
    async with following.running():
        table = await following.known()
        source.managed_answers = [away]
        source.stamps.put_nowait(7)
        for _ in range(3):
            await source.asked.acquire()
        assert following.table is table


async def test_a_change_is_vouched_for_by_the_streams_last_line_for_a_second(time):
    following = Following(Scripted(), monotonic=time.monotonic)
    assert not following.fresh()
    following.hear(3)
    assert following.fresh()
    before = following.generation
    following.hear(3)
    assert following.generation == before
    following.hear(4)
    assert following.generation == before + 1
    time.forward(1)
    assert not following.fresh()
