"""The rows of orgs, environments, clusters and keys; what is secret in them comes and goes sealed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import msgspec

from havn.contracts.estate import ClusterStatus, OrgInfo, OrgKey
from havn.deploy.author import Author
from havn.deploy.estate.model import (
    ClusterRow,
    EnvironmentRow,
    cluster_place,
    environment_place,
    job_key,
    key_place,
)
from havn.deploy.sealing import Sealed
from havn.kit.db import Connection, Database, ForeignKeyViolation, Record, UniqueViolation
from havn.kit.problem import Problem
from havn.kit.queue import enqueue

_ENVIRONMENT = (
    "name, type, scheme, domain, platform_url, approval, settings, app_values, registry, deploy_key, version, changed"
)
_CLUSTER = (
    "c.org, c.environment, c.server, c.namespace, c.credentials, c.ingress, c.front, c.app_values, c.base_values,"
    " c.status, c.reason, c.version, c.added, c.added_by,"
    " (select count(*) from desired d where d.org = c.org and d.environment = c.environment) as apps"
)


class EstateStore:
    """Reads and writes."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @classmethod
    async def open(cls, url: str) -> EstateStore:
        """Connect to the schema `deploy`."""
        return cls(await Database.open(url, "deploy", max_size=8))

    @property
    def database(self) -> Database:
        """The connections, for stores beside this one."""
        return self._db

    async def close(self) -> None:
        """Close the connections."""
        await self._db.close()

    # Orgs.

    async def put_org(self, code: str, name: str, author: Author) -> None:
        """Add an org, or change its name."""
        async with self._db.transaction() as connection:
            before = await connection.fetchval("select name from org where code = $1 for update", code)
            await connection.execute(
                "insert into org (code, name, created) values ($1, $2, $3) on conflict (code) do update set name = $2",
                code, name, author.now,
            )  # fmt: skip
            await _audit(connection, author, "org", "", code, {"name": before} if before else None, {"name": name})

    async def orgs(self, seen: Collection[str] | None) -> list[OrgInfo]:
        """These orgs or all, with their keys and where they have clusters."""
        among = None if seen is None else list(seen)
        orgs = await self._db.fetch(
            "select code, name from org where $1::text[] is null or code = any($1) order by code", among
        )
        keys = await self._db.fetch("select org, fingerprint, added, added_by from org_key order by added")
        places = await self._db.fetch("select org, environment from cluster order by environment")
        return [
            OrgInfo(
                org=org["code"],
                name=org["name"],
                keys=[
                    OrgKey(fingerprint=key["fingerprint"], added=key["added"], added_by=key["added_by"])
                    for key in keys
                    if key["org"] == org["code"]
                ],
                environments=[place["environment"] for place in places if place["org"] == org["code"]],
            )
            for org in orgs
        ]

    async def add_key(self, org: str, fingerprint: str, public_key: str, author: Author) -> None:
        """Trust releases of the org that are signed with the key. 404 when there is no such org."""
        async with self._db.transaction() as connection:
            try:
                done = await connection.execute(
                    "insert into org_key (org, fingerprint, public_key, added, added_by) values ($1, $2, $3, $4, $5)"
                    " on conflict do nothing",
                    org, fingerprint, public_key, author.now, author.who,
                )  # fmt: skip
            except ForeignKeyViolation:
                raise unknown_org(org) from None
            if done.endswith("1"):
                await _audit(connection, author, "trust_key", "", org, None, {"fingerprint": fingerprint})

    async def remove_key(self, org: str, fingerprint: str, author: Author) -> bool:
        """Trust it no longer; false when it was not trusted."""
        async with self._db.transaction() as connection:
            done = await connection.execute("delete from org_key where org = $1 and fingerprint = $2", org, fingerprint)
            if done.endswith("0"):
                return False
            await _audit(connection, author, "distrust_key", "", org, {"fingerprint": fingerprint}, None)
        return True

    async def public_keys(self, org: str) -> list[str]:
        """Public keys (PEM) that the org's releases may be signed with."""
        rows = await self._db.fetch("select public_key from org_key where org = $1 order by added", org)
        return [row["public_key"] for row in rows]

    # Environments.

    async def put_environment(self, row: EnvironmentRow, author: Author) -> None:
        """Add an environment or change it; a key that is not given stays. The row's version is made here."""
        async with self._db.transaction() as connection:
            found = await connection.fetchrow(
                f"select {_ENVIRONMENT} from environment where name = $1 for update",  # noqa: S608
                row.name,
            )
            before = _environment(found) if found is not None else None
            await connection.execute(
                f"insert into environment ({_ENVIRONMENT})"  # noqa: S608
                " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, nextval('estate_version'), $11)"
                " on conflict (name) do update set type = $2, scheme = $3, domain = $4, platform_url = $5,"
                " approval = $6, settings = $7, app_values = $8, registry = $9,"
                " deploy_key = coalesce($10, environment.deploy_key), version = excluded.version, changed = $11",
                row.name, row.type, row.scheme, row.domain, row.platform_url, row.approval, row.settings,
                row.app_values, row.registry, _pack(row.deploy_key), author.now,
            )  # fmt: skip
            # Clusters carry the environment's facts with them, and some are in what was put in at first.
            again = before is not None and _base(before) != _base(row)
            clusters = await connection.fetch(
                "update cluster set version = nextval('estate_version'),"
                " status = case when $2 then 'bootstrapping' else status end where environment = $1"
                " returning org, status",
                row.name, again,
            )  # fmt: skip
            for cluster in clusters:
                # One that is being set up is so for a version that is no more.
                if cluster["status"] == "bootstrapping":
                    await _enqueue_bootstrap(connection, cluster["org"], row.name)
            facts = None if before is None else _facts(before)
            await _audit(connection, author, "environment", row.name, "", facts, _facts(row))

    async def environment(self, name: str) -> EnvironmentRow | None:
        """One environment."""
        row = await self._db.fetchrow(f"select {_ENVIRONMENT} from environment where name = $1", name)  # noqa: S608
        return None if row is None else _environment(row)

    async def environments(self) -> list[EnvironmentRow]:
        """Every environment, test before production."""
        rows = await self._db.fetch(
            f"select {_ENVIRONMENT} from environment order by type desc, name"  # noqa: S608
        )
        return [_environment(row) for row in rows]

    async def remove_environment(self, name: str, author: Author) -> bool:
        """Forget an environment; false when there is none. 409 while it has clusters."""
        async with self._db.transaction() as connection:
            try:
                done = await connection.execute("delete from environment where name = $1", name)
            except ForeignKeyViolation:
                raise Problem(
                    409, f"{name} has clusters: remove them first, with `havn cluster remove`.", code="has_clusters"
                ) from None
            if done.endswith("0"):
                return False
            await _audit(connection, author, "remove_environment", name, "", {"name": name}, None)
        return True

    # Clusters.

    async def add_cluster(self, row: ClusterRow, author: Author) -> None:
        """Add a cluster, or give one new credentials and values, and enqueue its bootstrap."""
        async with self._db.transaction() as connection:
            before = await connection.fetchrow(
                "select server, namespace, ingress from cluster where org = $1 and environment = $2 for update",
                row.org, row.environment,
            )  # fmt: skip
            try:
                await connection.execute(
                    "insert into cluster (org, environment, server, namespace, credentials, ingress, front, app_values,"
                    " base_values, status, reason, version, added, added_by, changed) values"
                    " ($1, $2, $3, $4, $5, $6, false, $7, $8, 'bootstrapping', null, nextval('estate_version'),"
                    " $9, $10, $9) on conflict (org, environment) do update set server = $3, namespace = $4,"
                    " credentials = $5, ingress = $6, front = false, app_values = $7, base_values = $8,"
                    " status = 'bootstrapping', reason = null, version = excluded.version, changed = $9",
                    row.org, row.environment, row.server, row.namespace, _pack(row.credentials), row.ingress,
                    row.app_values, row.base_values, author.now, author.who,
                )  # fmt: skip
            except ForeignKeyViolation as error:
                raise (
                    unknown_org(row.org)
                    if "org" in str(error.constraint_name)
                    else Problem(404, f"There is no environment {row.environment}.", code="unknown_environment")
                ) from None
            after = {"server": row.server, "namespace": row.namespace, "ingress": row.ingress}
            facts = None if before is None else dict(before)
            await _audit(connection, author, "add_cluster", row.environment, row.org, facts, after)
            await _enqueue_bootstrap(connection, row.org, row.environment)

    async def cluster(self, org: str, environment: str) -> ClusterRow | None:
        """One cluster."""
        row = await self._db.fetchrow(
            f"select {_CLUSTER} from cluster c where org = $1 and environment = $2",  # noqa: S608
            org,
            environment,
        )
        return None if row is None else _cluster(row)

    async def clusters(self, seen: Collection[str] | None) -> list[ClusterRow]:
        """The clusters of these orgs or of all, by environment and org."""
        rows = await self._db.fetch(
            f"select {_CLUSTER} from cluster c where $1::text[] is null or org = any($1)"  # noqa: S608
            " order by environment, org",
            None if seen is None else list(seen),
        )
        return [_cluster(row) for row in rows]

    async def set_cluster(
        self,
        org: str,
        environment: str,
        version: int,
        status: ClusterStatus,
        *,
        reason: str | None = None,
        front: bool = False,
    ) -> None:
        """Note how the bootstrap of exactly this version went."""
        await self._db.execute(
            "update cluster set status = $4, reason = $5, front = $6, version = nextval('estate_version')"
            " where org = $1 and environment = $2 and version = $3",
            org, environment, version, status, reason, front,
        )  # fmt: skip

    async def busy(self, org: str, environment: str) -> int:
        """How many changes to apps of the cluster have not ended."""
        return int(
            await self._db.fetchval(
                "select count(*) from deployment where org = $1 and environment = $2 and finished is null",
                org, environment,
            )
        )  # fmt: skip

    async def remove_cluster(self, org: str, environment: str, author: Author) -> bool:
        """Forget a cluster, and that apps should run there; false when there is none."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(
                "delete from cluster where org = $1 and environment = $2 returning server", org, environment
            )
            if row is None:
                return False
            apps = await connection.fetch(
                "delete from desired where org = $1 and environment = $2 returning app, release", org, environment
            )
            await connection.execute(
                "update job set finished = $3 where finished is null and key like $1 || '/' || $2 || '/%'"
                " and (kind in ('bootstrap', 'restore') or kind = 'deployment' and exists (select from deployment d"
                " where d.id = (job.payload ->> 'deployment')::bigint and d.finished is not null))",
                environment, org, author.now,
            )  # fmt: skip
            facts = {"server": row["server"], "apps": {each["app"]: each["release"] for each in apps}}
            await _audit(connection, author, "remove_cluster", environment, org, facts, None)
        return True

    # Keys of app deployments.

    async def app_key(self, environment: str, org: str, app: str, rollout: int) -> tuple[str, Sealed] | None:
        """A rollout's key id and sealed private key."""
        row = await self._db.fetchrow(
            "select key_id, private_key from app_key"
            " where environment = $1 and org = $2 and app = $3 and rollout = $4",
            environment, org, app, rollout,
        )  # fmt: skip
        return None if row is None else (row["key_id"], _unpack(row["private_key"]))

    async def add_app_key(
        self, environment: str, org: str, app: str, rollout: int, key_id: str, private: Sealed
    ) -> bool:
        """Store a rollout's key; false when another process was faster."""
        try:
            await self._db.execute(
                "insert into app_key (environment, org, app, rollout, key_id, private_key)"
                " values ($1, $2, $3, $4, $5, $6)",
                environment, org, app, rollout, key_id, _pack(private),
            )  # fmt: skip
        except UniqueViolation:
            return False
        return True

    async def app_keys(self, environment: str, org: str, app: str) -> list[int]:
        """The rollouts of an app that have a key, in the order made."""
        rows = await self._db.fetch(
            "select rollout from app_key where environment = $1 and org = $2 and app = $3 order by rollout",
            environment, org, app,
        )  # fmt: skip
        return [row["rollout"] for row in rows]

    async def remove_app_key(self, environment: str, org: str, app: str, rollout: int) -> None:
        """Forget a rollout's key."""
        await self._db.execute(
            "delete from app_key where environment = $1 and org = $2 and app = $3 and rollout = $4",
            environment, org, app, rollout,
        )  # fmt: skip

    # Changing the identity that seals.

    async def seal_anew(self, again: Callable[[str, Sealed], Sealed | None]) -> int:
        """Replace every sealed value by what `again(place, sealed)` gives, unless None; returns how many.

        Each row is locked while it is replaced, so that a change at the same time is not lost.
        """
        count = 0
        async with self._db.transaction() as connection:
            for row in await connection.fetch(
                "select name, deploy_key from environment where deploy_key is not null for update"
            ):
                if (new := again(environment_place(row["name"]), _unpack(row["deploy_key"]))) is not None:
                    await connection.execute(
                        "update environment set deploy_key = $2 where name = $1", row["name"], _pack(new)
                    )
                    count += 1
            for row in await connection.fetch("select org, environment, credentials from cluster for update"):
                place = cluster_place(row["org"], row["environment"])
                if (new := again(place, _unpack(row["credentials"]))) is not None:
                    await connection.execute(
                        "update cluster set credentials = $3 where org = $1 and environment = $2",
                        row["org"], row["environment"], _pack(new),
                    )  # fmt: skip
                    count += 1
            for row in await connection.fetch(
                "select environment, org, app, rollout, private_key from app_key for update"
            ):
                at = (row["environment"], row["org"], row["app"], row["rollout"])
                if (new := again(key_place(*at), _unpack(row["private_key"]))) is not None:
                    await connection.execute(
                        "update app_key set private_key = $5"
                        " where environment = $1 and org = $2 and app = $3 and rollout = $4",
                        *at, _pack(new),
                    )  # fmt: skip
                    count += 1
        return count


def unknown_org(org: str) -> Problem:
    """The 404 for an org that there is not."""
    return Problem(404, f"There is no org {org[:40]}: add it with `havn org add {org[:40]}`.", code="unknown_org")


async def _enqueue_bootstrap(connection: Connection, org: str, environment: str) -> None:
    await enqueue(connection, "bootstrap", job_key(org, environment), {"org": org, "environment": environment})


async def _audit(
    connection: Connection, author: Author, action: str, environment: str, org: str, before: Any, after: Any
) -> None:
    await connection.execute(
        "insert into audit (at, who, address, action, environment, org, app, before, after)"
        " values ($1, $2, $3, $4, $5, $6, '', $7, $8)",
        author.now, author.who, author.address, action, environment, org, before, after,
    )  # fmt: skip


def _base(row: EnvironmentRow) -> tuple[Any, ...]:
    """What `charts/cluster` is told of the environment."""
    return row.domain, row.type, row.registry, dict(row.settings), dict(row.app_values)


def _facts(row: EnvironmentRow) -> dict[str, Any]:
    return {
        "type": row.type,
        "address": f"{row.scheme}://{row.domain}",
        "approval": row.approval,
        "settings": dict(row.settings),
    }


def _pack(sealed: Sealed | None) -> bytes | None:
    return None if sealed is None else msgspec.msgpack.encode(sealed)


def _unpack(data: bytes) -> Sealed:
    return msgspec.msgpack.decode(data, type=Sealed)


def _environment(row: Record) -> EnvironmentRow:
    values = dict(row)
    values["settings"] = msgspec.json.decode(values["settings"], type=dict[str, str])
    values["app_values"] = msgspec.json.decode(values["app_values"], type=dict[str, Any])
    values["deploy_key"] = None if values["deploy_key"] is None else _unpack(values["deploy_key"])
    return EnvironmentRow(**values)


def _cluster(row: Record) -> ClusterRow:
    values = dict(row)
    for name in ("app_values", "base_values"):
        values[name] = msgspec.json.decode(values[name], type=dict[str, Any])
    values["credentials"] = _unpack(values["credentials"])
    return ClusterRow(**values)
