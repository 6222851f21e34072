"""The senders of owners' clusters; every change leaves a line in the history."""

from __future__ import annotations

from datetime import datetime

from havn.contracts.levels import RecordSender
from havn.kit.db import Connection, Database, Record
from havn.platform.management.levels.store.agreements import Author


class SenderStore:
    """Reads and writes senders."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def put(self, org: str, name: str, digest: bytes, author: Author, now: datetime) -> None:
        """Make one, or give one that is there another secret."""
        async with self._db.transaction() as connection:
            await connection.execute(
                "insert into level_sender (org, name, digest, created) values ($1, $2, $3, $4)"
                " on conflict (org, name) do update set digest = excluded.digest, created = excluded.created",
                org, name, digest, now,
            )  # fmt: skip
            await _note(connection, author, now, "put", org, name)

    async def remove(self, org: str, name: str, author: Author, now: datetime) -> bool:
        """Take one away; False when there is none."""
        async with self._db.transaction() as connection:
            found = await connection.fetchval(
                "delete from level_sender where org = $1 and name = $2 returning name", org, name
            )
            if found is None:
                return False
            await _note(connection, author, now, "remove", org, name)
            return True

    async def all(self, org: str) -> list[RecordSender]:
        """The org's senders, by name."""
        rows = await self._db.fetch(
            "select name, created, last_used from level_sender where org = $1 order by name", org
        )
        return [_sender(row) for row in rows]

    async def org_of(self, digest: bytes, now: datetime) -> str | None:
        """Whose sender has the secret of this digest; noted as used now."""
        found = await self._db.fetchval(
            "update level_sender set last_used = $2 where digest = $1 returning org", digest, now
        )
        return None if found is None else str(found)


def _sender(row: Record) -> RecordSender:
    return RecordSender(name=row["name"], created=row["created"], last_used=row["last_used"])


async def _note(connection: Connection, author: Author, now: datetime, action: str, org: str, name: str) -> None:
    await connection.execute(
        "insert into history (at, who, address, action, object, org) values ($1, $2, $3, $4, $5, $6)",
        now, author.name, author.address, action, f"sender/{org}.{name}", org,
    )  # fmt: skip
