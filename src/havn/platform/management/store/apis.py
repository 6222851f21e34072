"""Apis and plans."""

from __future__ import annotations

from datetime import datetime

import msgspec

from havn.contracts.management import Api, Plan
from havn.platform.management.store import Queries

_api = msgspec.json.Decoder(Api)
_plan = msgspec.json.Decoder(Plan)
# What `api` may hold that nobody outside should see or be limited by.
_MANAGED = ("published", "deprecated", "retired")


async def managed_apis(queries: Queries, org: str, app: str) -> list[Api]:
    """The Apis whose requests are to be checked: all of the app's but drafts; of those with one path, the first counts.

    Retired ones come last: another that answers may have their paths.
    """
    rows = await queries.fetch(
        "select document from api where org = $1 and app = $2 and state = any($3) order by state = 'retired', id",
        org,
        app,
        _MANAGED,
    )
    return [_api.decode(row[0]) for row in rows]


async def all_apis(queries: Queries, org: str | None = None, app: str | None = None) -> list[Api]:
    """Every Api, drafts too; of one org, or of one app."""
    rows = await queries.fetch(
        "select document from api where ($1::text is null or org = $1) and ($2::text is null or app = $2) order by id",
        org,
        app,
    )
    return [_api.decode(row[0]) for row in rows]


async def published(queries: Queries) -> list[tuple[Api, list[Plan]]]:
    """What the catalogue shows: Apis that can be used, with the plans that can be had."""
    rows = await queries.fetch(
        """select a.document, coalesce(array_agg(p.document order by p.id) filter (where p.state = 'open'), '{}') plans
           from api a left join plan p on p.api = a.id
           where a.state in ('published', 'deprecated') group by a.id order by a.id"""
    )
    return [(_api.decode(row[0]), [_plan.decode(plan) for plan in row["plans"]]) for row in rows]


async def find(queries: Queries, id_: str) -> Api | None:
    """One Api."""
    document = await queries.fetchval("select document from api where id = $1", id_)
    return None if document is None else _api.decode(document)


async def hold(queries: Queries, id_: str) -> tuple[Api, bool] | None:
    """One Api and whether it is declared by its app, kept from change by others until the transaction ends."""
    row = await queries.fetchrow("select document, declared from api where id = $1 for update", id_)
    return None if row is None else (_api.decode(row[0]), row[1])


async def declared(queries: Queries, org: str, app: str) -> list[Api]:
    """What the app's last deployment declared."""
    rows = await queries.fetch(
        "select document from api where org = $1 and app = $2 and declared order by id", org, app
    )
    return [_api.decode(row[0]) for row in rows]


async def put(queries: Queries, api: Api, *, declared: bool, now: datetime) -> None:
    """Write, new or not."""
    await queries.execute(
        """insert into api(id, org, app, name, version, state, declared, document, changed)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
           on conflict (id) do update set state = excluded.state, declared = excluded.declared,
               document = excluded.document, changed = excluded.changed""",
        api.id, api.org, api.app, api.name, api.version, api.state, declared, api, now,
    )  # fmt: skip


async def remove(queries: Queries, id_: str) -> None:
    """Remove with its plans; fails when one has subscriptions."""
    await queries.execute("delete from api where id = $1", id_)


async def plans_of(queries: Queries, api: str) -> list[Plan]:
    """All plans of an Api, closed ones too."""
    rows = await queries.fetch("select document from plan where api = $1 order by id", api)
    return [_plan.decode(row[0]) for row in rows]


async def find_plan(queries: Queries, id_: str) -> Plan | None:
    """One plan."""
    document = await queries.fetchval("select document from plan where id = $1", id_)
    return None if document is None else _plan.decode(document)


async def put_plan(queries: Queries, plan: Plan) -> None:
    """Write, new or not."""
    await queries.execute(
        """insert into plan(id, api, state, document) values ($1, $2, $3, $4)
           on conflict (id) do update set state = excluded.state, document = excluded.document""",
        plan.id, plan.api, plan.state, plan,
    )  # fmt: skip


async def plan_is_used(queries: Queries, id_: str) -> bool:
    """Whether anybody has ever asked for it."""
    return bool(await queries.fetchval("select exists (select from subscription where plan = $1)", id_))


async def remove_plan(queries: Queries, id_: str) -> None:
    """Remove; fails when it has subscriptions."""
    await queries.execute("delete from plan where id = $1", id_)
