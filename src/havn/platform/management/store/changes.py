"""The number that grows with every change, and hearing that it has grown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from havn.kit.db import connect
from havn.platform.management.store import Queries

_CHANNEL = "management_change"


async def version(queries: Queries) -> int:
    """The number now: what is read after it is at least as new."""
    return int(await queries.fetchval("select version from change"))


@asynccontextmanager
async def listening(url: str, heard: Callable[[int], None], gone: Callable[[], None]) -> AsyncIterator[None]:
    """Call `heard` with each new number for as long as the block lasts, and `gone` if the connection ends.

    Raises OSError when there is no connection.
    """
    try:
        connection = await connect(url)
    except Exception as error:
        raise OSError("the change channel cannot be opened") from error
    try:
        connection.add_termination_listener(lambda *_: gone())
        await connection.add_listener(_CHANNEL, lambda _, __, ___, payload: heard(int(payload)))
        yield
    finally:
        connection.terminate()
