"""Numbered SQL files, run once each, in order, under a lock, and never changed afterwards."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from havn.kit import db
from havn.kit.db import Connection

NotYet = asyncpg.CannotConnectNowError
"""The server is starting or stopping."""
Refused = asyncpg.PostgresError
"""The server says no: a wrong password, a missing database, a right that is lacking."""

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class MigrationError(Exception):
    """The files and the database disagree; the message says which file and what to do."""


async def migrate(connection: Connection, schema: str, package: str) -> list[str]:
    """Bring `schema` up to the newest file of `package` (for example `havn.platform.storage.migrations`).

    Each file runs in its own transaction together with its line in the table `migration`. Returns the names applied.
    Raises `MigrationError` when an applied file has changed or is gone, or when one fails.
    """
    wanted = sorted((item.name, item.read_text()) for item in files(package).iterdir() if _NAME.fullmatch(item.name))
    lock = _lock(schema)
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


async def bring_up(url: str, schema: str, package: str, *, admin_url: str | None = None) -> list[str]:
    """Bring the schema in the database of `url` up to date; returns the names applied.

    With `admin_url`, the address of a superuser on the same server, what is missing is made first: the database, the
    role of `url` with its password, and the schema it owns. Safe to repeat, and with two at once. Raises
    `MigrationError`, `db.DatabaseError`, `OSError`.
    """
    if admin_url is not None:
        await _provision(url, schema, admin_url)
    owner = await db.connect(url)
    try:
        return await migrate(owner, schema, package)
    finally:
        await owner.close()


async def _provision(url: str, schema: str, admin_url: str) -> None:
    parts = urlsplit(url)
    database, role, password = parts.path.lstrip("/"), unquote(parts.username or ""), unquote(parts.password or "")
    if not database or not role or not password:
        raise MigrationError(f"The address of schema {schema} must name a database, a role and its password.")
    admin = await db.connect(admin_url)
    try:
        # Roles belong to the whole server, so all who make them wait for each other in the same place.
        await admin.execute("select pg_advisory_lock($1)", _lock("provision"))
        if not await admin.fetchval("select 1 from pg_database where datname = $1", database):
            quoted = await admin.fetchval("select quote_ident($1)", database)
            await admin.execute(f"create database {quoted}")
            # Only the roles that are granted it may enter.
            await admin.execute(f"revoke all on database {quoted} from public")
        inside = await db.connect(urlunsplit(urlsplit(admin_url)._replace(path=f"/{database}")))
        try:
            await db.provision(inside, database, schema, role, password)
        finally:
            await inside.close()
    finally:
        # The lock goes with its connection.
        await admin.close()


def _lock(name: str) -> int:
    """A fixed number for `name`, so that two processes that start together take turns."""
    return int.from_bytes(hashlib.sha256(f"havn:{name}".encode()).digest()[:8], "big", signed=True)
