"""The rows of what is shut, and the jobs that tell the clusters and end it.

Each change is one transaction, with its jobs and its line in the audit log.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec

from havn.appfolder.ids import AppId
from havn.contracts.deploy import AuditEntry
from havn.contracts.protection import Block, ClosedApp
from havn.deploy.author import Author
from havn.deploy.protection.rules import MAX_BLOCKS, too_many
from havn.deploy.store import add_audit
from havn.kit.db import Connection, Database, ForeignKeyViolation
from havn.kit.problem import Problem
from havn.kit.queue import enqueue

TELL = "protection"
END_MAINTENANCE, END_BLOCK = "maintenance_end", "block_end"
_CLOSED = "m.org, m.app, m.message, m.until, m.since, m.who"
_BLOCK = "b.id, b.network, b.subscription, b.until, b.reason, b.since, b.who"
_UNTOLD = "select payload->>'org' from job where kind = 'protection' and finished is null and key like $1 || '/%'"


class ProtectionStore:
    """Reads and writes. A change returns the numbers of the jobs that tell the clusters concerned."""

    def __init__(self, database: Database) -> None:
        self._db = database

    # Maintenance.

    async def closed(self, environment: str, orgs: Collection[str] | None = None) -> list[ClosedApp]:
        """The apps in maintenance of these orgs, or of all."""
        rows = await self._db.fetch(
            f"select {_CLOSED}, m.org not in ({_UNTOLD}) as in_force from maintenance m"  # noqa: S608
            " where m.environment = $1 and ($2::text[] is null or m.org = any($2)) order by m.org, m.app",
            environment, None if orgs is None else list(orgs),
        )  # fmt: skip
        return [ClosedApp(**dict(row)) for row in rows]

    async def close(self, environment: str, made: ClosedApp, author: Author) -> list[int]:
        """Put an app in maintenance, or change what is said about it. 404 when the app is not deployed there."""
        async with self._db.transaction() as connection:
            deployed = await connection.fetchval(
                "select 1 from desired where environment = $1 and org = $2 and app = $3",
                environment, made.org, made.app,
            )  # fmt: skip
            if deployed is None:
                raise _unknown_app(environment, made)
            before = await connection.fetchrow(
                f"select {_CLOSED} from maintenance m where environment = $1 and org = $2 and app = $3"  # noqa: S608
                " for update",
                environment, made.org, made.app,
            )  # fmt: skip
            try:
                await connection.execute(
                    "insert into maintenance (environment, org, app, message, until, since, who)"
                    " values ($1, $2, $3, $4, $5, $6, $7) on conflict (environment, org, app)"
                    " do update set message = $4, until = $5, since = $6, who = $7",
                    environment, made.org, made.app, made.message, made.until, made.since, made.who,
                )  # fmt: skip
            except ForeignKeyViolation:
                raise _unknown_app(environment, made) from None
            if made.until is not None:
                which = {"environment": environment, "org": made.org, "app": made.app}
                await _later(connection, END_MAINTENANCE, environment, which, made.until, author.now)
            was = None if before is None else ClosedApp(**dict(before))
            await _audit(connection, author, "maintenance_on", environment, made.org, made.app, was, made)
            return [await _tell(connection, environment, made.org)]

    async def open(
        self, environment: str, app: AppId, author: Author, *, due: datetime | None = None
    ) -> list[int] | None:
        """Take an app out of maintenance; None when it is in none, or in one that does not end by `due`."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(
                "delete from maintenance m where environment = $1 and org = $2 and app = $3"  # noqa: S608
                f" and ($4::timestamptz is null or until <= $4) returning {_CLOSED}",
                environment, app.org, app.app, due,
            )  # fmt: skip
            if row is None:
                return None
            before = ClosedApp(**dict(row))
            await _audit(connection, author, "maintenance_off", environment, app.org, app.app, before, None)
            return [await _tell(connection, environment, app.org)]

    # Blocks.

    async def blocks(self, environment: str) -> list[Block]:
        """What is blocked, oldest first."""
        rows = await self._db.fetch(
            f"select {_BLOCK}, case when b.network is null then '{{}}' else"  # noqa: S608
            f" array(select distinct org from ({_UNTOLD}) untold (org) order by org) end as waiting"
            " from block b where b.environment = $1 order by b.since, b.id",
            environment,
        )
        return [Block(**{**dict(row), "waiting": tuple(row["waiting"])}) for row in rows]

    async def add_block(self, environment: str, made: Block, author: Author) -> list[int]:
        """Keep a block. 409 when there are too many."""
        async with self._db.transaction() as connection:
            # One at a time, so that they are counted.
            await connection.execute("select 1 from environment where name = $1 for update", environment)
            count = await connection.fetchval("select count(*) from block where environment = $1", environment)
            if count >= MAX_BLOCKS:
                raise too_many()
            await connection.execute(
                "insert into block (id, environment, network, subscription, until, reason, since, who)"
                " values ($1, $2, $3, $4, $5, $6, $7, $8)",
                made.id, environment, made.network, made.subscription, made.until, made.reason, made.since, made.who,
            )  # fmt: skip
            which = {"environment": environment, "block": made.id}
            await _later(connection, END_BLOCK, environment, which, made.until, author.now)
            await _audit(connection, author, "block", environment, "", "", None, made)
            return await _tell_all(connection, environment) if made.network is not None else []

    async def block(self, environment: str, id_: str) -> Block | None:
        """One block."""
        row = await self._db.fetchrow(
            f"select {_BLOCK} from block b where environment = $1 and id = $2",  # noqa: S608
            environment,
            id_,
        )
        return None if row is None else Block(**dict(row))

    async def remove_block(self, environment: str, id_: str, author: Author) -> list[int] | None:
        """Forget a block; None when there is none."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(
                f"delete from block b where environment = $1 and id = $2 returning {_BLOCK}",  # noqa: S608
                environment,
                id_,
            )
            if row is None:
                return None
            before = Block(**dict(row))
            await _audit(connection, author, "unblock", environment, "", "", before, None)
            return await _tell_all(connection, environment) if before.network is not None else []

    # Telling the clusters.

    async def request(self, environment: str, org: str) -> None:
        """Enqueue telling a cluster what is shut."""
        async with self._db.transaction() as connection:
            await _tell(connection, environment, org)

    async def untold(self, jobs: Sequence[int]) -> dict[str, bool]:
        """The orgs whose clusters these jobs have not told yet, and whether that was tried since, and failed."""
        rows = await self._db.fetch(
            "select j.payload->>'org' as org, exists (select 1 from job before where before.key = j.key"
            " and before.id <= j.id and before.finished is null and before.error is not null) as failed"
            " from job j where j.id = any($1) and j.finished is null order by org",
            list(jobs),
        )
        return {row["org"]: row["failed"] for row in rows}


async def _tell(connection: Connection, environment: str, org: str) -> int:
    """Jobs of one key are done in order, and each reads all that is shut."""
    # A group of its own: deployments to the cluster, which take minutes, do not stand before it.
    key = f"{environment}/{org}/-protection/now"
    await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", key)
    # One that waits after a failure need not wait longer.
    open_ = await connection.fetch(
        "update job set due = least(due, now()), error = null"
        " where kind = $1 and key = $2 and finished is null returning id",
        TELL, key,
    )  # fmt: skip
    # The first may be at work, past what this is about; a second one has not begun.
    if len(open_) > 1:
        await connection.execute("select pg_notify(current_schema() || '_job', '')")
        return int(max(row["id"] for row in open_))
    return await enqueue(connection, TELL, key, {"environment": environment, "org": org})


async def _tell_all(connection: Connection, environment: str) -> list[int]:
    rows = await connection.fetch("select org from cluster where environment = $1 order by org", environment)
    return [await _tell(connection, environment, row["org"]) for row in rows]


async def _later(
    connection: Connection, kind: str, environment: str, which: dict[str, str], until: datetime, now: datetime
) -> None:
    # Each in a key of its own: what ends later never stands before what ends sooner.
    number = await enqueue(connection, kind, f"{environment}/-ends/new", which)
    await connection.execute(
        "update job set key = $2, due = now() + make_interval(secs => $3) where id = $1",
        number, f"{environment}/-ends/{number}", (until - now).total_seconds(),
    )  # fmt: skip


async def _audit(
    connection: Connection, author: Author, action: str, environment: str, org: str, app: str, before: Any, after: Any
) -> None:
    entry = AuditEntry(
        at=author.now, who=author.who, address=author.address, action=action, environment=environment, org=org, app=app,
        before=None if before is None else msgspec.to_builtins(before),
        after=None if after is None else msgspec.to_builtins(after),
    )  # fmt: skip
    await add_audit(connection, entry)


def _unknown_app(environment: str, made: ClosedApp) -> Problem:
    return Problem(404, f"There is no app {made.org}/{made.app} in {environment}.", code="unknown_app")
