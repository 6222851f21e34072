"""The rows of clusters' authorities; private keys come and go sealed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec

from havn.deploy.sealing import Sealed
from havn.kit.db import Connection, Database, Record
from havn.kit.queue import enqueue

State = Literal["coming", "signing", "leaving"]
_COLUMNS = "environment, org, number, certificate, state, key_id, sealed, since"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One authority of a cluster."""

    environment: str
    org: str
    number: int
    certificate: str
    state: State
    sealed: Sealed | None
    since: datetime


class AuthorityStore:
    """Reads and writes the table `authority`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @classmethod
    async def open(cls, url: str) -> AuthorityStore:
        """Connect."""
        return cls(await Database.open(url, "deploy", max_size=4))

    async def close(self) -> None:
        """Close the connections."""
        await self._db.close()

    async def all(self, environment: str, org: str) -> list[Row]:
        """A cluster's authorities, oldest first."""
        return await _all(self._db, environment, org)

    async def add(
        self, environment: str, org: str, state: State, make: Callable[[int], tuple[str, Sealed]], now: datetime
    ) -> bool:
        """Add one as `state`, made of its number; False when there is one already, or none that it could come after."""
        async with self._db.transaction() as connection:
            await _lock(connection, environment, org)
            known = await _all(connection, environment, org)
            states = {each.state for each in known}
            if (state == "signing") != ("signing" not in states) or states - {"signing"}:
                return False
            number = max((each.number for each in known), default=0) + 1
            certificate, sealed = make(number)
            await connection.execute(
                "insert into authority (environment, org, number, certificate, state, key_id, sealed, since)"
                " values ($1, $2, $3, $4, $5, $6, $7, $8)",
                environment, org, number, certificate, state, sealed.key_id, sealed.data, now,
            )  # fmt: skip
        return True

    async def promote(self, environment: str, org: str, now: datetime) -> None:
        """The one that comes signs from now on; the one that signed leaves, and its private key is gone."""
        async with self._db.transaction() as connection:
            await _lock(connection, environment, org)
            coming = await connection.fetchval(
                "select number from authority where environment = $1 and org = $2 and state = 'coming'",
                environment, org,
            )  # fmt: skip
            if coming is None:
                return
            await connection.execute(
                "update authority set state = 'leaving', since = $3, key_id = null, sealed = null"
                " where environment = $1 and org = $2 and state = 'signing'",
                environment, org, now,
            )  # fmt: skip
            await connection.execute(
                "update authority set state = 'signing', since = $4"
                " where environment = $1 and org = $2 and number = $3",
                environment, org, coming, now,
            )  # fmt: skip

    async def drop_leaving(self, environment: str, org: str) -> None:
        """Forget those that leave."""
        await self._db.execute(
            "delete from authority where environment = $1 and org = $2 and state = 'leaving'", environment, org
        )

    async def forget(self, environment: str, org: str) -> None:
        """Forget all of a cluster that is no more."""
        await self._db.execute("delete from authority where environment = $1 and org = $2", environment, org)

    async def sealed_otherwise(self, key_id: str) -> list[Row]:
        """Those whose private key is sealed with another key than `key_id`."""
        rows = await self._db.fetch(f"select {_COLUMNS} from authority where key_id <> $1", key_id)  # noqa: S608
        return [_row(row) for row in rows]

    async def seal_anew(self, row: Row, sealed: Sealed) -> None:
        """Replace a sealed private key by the same, sealed with another key."""
        await self._db.execute(
            "update authority set key_id = $4, sealed = $5"
            " where environment = $1 and org = $2 and number = $3 and sealed is not null",
            row.environment, row.org, row.number, sealed.key_id, sealed.data,
        )  # fmt: skip

    async def request(self, environment: str, org: str) -> None:
        """Enqueue looking after a cluster's certificates now."""
        key = _key(environment, org)
        async with self._db.transaction() as connection:
            await connection.execute(
                "update job set due = now() where kind = 'certificates' and key = $1 and finished is null", key
            )
            # Another one even so: the one that waits may be at work already, and past what this is about.
            await enqueue(connection, "certificates", key, {"environment": environment, "org": org})

    async def request_later(self, environment: str, org: str, seconds: float, *, besides: int = 0) -> None:
        """Enqueue it for later, unless a job other than `besides` waits already: then no later than that."""
        key = _key(environment, org)
        async with self._db.transaction() as connection:
            await _lock(connection, environment, org)
            done = await connection.execute(
                "update job set due = least(due, now() + make_interval(secs => $3))"
                " where kind = 'certificates' and key = $1 and finished is null and id <> $2",
                key, besides, seconds,
            )  # fmt: skip
            if done == "UPDATE 0":
                number = await enqueue(connection, "certificates", key, {"environment": environment, "org": org})
                await connection.execute(
                    "update job set due = now() + make_interval(secs => $2) where id = $1", number, seconds
                )

    async def audit(self, environment: str, org: str, *, who: str, address: str, action: str, now: datetime) -> None:
        """Note who asked for what."""
        await self._db.execute(
            "insert into audit (at, who, address, action, environment, org, app) values ($1, $2, $3, $4, $5, $6, '')",
            now, who, address, action, environment, org,
        )  # fmt: skip


async def _all(connection: Connection, environment: str, org: str) -> list[Row]:
    rows = await connection.fetch(
        f"select {_COLUMNS} from authority where environment = $1 and org = $2 order by number",  # noqa: S608
        environment, org,
    )  # fmt: skip
    return [_row(row) for row in rows]


def _key(environment: str, org: str) -> str:
    return f"{environment}/{org}/-certificates"


async def _lock(connection: Connection, environment: str, org: str) -> None:
    await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"authority:{environment}/{org}")


def _row(row: Record) -> Row:
    sealed = None if row["sealed"] is None else Sealed(row["key_id"], bytes(row["sealed"]))
    return Row(
        environment=row["environment"],
        org=row["org"],
        number=row["number"],
        certificate=row["certificate"],
        state=row["state"],
        sealed=sealed,
        since=row["since"],
    )
