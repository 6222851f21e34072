"""Numbered SQL files, run once each, in order, under a lock, and never changed afterwards."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

import asyncpg

from havn.kit.db import Connection

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class MigrationError(Exception):
    """The files and the database disagree; the message says which file and what to do."""


async def migrate(connection: Connection, schema: str, package: str) -> list[str]:
    """Bring `schema` up to the newest file of `package` (for example `havn.platform.storage.migrations`).

    Each file runs in its own transaction together with its line in the table `migration`. Returns the names applied.
    Raises `MigrationError` when an applied file has changed or is gone, or when one fails.
    """
    wanted = sorted((item.name, item.read_text()) for item in files(package).iterdir() if _NAME.fullmatch(item.name))
    # The lock's number is a fixed hash, so that two processes that start together take turns.
    lock = int.from_bytes(hashlib.sha256(f"havn:{schema}".encode()).digest()[:8], "big", signed=True)
    await connection.execute("select pg_advisory_lock($1)", lock)
    try:
        await connection.execute(f'set search_path to "{schema}"')
        await connection.execute(
            "create table if not exists migration"
            "(name text primary key, checksum text not null, applied timestamptz not null default now())"
        )
        done = {row["name"]: row["checksum"] for row in await connection.fetch("select name, checksum from migration")}
        unknown = sorted(set(done) - {name for name, _ in wanted})
        if unknown:
            raise MigrationError(f"Schema {schema} was made by a newer Havn ({unknown[-1]} is unknown): use that one.")
        applied: list[str] = []
        for name, sql in wanted:
            checksum = hashlib.sha256(sql.encode()).hexdigest()
            if name in done:
                if done[name] != checksum:
                    raise MigrationError(f"{package}/{name} was changed after it ran: restore it and add a new file.")
                continue
            try:
                async with connection.transaction():
                    await connection.execute(sql)
                    await connection.execute("insert into migration(name, checksum) values ($1, $2)", name, checksum)
            except asyncpg.PostgresError as error:
                raise MigrationError(f"{package}/{name} failed: {error}.") from error
            applied.append(name)
        return applied
    finally:
        await connection.execute("select pg_advisory_unlock($1)", lock)
