"""What is to be removed for good: blobs nobody refers to, and instances and elements whose time is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from havn.platform.storage.store import Database, Queries

ANNOUNCE = "insert into blob_garbage (path, after) values ($1, $2)"


async def announce(queries: Queries, path: str, after: datetime) -> None:
    """Say, before a blob is written, that it is garbage from `after` unless a row comes to refer to it."""
    await queries.execute(ANNOUNCE, path, after)


async def due(queries: Queries, now: datetime, limit: int) -> list[str]:
    """Paths of blobs to remove."""
    rows = await queries.fetch("select path from blob_garbage where after <= $1 order by after limit $2", now, limit)
    return [row[0] for row in rows]


async def removed(queries: Queries, path: str) -> None:
    """The blob is gone."""
    await queries.execute("delete from blob_garbage where path = $1", path)


_TAKE_INSTANCES = """
with gone as (
    {which}
), dropped as (
    insert into blob_garbage (path, after)
    select e.blob_path, $1 from data_element e where e.instance_guid in (select guid from gone) on conflict do nothing
), silent as (
    delete from instance_event v using gone g, application a
    where v.instance_guid = g.guid and a.org = g.org and a.app = g.app
        and (a.document ->> 'autoDeleteOnProcessEnd')::boolean
), removed as (
    delete from instance i using gone g where i.guid = g.guid returning 1
)
select count(*) from removed"""

_EXPIRED = """
    select guid, org, app from instance
    where is_hard_deleted and (
        not is_archived
        or (hard_deleted <= $2 and exists (
            select from jsonb_array_elements(confirmations) c
            where c ->> 'stakeholderId' = org and (c ->> 'confirmedOn')::timestamptz <= $2)))
    limit $3 for update skip locked"""

_OF_APP = "select guid, org, app from instance where org = $2 and app = $3 limit $4 for update skip locked"


async def take_expired_instances(queries: Queries, now: datetime, confirmed_before: datetime, limit: int) -> int:
    """Remove hard-deleted instances that were never archived, or deleted and confirmed long enough ago; how many.

    Events stay, except those of apps that delete their instances as the process ends.
    """
    sql = _TAKE_INSTANCES.format(which=_EXPIRED)
    return int(await queries.fetchval(sql, now, confirmed_before, limit))


async def take_instances_of(queries: Queries, now: datetime, org: str, app: str, limit: int) -> int:
    """Remove instances of one app, whatever their state; how many."""
    return int(await queries.fetchval(_TAKE_INSTANCES.format(which=_OF_APP), now, org, app, limit))


async def take_expired_elements(queries: Queries, now: datetime, confirmed_before: datetime, limit: int) -> int:
    """Remove elements marked as deleted long enough ago, of instances confirmed long enough ago; how many."""
    return int(
        await queries.fetchval(
            """
            with gone as (
                select e.instance_guid, e.guid, e.blob_path
                from data_element e join instance i on i.guid = e.instance_guid
                where e.is_hard_deleted and e.hard_deleted <= $2 and exists (
                    select from jsonb_array_elements(i.confirmations) c
                    where c ->> 'stakeholderId' = i.org and (c ->> 'confirmedOn')::timestamptz <= $2)
                limit $3 for update of e skip locked
            ), dropped as (
                insert into blob_garbage (path, after) select blob_path, $1 from gone on conflict do nothing
            ), counted as (
                update instance i set version = version + 1 from (select distinct instance_guid from gone) g
                where i.guid = g.instance_guid
            ), removed as (
                delete from data_element e using gone g
                where e.instance_guid = g.instance_guid and e.guid = g.guid returning 1
            )
            select count(*) from removed""",
            now,
            confirmed_before,
            limit,
        )
    )


@asynccontextmanager
async def sole(database: Database) -> AsyncIterator[bool]:
    """Whether this is the only replica inside; true for one at a time, and free again should it die."""
    async with database.transaction() as connection:
        yield bool(await connection.fetchval("select pg_try_advisory_xact_lock(hashtext('storage housekeeping'))"))
