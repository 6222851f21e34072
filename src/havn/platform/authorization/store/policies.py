"""Policies: versions, which one is in force, and how that came about."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from havn.contracts.authorization import AccessLimit, PolicyFacts, PolicyVersion
from havn.kit.db import Connection, Database, Record

_COLUMNS = """p.org, p.app, p.version, p.digest, p.published, p.published_by, p.release,
    f.version is not null as active
    from policy p left join policy_in_force f on (f.org, f.app, f.version) = (p.org, p.app, p.version)"""


class PolicyStore:
    """Reads and writes policies in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def in_force(self, org: str, app: str) -> PolicyFacts | None:
        """The policy in force for an app, None when it has none."""
        row = await self._database.fetchrow(
            """select p.org, p.app, p.version, p.digest, p.xml, (
                    select jsonb_build_object('lists', coalesce(jsonb_agg(jsonb_build_object(
                        'actions', r.actions,
                        'members', (
                            select coalesce(jsonb_agg(m.party order by m.party), '[]') from access_list_member m
                            where (m.org, m.identifier) = (r.org, r.identifier)
                        )) order by r.identifier) filter (where r.identifier is not null), '[]'))
                    from access_list_limit l left join access_list_resource r using (org, app)
                    where (l.org, l.app) = ($1, $2) group by l.org, l.app
                ) as limited
            from policy_in_force f join policy p using (org, app, version) where (f.org, f.app) = ($1, $2)""",
            org,
            app,
        )
        if row is None:
            return None
        limited = row["limited"]
        limit = msgspec.json.decode(limited, type=AccessLimit) if limited is not None else None
        return PolicyFacts(row["org"], row["app"], row["version"], row["digest"], row["xml"], limit)

    async def publish(
        self,
        org: str,
        app: str,
        xml: bytes,
        digest: str,
        *,
        by: str,
        release: str | None,
        activate: bool = True,
        subjects: Sequence[str] | None = None,
    ) -> PolicyVersion:
        """Keep `xml` as the next version and put it in force; the newest version again when its bytes are the same."""
        async with self._database.transaction() as connection:
            # One publisher of an app at a time, so that versions are numbered without holes.
            await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"policy:{org}/{app}")
            newest = await connection.fetchrow(
                "select version, digest from policy where (org, app) = ($1, $2) order by version desc limit 1", org, app
            )
            if newest is not None and newest["digest"] == digest:
                version = newest["version"]
            else:
                version = newest["version"] + 1 if newest is not None else 1
                await connection.execute(
                    """insert into policy(org, app, version, digest, xml, published_by, release, subjects)
                    values ($1, $2, $3, $4, $5, $6, $7, $8)""",
                    org, app, version, digest, xml, by, release, subjects,
                )  # fmt: skip
            if activate:
                await _activate(connection, org, app, version, by, None)
            row = await connection.fetchrow(
                f"select {_COLUMNS} where (p.org, p.app, p.version) = ($1, $2, $3)", org, app, version
            )
            return PolicyVersion(**row)

    async def activate(self, org: str, app: str, version: int, *, by: str, reason: str | None) -> PolicyVersion | None:
        """Put a kept version in force; None when there is no such version."""
        async with self._database.transaction() as connection:
            if not await connection.fetchval(
                "select 1 from policy where (org, app, version) = ($1, $2, $3)", org, app, version
            ):
                return None
            await _activate(connection, org, app, version, by, reason)
            row = await connection.fetchrow(
                f"select {_COLUMNS} where (p.org, p.app, p.version) = ($1, $2, $3)", org, app, version
            )
            return PolicyVersion(**row)

    async def versions(self, org: str, app: str) -> list[PolicyVersion]:
        """All versions, newest first."""
        rows = await self._database.fetch(
            f"select {_COLUMNS} where (p.org, p.app) = ($1, $2) order by p.version desc", org, app
        )
        return [PolicyVersion(**row) for row in rows]

    async def xml(self, org: str, app: str, version: int) -> bytes | None:
        """The bytes of one version."""
        value: bytes | None = await self._database.fetchval(
            "select xml from policy where (org, app, version) = ($1, $2, $3)", org, app, version
        )
        return value

    async def history(self, org: str, app: str) -> list[Record]:
        """Every time a version came into force, newest first, at most 200."""
        return await self._database.fetch(
            """select version, previous, activated, activated_by, reason from policy_activation
            where (org, app) = ($1, $2) order by id desc limit 200""",
            org,
            app,
        )

    async def without_subjects(self) -> list[tuple[str, str, int, bytes]]:
        """Versions in force (owner, name, version, bytes) of which it is not known whom they name."""
        rows = await self._database.fetch(
            """select p.org, p.app, p.version, p.xml from policy_in_force f join policy p using (org, app, version)
            where p.subjects is null"""
        )
        return [(row["org"], row["app"], row["version"], row["xml"]) for row in rows]

    async def set_subjects(self, org: str, app: str, version: int, subjects: Sequence[str]) -> None:
        """Keep whom a version names."""
        await self._database.execute(
            "update policy set subjects = $4 where (org, app, version) = ($1, $2, $3)", org, app, version, subjects
        )

    async def naming(self, urns: Sequence[str]) -> list[tuple[str, str, list[str]]]:
        """Owner and name of policies in force that name any of `urns`, and which of them."""
        rows = await self._database.fetch(
            """select p.org, p.app, array(select unnest(p.subjects) intersect select unnest($1::text[])) as named
            from policy p join policy_in_force f using (org, app, version)
            where p.subjects && $1::text[] order by p.org, p.app""",
            list(urns),
        )
        return [(row["org"], row["app"], row["named"]) for row in rows]

    async def apps(self) -> list[tuple[str, str]]:
        """Apps that have a policy in force."""
        rows = await self._database.fetch("select org, app from policy_in_force order by org, app")
        return [(row["org"], row["app"]) for row in rows]


async def _activate(connection: Connection, org: str, app: str, version: int, by: str, reason: str | None) -> None:
    previous = await connection.fetchval("select version from policy_in_force where (org, app) = ($1, $2)", org, app)
    if previous == version:
        return
    await connection.execute(
        """insert into policy_in_force(org, app, version) values ($1, $2, $3)
        on conflict (org, app) do update set version = excluded.version""",
        org,
        app,
        version,
    )
    await connection.execute(
        """insert into policy_activation(org, app, version, previous, activated_by, reason)
        values ($1, $2, $3, $4, $5, $6)""",
        org, app, version, previous, by, reason,
    )  # fmt: skip
