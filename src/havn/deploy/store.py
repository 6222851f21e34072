"""The control plane's rows: desired state, deployments, their events, releases, and the audit log."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import msgspec

from havn.contracts.deploy import (
    AuditEntry,
    Deployment,
    DeploymentEvent,
    DeploymentKind,
    DeploymentStatus,
    ReleaseInfo,
    Scaling,
)
from havn.kit.db import Connection, Database, Record
from havn.kit.queue import enqueue

_DEPLOYMENT = (
    "id, environment, org, app, revision, kind, release, replicas, status, reason, requested_by, requested, finished,"
    " base, scaling, mapping, strand, promoted_from"
)
_DESIRED = "environment, org, app, revision, release, replicas, rollout, base, scaling"


class Target(msgspec.Struct, frozen=True):
    """One app in one environment."""

    environment: str
    org: str
    app: str

    def __str__(self) -> str:
        return f"{self.environment}/{self.org}/{self.app}"


class Restore(msgspec.Struct, frozen=True):
    """Payload of a job `restore`."""

    target: Target
    publish: bool


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """What an app should be: the last change that succeeded."""

    target: Target
    revision: int
    release: str
    replicas: int
    rollout: int
    """The deployment that put the release there."""
    base: str | None = None
    """Digest of the base image under the release."""
    scaling: Scaling | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A change, as somebody asks for it."""

    target: Target
    kind: DeploymentKind
    release: str | None
    replicas: int
    who: str
    address: str
    base: str | None = None
    scaling: Scaling | None = None
    mapping: Mapping[str, str] = {}
    strand: bool = False
    promoted_from: str | None = None

    def facts(self) -> dict[str, Any]:
        """What the audit log keeps of it."""
        more = {
            "base": self.base,
            "scaling": self.scaling,
            "mapping": self.mapping or None,
            "strand": self.strand or None,
            "promotedFrom": self.promoted_from,
        }
        given = {name: value for name, value in more.items() if value is not None}
        return {"release": self.release, "replicas": self.replicas, **given}


class Store:
    """Reads and writes the schema `deploy`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @classmethod
    async def open(cls, url: str) -> Store:
        """Connect."""
        return cls(await Database.open(url, "deploy", max_size=8))

    async def close(self) -> None:
        """Close the connections."""
        await self._db.close()

    @property
    def database(self) -> Database:
        """For the stores of the schema's other tables."""
        return self._db

    async def request(self, wanted: Wanted, now: datetime) -> Deployment:
        """Record the change with its audit line, and enqueue the work, all or nothing."""
        async with self._db.transaction() as connection:
            return await record(connection, wanted, now)

    async def note(self, entry: AuditEntry) -> None:
        """Add a line to the audit log."""
        await add_audit(self._db, entry)

    async def request_restore(self, target: Target, *, publish: bool = False) -> None:
        """Enqueue putting the desired state of `target` back into its cluster, unless that is enqueued already.

        With `publish`, its policy, metadata and texts are put in force again too.
        """
        payload = Restore(target, publish)
        async with self._db.transaction() as connection:
            waiting = await connection.fetchval(
                "select 1 from job where finished is null and kind = 'restore' and key = $1 and payload = $2",
                str(target),
                payload,
            )
            if waiting is None:
                await enqueue(connection, "restore", str(target), payload)

    async def unsettled(self) -> int:
        """How many jobs that are due wait for their first try, or are at it."""
        return int(
            await self._db.fetchval("select count(*) from job where finished is null and attempts = 0 and due <= now()")
        )

    async def more_to_do(self, target: Target, job: int) -> bool:
        """Whether work for an app waits that is not `job`."""
        return bool(
            await self._db.fetchval(
                "select exists (select from job where finished is null and key = $1 and id <> $2)", str(target), job
            )
        )

    async def deployment(self, number: int) -> Deployment | None:
        """One deployment."""
        row = await self._db.fetchrow(f"select {_DEPLOYMENT} from deployment where id = $1", number)  # noqa: S608
        return None if row is None else _deployment(row)

    async def history(self, target: Target, limit: int = 100) -> list[Deployment]:
        """The changes to an app, newest first."""
        rows = await self._db.fetch(
            f"select {_DEPLOYMENT} from deployment where environment = $1 and org = $2 and app = $3"  # noqa: S608
            " order by revision desc limit $4",
            target.environment, target.org, target.app, limit,
        )  # fmt: skip
        return [_deployment(row) for row in rows]

    async def revision(self, target: Target, revision: int) -> Deployment | None:
        """The change to an app with that number."""
        row = await self._db.fetchrow(
            f"select {_DEPLOYMENT} from deployment"  # noqa: S608
            " where environment = $1 and org = $2 and app = $3 and revision = $4",
            target.environment, target.org, target.app, revision,
        )  # fmt: skip
        return None if row is None else _deployment(row)

    async def under_way(self, target: Target) -> Deployment | None:
        """The oldest change to an app that has not ended."""
        row = await self._db.fetchrow(
            f"select {_DEPLOYMENT} from deployment"  # noqa: S608
            " where environment = $1 and org = $2 and app = $3 and finished is null order by revision limit 1",
            target.environment, target.org, target.app,
        )  # fmt: skip
        return None if row is None else _deployment(row)

    async def set_status(self, number: int, status: DeploymentStatus, reason: str | None = None) -> None:
        """Move on a deployment that has not ended; a reason once given stays."""
        await self._db.execute(
            "update deployment set status = $2, reason = coalesce(reason, $3) where id = $1 and finished is null",
            number, status, reason,
        )  # fmt: skip

    async def succeed(self, deployment: Deployment, labels: Mapping[str, str], now: datetime) -> None:
        """End a deployment well: what it asked for is now what is desired."""
        place = (deployment.environment, deployment.org, deployment.app)
        async with self._db.transaction() as connection:
            if deployment.kind == "undeploy":
                await connection.execute("delete from desired where environment = $1 and org = $2 and app = $3", *place)
            elif deployment.kind == "heal":
                # What is desired stays as it is now, whatever it was when somebody asked.
                await connection.execute(
                    "update desired set revision = $4 where environment = $1 and org = $2 and app = $3",
                    *place, deployment.revision,
                )  # fmt: skip
            else:
                await connection.execute(
                    "insert into desired (environment, org, app, revision, release, replicas, rollout, base, scaling)"
                    " values ($1, $2, $3, $4, $5, $6, $7, $9, $10) on conflict (environment, org, app)"
                    " do update set revision = $4, release = $5, replicas = $6,"
                    " rollout = case when $8 then desired.rollout else $7 end,"
                    " base = case when $8 then desired.base else $9 end,"
                    " scaling = coalesce($10, desired.scaling)",
                    *place, deployment.revision, deployment.release, deployment.replicas, deployment.id,
                    deployment.kind == "scale", deployment.base, deployment.scaling,
                )  # fmt: skip
                await connection.execute(
                    "insert into release (org, app, digest, labels, first_deployed) values ($1, $2, $3, $4, $5)"
                    " on conflict do nothing",
                    deployment.org, deployment.app, deployment.release, dict(labels), now,
                )  # fmt: skip
            await connection.execute(
                "update deployment set status = 'succeeded', finished = $2 where id = $1", deployment.id, now
            )

    async def fail(self, deployment: Deployment, now: datetime) -> None:
        """End a deployment badly; its reason is there already, and what is desired stays as it was."""
        await self._db.execute(
            "update deployment set status = 'failed', finished = $2 where id = $1 and finished is null",
            deployment.id, now,
        )  # fmt: skip

    async def arrived(self, number: int, *, base: str | None, moving: bool) -> None:
        """The cluster runs the release, on this base image; `moving`: instances are moved next, and none goes back."""
        await self._db.execute(
            "update deployment set base = coalesce($2, base), moving = $3 where id = $1", number, base, moving
        )

    async def moving(self, number: int) -> bool:
        """Whether a deployment has begun to move instances."""
        return bool(await self._db.fetchval("select moving from deployment where id = $1", number))

    async def add_event(self, number: int, message: str, now: datetime) -> None:
        """Add a step to a deployment's story."""
        await self._db.execute(
            "insert into deployment_event (deployment, number, at, message)"
            " select $1, coalesce(max(number), 0) + 1, $2, $3 from deployment_event where deployment = $1",
            number, now, message[:1000],
        )  # fmt: skip

    async def events(self, number: int, after: int) -> list[DeploymentEvent]:
        """A deployment's steps after the one numbered `after`."""
        rows = await self._db.fetch(
            "select number, at, message from deployment_event where deployment = $1 and number > $2 order by number",
            number, after,
        )  # fmt: skip
        return [DeploymentEvent(number=row["number"], at=row["at"], message=row["message"]) for row in rows]

    async def desired(self, target: Target) -> Desired | None:
        """What an app should be."""
        rows = await self._db.fetch(
            f"select {_DESIRED} from desired"  # noqa: S608
            " where environment = $1 and org = $2 and app = $3",
            target.environment, target.org, target.app,
        )  # fmt: skip
        return _desired(rows[0]) if rows else None

    async def all_desired(self, environment: str | None = None, org: str | None = None) -> list[Desired]:
        """What every app should be, by environment, org and name."""
        rows = await self._db.fetch(
            f"select {_DESIRED} from desired"  # noqa: S608
            " where ($1::text is null or environment = $1) and ($2::text is null or org = $2)"
            " order by environment, org, app",
            environment, org,
        )  # fmt: skip
        return [_desired(row) for row in rows]

    async def releases(self, org: str, app: str) -> list[ReleaseInfo]:
        """The releases of an app that were deployed, newest first."""
        rows = await self._db.fetch(
            "select org, app, digest, labels, first_deployed from release where org = $1 and app = $2"
            " order by first_deployed desc limit 200",
            org, app,
        )  # fmt: skip
        return [
            ReleaseInfo(
                org=row["org"],
                app=row["app"],
                digest=row["digest"],
                labels=msgspec.json.decode(row["labels"], type=dict[str, str]),
                first_deployed=row["first_deployed"],
            )
            for row in rows
        ]

    async def audit(self, orgs: Collection[str] | None, limit: int) -> list[AuditEntry]:
        """The newest audit lines, of these orgs or all."""
        rows = await self._db.fetch(
            "select at, who, address, action, environment, org, app, before, after from audit"
            " where ($1::text[] is null or org = any($1)) order by id desc limit $2",
            list(orgs) if orgs is not None else None, limit,
        )  # fmt: skip
        return [
            AuditEntry(**{**dict(row), "before": _facts(row["before"]), "after": _facts(row["after"])}) for row in rows
        ]


def _facts(raw: msgspec.Raw | None) -> dict[str, Any] | None:
    return None if raw is None else msgspec.json.decode(raw, type=dict[str, Any])


def _deployment(row: Record) -> Deployment:
    given = dict(row)
    return Deployment(
        **{
            **given,
            "scaling": _scaling(given["scaling"]),
            "mapping": msgspec.json.decode(given["mapping"], type=dict[str, str]),
        }
    )


def _desired(row: Record) -> Desired:
    return Desired(
        target=Target(row["environment"], row["org"], row["app"]),
        revision=row["revision"],
        release=row["release"],
        replicas=row["replicas"],
        rollout=row["rollout"],
        base=row["base"],
        scaling=_scaling(row["scaling"]),
    )


def _scaling(raw: msgspec.Raw | None) -> Scaling | None:
    return None if raw is None else msgspec.json.decode(raw, type=Scaling)


async def record(connection: Connection, wanted: Wanted, now: datetime) -> Deployment:
    """Record a change with its audit line, and enqueue the work, in the transaction of `connection`."""
    target = wanted.target
    place = (target.environment, target.org, target.app)
    # Two who ask at once take turns, so that their revisions follow each other.
    await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", str(target))
    before = await connection.fetchrow(
        "select revision, release, replicas, base, scaling from desired"
        " where environment = $1 and org = $2 and app = $3",
        *place,
    )
    row = await connection.fetchrow(
        "insert into deployment (environment, org, app, revision, kind, release, replicas, status,"  # noqa: S608
        " requested_by, requested, base, scaling, mapping, strand, promoted_from)"
        " select $1, $2, $3, coalesce(max(revision), 0) + 1, $4, $5, $6, 'queued', $7, $8, $9, $10, $11, $12, $13"
        " from deployment where environment = $1 and org = $2 and app = $3"
        f" returning {_DEPLOYMENT}",
        *place, wanted.kind, wanted.release, wanted.replicas, wanted.who, now, wanted.base, wanted.scaling,
        dict(wanted.mapping), wanted.strand, wanted.promoted_from,
    )  # fmt: skip
    deployment = _deployment(row)
    await add_audit(
        connection,
        AuditEntry(
            at=now,
            who=wanted.who,
            address=wanted.address,
            action=wanted.kind,
            environment=target.environment,
            org=target.org,
            app=target.app,
            before={name: value for name, value in before.items() if value is not None} if before else None,
            after={"revision": deployment.revision, **wanted.facts()},
        ),
    )
    # A restore that fails again and again must not stand in the way of the change that would mend it, and neither must
    # a change that has ended and whose predecessor cannot be seen off: the next does that too.
    await connection.execute(
        "update job set finished = $2 where key = $1 and finished is null and attempts > 0 and (kind = 'restore'"
        " or kind = 'deployment' and exists (select from deployment d"
        " where d.id = (job.payload ->> 'deployment')::bigint and d.finished is not null))",
        str(target), now,
    )  # fmt: skip
    await enqueue(connection, "deployment", str(target), {"deployment": deployment.id})
    return deployment


async def add_audit(queries: Connection | Database, entry: AuditEntry) -> None:
    """Add a line to the audit log; with a transaction's connection, in it."""
    await queries.execute(
        "insert into audit (at, who, address, action, environment, org, app, before, after)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        entry.at, entry.who, entry.address, entry.action, entry.environment, entry.org, entry.app, entry.before,
        entry.after,
    )  # fmt: skip
