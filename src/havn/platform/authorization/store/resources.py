"""Resources that are no apps: their entries by version, and whose they are."""

from __future__ import annotations

from datetime import datetime

import msgspec

from havn.contracts.resources import ServiceResource, registered_name
from havn.kit.db import Connection, Database, Record


class ForeignResource(Exception):
    """The id belongs to another owner, or did."""


class ResourceExists(Exception):
    """There is such a resource."""


class ResourceStore:
    """Reads and writes resources in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def owner(self, id_: str) -> str | None:
        """Whose a resource is; None when there is none with that id."""
        org: str | None = await self._database.fetchval(
            "select org from resource where id = $1 and current is not null", id_
        )
        return org

    async def get(self, id_: str, version_id: int | None = None) -> ServiceResource | None:
        """A resource as it is, or as it was in one version."""
        row = await self._database.fetchrow(
            """select v.version_id, v.document, r.org, l.app is not null as limited from resource r
            join resource_version v on v.id = r.id and v.version_id = coalesce($2, r.current)
            left join access_list_limit l on (l.org, l.app) = (r.org, 'resource:' || r.id)
            where r.id = $1 and r.current is not null""",
            id_, version_id,
        )  # fmt: skip
        return _read(row) if row is not None else None

    async def all(self) -> list[ServiceResource]:
        """Every resource as it is, by id."""
        rows = await self._database.fetch(
            """select v.version_id, v.document, r.org, l.app is not null as limited from resource r
            join resource_version v on v.version_id = r.current
            left join access_list_limit l on (l.org, l.app) = (r.org, 'resource:' || r.id) order by r.id"""
        )
        return [_read(row) for row in rows]

    async def put(self, resource: ServiceResource, org: str, *, new: bool, at: datetime, by: str) -> int:
        """Write a resource; its version id.

        `new`: make it, else change it. Raises `ResourceExists`, `ForeignResource`, or LookupError when there is none.
        """
        id_ = resource.identifier
        async with self._database.transaction() as connection:
            if new:
                await connection.execute(
                    "insert into resource(id, org) values ($1, $2) on conflict do nothing", id_, org
                )
            row = await connection.fetchrow("select org, current from resource where id = $1 for update", id_)
            if row is None or (not new and row["current"] is None):
                raise LookupError(id_)
            if new and row["current"] is not None:
                raise ResourceExists(id_)
            if row["org"] != org:
                raise ForeignResource(id_)
            version: int = await connection.fetchval(
                """insert into resource_version(id, document, made, made_by) values ($1, $2, $3, $4)
                returning version_id""",
                id_, msgspec.structs.replace(resource, version_id=None), at, by,
            )  # fmt: skip
            await connection.execute("update resource set current = $2 where id = $1", id_, version)
            await _limit(connection, org, id_, on=resource.access_list_mode == "Enabled", at=at, by=by)
            return version

    async def delete(self, id_: str) -> None:
        """End a resource, its policy with it; its versions stay."""
        async with self._database.transaction() as connection:
            org = await connection.fetchval("update resource set current = null where id = $1 returning org", id_)
            name = registered_name(id_)
            await connection.execute("delete from policy_in_force where (org, app) = ($1, $2)", org, name)
            await connection.execute("delete from access_list_resource where (org, app) = ($1, $2)", org, name)
            await connection.execute("delete from access_list_limit where (org, app) = ($1, $2)", org, name)


async def _limit(connection: Connection, org: str, id_: str, *, on: bool, at: datetime, by: str) -> None:
    name = registered_name(id_)
    if on:
        await connection.execute(
            "insert into access_list_limit(org, app, since, set_by) values ($1, $2, $3, $4) on conflict do nothing",
            org, name, at, by,
        )  # fmt: skip
    else:
        await connection.execute("delete from access_list_limit where (org, app) = ($1, $2)", org, name)


def _read(row: Record) -> ServiceResource:
    found = msgspec.json.decode(row["document"], type=ServiceResource)
    # Whether it is limited is kept once, where decisions read it.
    mode = "Enabled" if row["limited"] else "Disabled"
    return msgspec.structs.replace(found, version_id=row["version_id"], access_list_mode=mode)
