"""The tables of management: what enforcement reads, and the number it follows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from havn.contracts.management import Api, Application, Key, Plan, Quota, Rate, Subscription, Title, api_id, plan_id
from havn.engines import api_keys
from havn.kit.db import Database, DatabaseError
from havn.platform.management import store
from havn.platform.management.store import apis, applications, changes, history, keys, subscriptions

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
API = Api(
    id=api_id("ttd", "permit", "cases", "v1"), org="ttd", app="permit", name="cases", title=Title(nb="Saker"),
    paths=("/api/v1",),
)  # fmt: skip
PLAN = Plan(
    id=plan_id(API.id, "basic"), api=API.id, name="basic", title=Title(nb="Basis"), concurrency=4,
    rates=(Rate(name="burst", requests=10, seconds=1),), quotas=(Quota(name="daily", requests=1000, per="day"),),
)  # fmt: skip
APPLICATION = Application(
    id="0190a000-0000-7000-8000-000000000001", name="Fagsystem", owner="310000006", owner_name="Testbedrift",
    contact="drift@example.com", created=NOW,
)  # fmt: skip
SUBSCRIPTION = Subscription(
    id="0190a000-0000-7000-8000-000000000002", application=APPLICATION.id, plan=PLAN.id, api=API.id, state="active",
    created=NOW, expires=NOW + timedelta(days=30),
)  # fmt: skip


@pytest.fixture
async def url(make_database: Callable[[str], Awaitable[str]]) -> str:
    return await make_database("management")


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    opened = await store.open_database(url)
    await apis.put(opened, API, declared=False, now=NOW)
    await apis.put_plan(opened, PLAN)
    await applications.add(opened, APPLICATION)
    await subscriptions.add(opened, SUBSCRIPTION)
    yield opened
    await opened.close()


async def _key(database: Database) -> api_keys.ParsedKey:
    made, salt = api_keys.make(os.urandom(8), os.urandom(32)), os.urandom(16)
    new = Key(prefix=made.prefix, subscription=SUBSCRIPTION.id, created=NOW, state="active")
    await keys.add(database, new, salt, api_keys.digest(made, salt))
    return made


async def test_a_key_leads_to_its_plan_and_who_uses_it_and_its_secret_is_not_kept(database: Database) -> None:
    made = await _key(database)
    found = await keys.find_key(database, made.prefix, NOW)
    assert found is not None
    assert (found.plan, found.api, found.application) == (PLAN, API, APPLICATION)
    assert (found.subscription.state, found.key.state) == ("active", "active")
    assert api_keys.matches(made, found.salt, found.digest)
    assert not api_keys.matches(api_keys.make(os.urandom(8), os.urandom(32)), found.salt, found.digest)
    assert made.text.encode() not in found.salt + found.digest
    assert await keys.find_key(database, "11111111111", NOW) is None


async def test_time_ends_a_subscription_by_itself(database: Database) -> None:
    made = await _key(database)
    found = await keys.find_key(database, made.prefix, NOW + timedelta(days=30))
    assert found is not None
    assert found.subscription.state == "expired"


async def test_every_change_raises_the_number_and_is_announced_but_use_of_a_key_is_not(
    url: str, database: Database
) -> None:
    heard: asyncio.Queue[int] = asyncio.Queue()
    async with changes.listening(url, heard.put_nowait, lambda: None):
        before = await changes.version(database)
        made = await _key(database)
        assert await heard.get() == before + 1 == await changes.version(database)
        await keys.touch_last_used(database, {made.prefix: NOW})
        assert await changes.version(database) == before + 1
        await keys.revoke(database, made.prefix, NOW)
        assert await heard.get() == before + 2
        await apis.put_plan(database, PLAN)
        assert await heard.get() > before + 2
    found = await keys.of_subscription(database, SUBSCRIPTION.id, NOW)
    assert [(key.state, key.last_used) for key in found] == [("revoked", NOW)]


async def test_last_use_never_goes_back_in_time(database: Database) -> None:
    made = await _key(database)
    await keys.touch_last_used(database, {made.prefix: NOW, "unknown": NOW})
    await keys.touch_last_used(database, {made.prefix: NOW - timedelta(hours=1)})
    found = await keys.of_subscription(database, SUBSCRIPTION.id, NOW)
    assert found[0].last_used == NOW


async def test_drafts_are_not_managed(database: Database) -> None:
    assert await apis.managed_apis(database, "ttd", "permit") == [API]
    assert await apis.plans_of(database, API.id) == [PLAN]
    draft = Api(**{name: getattr(API, name) for name in Api.__struct_fields__} | {"state": "draft"})
    await apis.put(database, draft, declared=False, now=NOW)
    assert await apis.managed_apis(database, "ttd", "permit") == []


async def test_history_is_only_added_to(database: Database) -> None:
    await history.add(
        database, at=NOW, who="user:1337", address="127.0.0.1", action="approve", object_="subscription/1", org="ttd",
        consumer="310000006", before={"state": "pending"}, after={"state": "active"},
    )  # fmt: skip
    (entry,) = await history.listed(database, org="ttd")
    assert entry.after is not None
    assert bytes(entry.after) == b'{"state": "active"}'
    for statement in ("update history set who = 'x'", "delete from history", "truncate history"):
        with pytest.raises(DatabaseError, match="only added to"):
            await database.execute(statement)
