"""What every counter store promises: in memory, and in Valkey or Redis."""

from __future__ import annotations

import asyncio
import random
import uuid

import pytest

from havn.engines.limits import Bucket, Ledger, take
from havn.platform.management.metering.rates import MemoryRates, Request, StoreAwayError
from havn.platform.management.metering.valkey import ValkeyRates


@pytest.fixture(params=["memory", "server"])
async def rates(request, micros):
    if request.param == "memory":
        yield MemoryRates(micros)
        return
    store = ValkeyRates(request.getfixturevalue("counter_store").url, micros=micros, timeout=5)
    yield store
    await store.close()


@pytest.fixture
def key():
    return f"s:{uuid.uuid4()}|rate:test"


async def test_a_limit_is_reached_exactly_and_fills_again_with_time(rates, micros, key):
    bucket = Bucket.rate(10, 60)
    [taken] = await rates.settle([Request(key, bucket, "a", need=25)])
    assert (taken.granted, taken.remaining, taken.wait) == (10, 0, 6_000_000)
    # Spent: nothing is kept and nothing given back.
    micros.forward(13)
    [taken] = await rates.settle([Request(key, bucket, "a", need=25)])
    assert (taken.granted, taken.wait) == (2, 5_000_000)
    micros.forward(3600)
    [taken] = await rates.settle([Request(key, bucket, "a", need=25)])
    assert taken.granted == 10


async def test_what_is_given_back_is_there_for_the_others(rates, key):
    bucket = Bucket.rate(1000, 1)
    [first] = await rates.settle([Request(key, bucket, "a", need=1000)])
    [none] = await rates.settle([Request(key, bucket, "b", need=1)])
    await rates.settle([Request(key, bucket, "a", returned=700)])
    [rest] = await rates.settle([Request(key, bucket, "b", need=1000)])
    assert (first.granted, none.granted, rest.granted) == (1000, 0, 700)


async def test_slots_are_freed_when_their_holder_has_been_gone_for_long(rates, micros, key):
    bucket = Bucket.slots(3)
    [first] = await rates.settle([Request(key, bucket, "a", need=2)])
    [second] = await rates.settle([Request(key, bucket, "b", need=2)])
    micros.forward(4)
    [third] = await rates.settle([Request(key, bucket, "b", keeps=1, need=5)])
    assert (first.granted, second.granted, third.granted) == (2, 1, 2)


async def test_several_limits_are_settled_in_the_order_asked(rates, key):
    answers = await rates.settle(
        [Request(f"{key}{limit}", Bucket.rate(limit, 1), "a", need=50) for limit in range(1, 9)]
    )
    assert [taken.granted for taken in answers] == list(range(1, 9))


async def test_many_at_once_are_never_given_more_than_there_is(rates, key):
    bucket = Bucket.rate(100, 60)

    async def one(holder: int) -> int:
        [taken] = await rates.settle([Request(key, bucket, f"{holder}", need=7)])
        return taken.granted

    assert sum(await asyncio.gather(*(one(holder) for holder in range(40)))) == 100


async def test_the_store_and_the_engine_decide_alike(rates, micros, key):
    chance = random.Random(6)
    for bucket in (Bucket.rate(7, 60), Bucket.rate(999_983, 3599), Bucket.rate(5000, 1), Bucket.slots(20)):
        ledger, name = Ledger(), f"{key}{bucket.requests}"
        for _ in range(150):
            micros.forward(chance.choice([0, 0.000001, 0.01, 0.5, 3, 40, -20]))
            holder, most = chance.choice("abc"), max(3, bucket.capacity // 3)
            asked = {name: chance.randrange(most) for name in ("keeps", "returned", "need", "want")}
            asked["need"] //= 4
            ledger, expected = take(bucket, ledger, now=micros.now, holder=holder, valid=3_000_000, **asked)
            if not ledger.held and ledger.tat <= micros.now:
                # Full, so there is nothing to remember.
                ledger = Ledger()
            assert await rates.settle([Request(name, bucket, holder, **asked)]) == [expected]


async def test_the_servers_own_clock_is_used_when_no_other_is_given(counter_store, key):
    rates = ValkeyRates(counter_store.url, timeout=5)
    [first] = await rates.settle([Request(key, Bucket.rate(2, 3600), "a", need=5)])
    [second] = await rates.settle([Request(key, Bucket.rate(2, 3600), "a", need=5)])
    assert (first.granted, second.granted) == (2, 0)
    assert 0 < second.wait <= 1_800_000_000
    await rates.close()


async def test_a_store_that_is_away_says_so_and_is_used_again_when_it_is_back(counter_store, key):
    rates = ValkeyRates(counter_store.url, timeout=5)
    asked = Request(key, Bucket.rate(2, 3600), "a", need=5)
    [first] = await rates.settle([asked])
    counter_store.stop()
    with pytest.raises(StoreAwayError):
        await rates.settle([asked])
    counter_store.start()
    # It has forgotten: the bucket is full, and no more than full.
    [second] = await rates.settle([asked])
    [third] = await rates.settle([asked])
    assert (first.granted, second.granted, third.granted) == (2, 2, 0)
    await rates.close()
