"""Quotas in PostgreSQL: the same arithmetic as the engine's, atomically, whoever settles at once."""

from __future__ import annotations

import asyncio
import random
from datetime import date

import pytest

from havn.engines.limits import share
from havn.platform.management import store
from havn.platform.management.metering.store import DayUse, QuotaUse, add_use, settle_quotas

FIRST = date(2026, 11, 1)


@pytest.fixture
async def database(make_database):
    opened = await store.open_database(await make_database("management"))
    yield opened
    await opened.close()


async def test_the_database_hands_out_as_the_engine_says(database):
    chance = random.Random(3)
    for most in (1, 30, 1000):
        granted = used = 0
        for _ in range(60):
            outstanding = granted - used
            told = chance.randint(0, outstanding)
            back = chance.randint(0, outstanding - told)
            need, want = chance.choice([0, 0, 1, 3, 40]), chance.choice([0, 5, 500])
            [(portion, remaining)] = await settle_quotas(
                database,
                [QuotaUse(subject="s", quota=f"q{most}", first=FIRST, most=most, used=told, returned=back, need=need,
                          want=want)],
            )  # fmt: skip
            used += told
            granted -= back
            assert portion == share(most, granted, granted - used, need, want)
            granted += portion
            assert remaining == max(0, most - granted)
            assert granted <= most


async def test_nobody_uses_or_returns_what_was_not_handed_out(database):
    [(portion, _)] = await settle_quotas(database, [QuotaUse(subject="s", quota="q", first=FIRST, most=10, need=4)])
    told = QuotaUse(subject="s", quota="q", first=FIRST, most=10, used=900, returned=900)
    assert portion == 4
    assert await settle_quotas(database, [told]) == [(0, 6)]
    # Told twice, counted once.
    assert await settle_quotas(database, [told]) == [(0, 6)]


async def test_many_at_once_never_get_more_than_there_is_and_none_waits_for_another_for_ever(database):
    names = [f"q{number}" for number in range(5)]

    async def one(turn: int) -> int:
        order = names[turn % 5 :] + names[: turn % 5]
        uses = [QuotaUse(subject="s", quota=name, first=FIRST, most=50, need=3) for name in order]
        return sum(portion for portion, _ in await settle_quotas(database, uses))

    assert sum(await asyncio.gather(*(one(turn) for turn in range(40)))) == 5 * 50


async def test_answers_come_in_the_order_asked(database):
    uses = [QuotaUse(subject="s", quota=name, first=FIRST, most=100, need=need) for name, need in (("b", 2), ("a", 1))]
    assert [portion for portion, _ in await settle_quotas(database, uses)] == [2, 1]


async def test_use_adds_up_by_day(database):
    for _ in range(2):
        await add_use(database, FIRST, [DayUse(subject="s", allowed=2, rejected=1, observed=1)])
    row = await database.fetchrow("select allowed, rejected, observed from use_by_day")
    assert tuple(row) == (4, 2, 2)
