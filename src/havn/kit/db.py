"""The only door to PostgreSQL: a pool on asyncpg for one schema with its own role.

`jsonb` columns take any value msgspec can encode and arrive as `msgspec.Raw`: decode them with
`msgspec.json.decode(raw, type=T)`, or put them unchanged into an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
import msgspec

from havn.kit.problem import Problem

# asyncpg has no type information; the names still say what is meant.
Connection: TypeAlias = Any
Record: TypeAlias = Any
DatabaseError = asyncpg.PostgresError
InterfaceError = asyncpg.InterfaceError
UniqueViolation = asyncpg.UniqueViolationError
ForeignKeyViolation = asyncpg.ForeignKeyViolationError
SerializationFailure = asyncpg.SerializationError

_SHUTDOWN = (asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, asyncpg.CannotConnectNowError)
_CUT = (asyncpg.InterfaceError, asyncpg.PostgresConnectionError, *_SHUTDOWN, ConnectionError)


class Database:
    """A pool of connections whose search path is one schema."""

    def __init__(self, pool: asyncpg.Pool, schema: str) -> None:
        self._pool = pool
        self.schema = schema
        # Connections between two uses. They stay taken out of the pool: taking one out and putting it back costs more
        # than a statement by primary key, so a connection returns to the pool only when somebody waits for it there.
        self._idle: list[Connection] = []
        self._waiting = 0
        self._closing = False

    @classmethod
    async def open(cls, url: str, schema: str, *, min_size: int = 1, max_size: int = 10) -> Database:
        """Connect to `url` (postgresql://…) with `schema` as the search path.

        Raises OSError or asyncpg.PostgresError when the server cannot be reached.
        """
        pool = await asyncpg.create_pool(
            url,
            min_size=min_size,
            max_size=max_size,
            init=_prepare,
            reset=_no_reset,
            max_inactive_connection_lifetime=0,
            command_timeout=30,
            server_settings={"search_path": schema, "timezone": "UTC", "jit": "off"},
        )
        return cls(pool, schema)

    async def close(self) -> None:
        """Close every connection, at most five seconds after the ones in use are given back."""
        self._closing = True
        while self._idle:
            await self._pool.release(self._idle.pop())
        try:
            await asyncio.wait_for(self._pool.close(), 5)
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of one's own for a while; 503 when the database cannot be reached."""
        connection = await self._take()
        try:
            yield connection
        except BaseException as error:
            await self._discard(connection, error)
            raise
        await self._give_back(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction: committed at the end, rolled back when an exception leaves it."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        """All rows."""
        return list(await self._run("fetch", sql, args))

    async def fetchrow(self, sql: str, *args: Any) -> Record | None:
        """The first row, or None."""
        return await self._run("fetchrow", sql, args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """The first column of the first row, or None."""
        return await self._run("fetchval", sql, args)

    async def execute(self, sql: str, *args: Any) -> str:
        """Run a statement; returns PostgreSQL's command tag, such as `UPDATE 1`."""
        return str(await self._run("execute", sql, args))

    async def _run(self, method: str, sql: str, args: tuple[Any, ...]) -> Any:
        # As `connection`, without the cost of a context manager: every request goes through here.
        connection = await self._take()
        try:
            result = await getattr(connection, method)(sql, *args)
        except BaseException as error:
            await self._discard(connection, error)
            raise
        await self._give_back(connection)
        return result

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not _is_gone(connection):
                return connection
            await self._pool.release(connection)
        self._waiting += 1
        try:
            return await self._pool.acquire(timeout=5)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError) as error:
            raise _away() from error
        finally:
            self._waiting -= 1

    async def _give_back(self, connection: Connection) -> None:
        if self._waiting or self._closing or _is_gone(connection) or connection.is_in_transaction():
            await self._pool.release(connection)
        else:
            self._idle.append(connection)

    async def _discard(self, connection: Connection, error: BaseException) -> None:
        """Return a connection that was failed upon to the pool, which waits for what was cancelled, or replaces it.

        Raises the 503 when the server went away under the statement: the caller may try again, nothing was committed.
        """
        if isinstance(error, asyncpg.InternalClientError):
            # The server's last word was read between two statements, its hang-up is still on the way: the protocol
            # takes no statement any more, yet does not count as closed.
            gone = True
            if not _is_gone(connection):
                connection.terminate()
        else:
            gone = isinstance(error, _CUT) and _is_gone(connection)
        await self._pool.release(connection)
        if gone:
            raise _away() from error


async def connect(url: str) -> Connection:
    """One connection outside any pool, for migrations and provisioning."""
    connection = await asyncpg.connect(url, timeout=10)
    await _prepare(connection)
    return connection


async def provision(admin: Connection, database: str, schema: str, role: str, password: str) -> None:
    """Make `role` (login, with `password`) and the `schema` it owns; idempotent, sets the password anew.

    `admin` is a superuser connection to `database`. The role can connect to that database and use that schema only.
    """
    quoted = {name: await admin.fetchval("select quote_ident($1)", name) for name in (database, schema, role)}
    secret = await admin.fetchval("select quote_literal($1)", password)
    if not await admin.fetchval("select 1 from pg_roles where rolname = $1", role):
        await admin.execute(f"create role {quoted[role]} login")
    await admin.execute(f"alter role {quoted[role]} password {secret}")
    await admin.execute("revoke all on schema public from public")
    await admin.execute(f"grant connect on database {quoted[database]} to {quoted[role]}")
    await admin.execute(f"create schema if not exists {quoted[schema]} authorization {quoted[role]}")


def _is_gone(connection: Connection) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # the pool took it back when it broke
        return True


async def _prepare(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=_decode_jsonb, format="binary"
    )


async def _no_reset(connection: Connection) -> None:
    """Nothing: asyncpg's reset costs a round trip a request, and we leave no session state behind.

    A transaction left open is rolled back by `transaction()`; LISTEN is only used on connections outside the pool.
    """


def _encode_jsonb(value: Any) -> bytes:
    return b"\x01" + msgspec.json.encode(value)


def _decode_jsonb(data: bytes) -> msgspec.Raw:
    # A jsonb value travels as a version byte followed by its text.
    return msgspec.Raw(bytes(data[1:]))


def _away() -> Problem:
    return Problem(
        503, "The database cannot be reached just now.", code="database_unavailable", headers={"Retry-After": "2"}
    )
