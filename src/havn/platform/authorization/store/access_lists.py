"""Access lists: which organisations are on a service owner's lists, and which of its apps each list is for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from havn.kit.db import Database, Record


class StoredList(msgspec.Struct, frozen=True, kw_only=True):
    """A list without its members."""

    org: str
    identifier: str
    name: str
    description: str
    created: datetime
    updated: datetime


class StoredMember(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation on a list."""

    party: int
    party_uuid: str
    org_number: str
    since: datetime


class Connected(msgspec.Struct, frozen=True, kw_only=True):
    """An app a list is for; `actions` None means every action."""

    app: str
    actions: list[str] | None


_LIST = "select org, identifier, name, description, created, updated from access_list"


class ListFull(Exception):
    """The list has no room for that many."""


class AccessListStore:
    """Reads and writes access lists in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lists(self, org: str) -> list[StoredList]:
        """An owner's lists by identifier."""
        return [StoredList(**row) for row in await self._database.fetch(_LIST + " where org = $1 order by 2", org)]

    async def get(self, org: str, identifier: str) -> StoredList | None:
        """One list."""
        row = await self._database.fetchrow(_LIST + " where (org, identifier) = ($1, $2)", org, identifier)
        return StoredList(**row) if row is not None else None

    async def put(self, org: str, identifier: str, name: str, description: str, *, at: datetime, by: str) -> StoredList:
        """Make a list, or change its name and description."""
        row = await self._database.fetchrow(
            """insert into access_list(org, identifier, name, description, created, updated, updated_by)
            values ($1, $2, $3, $4, $5, $5, $6)
            on conflict (org, identifier) do update set name = excluded.name, description = excluded.description,
                updated = excluded.updated, updated_by = excluded.updated_by
            returning org, identifier, name, description, created, updated""",
            org, identifier, name, description, at, by,
        )  # fmt: skip
        assert row is not None
        return StoredList(**row)

    async def delete(self, org: str, identifier: str) -> bool:
        """Remove a list with its members; whether there was one."""
        gone = await self._database.fetch(
            "delete from access_list where (org, identifier) = ($1, $2) returning 1", org, identifier
        )
        return bool(gone)

    async def members(self, org: str, identifier: str) -> list[StoredMember]:
        """Who is on a list, by organisation number."""
        rows = await self._database.fetch(
            """select party, party_uuid::text, org_number, since from access_list_member
            where (org, identifier) = ($1, $2) order by org_number""",
            org, identifier,
        )  # fmt: skip
        return [StoredMember(**row) for row in rows]

    async def change_members(
        self,
        org: str,
        identifier: str,
        *,
        add: Sequence[StoredMember],
        remove: Sequence[int] | None,
        at_most: int,
        by: str,
    ) -> None:
        """Add and remove members in one transaction; `remove` None removes everybody not in `add`.

        Raises `ListFull`, and changes nothing, when the list would have more than `at_most` members.
        """
        kept = [member.party for member in add]
        async with self._database.transaction() as connection:
            # One at a time for a list, so that what was replaced as a whole is whole.
            await connection.execute(
                "select 1 from access_list where (org, identifier) = ($1, $2) for update", org, identifier
            )
            await connection.execute(
                """delete from access_list_member where (org, identifier) = ($1, $2)
                and case when $3::bigint[] is null then party <> all($4::bigint[]) else party = any($3) end""",
                org, identifier, list(remove) if remove is not None else None, kept,
            )  # fmt: skip
            await connection.executemany(
                """insert into access_list_member(org, identifier, party, party_uuid, org_number, since, added_by)
                values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing""",
                [
                    (org, identifier, member.party, member.party_uuid, member.org_number, member.since, by)
                    for member in add
                ],
            )
            # Counted while the list is locked: two who add at once cannot both find room for themselves.
            size = await connection.fetchval(
                "select count(*) from access_list_member where (org, identifier) = ($1, $2)", org, identifier
            )
            if add and size > at_most:
                raise ListFull(identifier)

    async def connections(self, org: str, identifier: str) -> list[Connected]:
        """The apps a list is for."""
        rows = await self._database.fetch(
            "select app, actions from access_list_resource where (org, identifier) = ($1, $2) order by app",
            org, identifier,
        )  # fmt: skip
        return [Connected(**row) for row in rows]

    async def connect(self, org: str, identifier: str, app: str, actions: Sequence[str] | None, *, by: str) -> None:
        """Make a list count for an app, for every action or for some."""
        await self._database.execute(
            """insert into access_list_resource(org, identifier, app, actions, connected_by)
            values ($1, $2, $3, $4, $5)
            on conflict (org, identifier, app) do update
            set actions = excluded.actions, connected_by = excluded.connected_by""",
            org, identifier, app, list(actions) if actions is not None else None, by,
        )  # fmt: skip

    async def disconnect(self, org: str, identifier: str, app: str) -> bool:
        """Have a list no longer count for an app; whether it did."""
        gone = await self._database.fetch(
            "delete from access_list_resource where (org, identifier, app) = ($1, $2, $3) returning 1",
            org, identifier, app,
        )  # fmt: skip
        return bool(gone)

    async def limited(self, org: str, app: str) -> bool:
        """Whether an app is for those on its lists only."""
        row = await self._database.fetchrow("select 1 from access_list_limit where (org, app) = ($1, $2)", org, app)
        return row is not None

    async def all_limited(self) -> set[tuple[str, str]]:
        """Owner and name of everything that is for those on its lists only."""
        return {
            (row["org"], row["app"]) for row in await self._database.fetch("select org, app from access_list_limit")
        }

    async def limit(self, org: str, app: str, *, on: bool, at: datetime, by: str) -> None:
        """Have an app be for those on its lists only, or for everybody again."""
        if on:
            await self._database.execute(
                "insert into access_list_limit(org, app, since, set_by) values ($1, $2, $3, $4) on conflict do nothing",
                org, app, at, by,
            )  # fmt: skip
        else:
            await self._database.execute("delete from access_list_limit where (org, app) = ($1, $2)", org, app)

    async def memberships(self, party: int, *, org: str | None = None, app: str | None = None) -> list[Record]:
        """Lists a party is on: `org`, `identifier`, `since`, and with an app only those for it, with `actions`."""
        return await self._database.fetch(
            """select m.org, m.identifier, m.since, r.app, r.actions
            from access_list_member m
            left join access_list_resource r
                on (r.org, r.identifier) = (m.org, m.identifier) and $2::text is not null and (r.org, r.app) = ($2, $3)
            where m.party = $1 and ($2::text is null or r.app is not null) order by m.org, m.identifier""",
            party, org, app,
        )  # fmt: skip
