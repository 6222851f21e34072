"""Hearing what other replicas wrote: one connection of its own that LISTENs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from havn.contracts.authorization import Change
from havn.kit.db import Connection, Database, connect

_CHANNEL = "authorization_change"


class VersionStore:
    """Tells the version of the whole state: it grows with every change, in the order in which they commit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current(self) -> int:
        """The version now, which holds everything committed so far."""
        return int(await self._database.fetchval("select version from state"))


class Listener:
    """An open LISTEN connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def prove(self) -> None:
        """Return once everything announced so far has been heard; raises OSError when the connection is gone."""
        try:
            await self._connection.execute("select 1", timeout=1)
        except Exception as error:
            raise OSError("the change channel is gone") from error

    async def version(self) -> int:
        """The version of the state now; raises OSError when the connection is gone."""
        try:
            return int(await self._connection.fetchval('select version from "authorization".state', timeout=1))
        except Exception as error:
            raise OSError("the change channel is gone") from error


@asynccontextmanager
async def listening(url: str, heard: Callable[[Change], None]) -> AsyncIterator[Listener]:
    """Call `heard` with each announced change for as long as the block lasts. Raises OSError when it cannot."""
    try:
        connection = await connect(url)
    except Exception as error:
        raise OSError("the change channel cannot be opened") from error

    def on_notify(_: object, __: int, ___: str, payload: str) -> None:
        heard(msgspec.json.decode(payload, type=Change))

    try:
        await connection.add_listener(_CHANNEL, on_notify)
        yield Listener(connection)
    finally:
        connection.terminate()
