"""The number of the last change, followed and told: whoever hears it several times a second knows that none is missed.

One hub in each replica. It hears from the database at once that the number has grown, and asks twice a second even so:
only an answer proves that nothing was missed. When the database is away it says nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import structlog

from havn.kit.background import background
from havn.kit.problem import Problem

ASK_SECONDS = 0.4
LEASE_SECONDS = 1.0
_BACKLOG = 100
_log = structlog.get_logger("management")

Listening = Callable[[Callable[[int], None], Callable[[], None]], AbstractAsyncContextManager[None]]
"""Calls the first with each new number, the second when it can hear no more; OSError when it never could."""


class ChangeHub:
    """Follows the number; keep `running()` open while serving."""

    def __init__(
        self,
        listening: Listening,
        ask: Callable[[], Awaitable[int]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        ask_seconds: float = ASK_SECONDS,
    ) -> None:
        self._listening = listening
        self._ask = ask
        self._monotonic = monotonic
        self._ask_seconds = ask_seconds
        self._proven: float | None = None
        self._subscribers: set[asyncio.Queue[int]] = set()
        self._away = False
        self.version = 0

    def fresh(self) -> bool:
        """Whether a change would have been heard of by now."""
        return self._proven is not None and self._monotonic() - self._proven < LEASE_SECONDS

    async def subscribe(self) -> AsyncIterator[int]:
        """The number each time it is known; ends when the reader is too slow."""
        queue: asyncio.Queue[int] = asyncio.Queue(_BACKLOG)
        self._subscribers.add(queue)
        try:
            if self.fresh():
                yield self.version
            while queue in self._subscribers or not queue.empty():
                yield await queue.get()
        finally:
            self._subscribers.discard(queue)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ChangeHub]:
        """Follow in the background for as long as the block lasts."""
        async with background(self._run(), name="management-changes"):
            yield self

    async def _run(self) -> None:
        while True:
            gone = asyncio.Event()
            try:
                async with self._listening(self._tell, gone.set):
                    while not gone.is_set():
                        begun = self._monotonic()
                        version = await self._ask()
                        self._proven, self._away = begun, False
                        self._tell(version)
                        with suppress(TimeoutError):
                            async with asyncio.timeout(self._ask_seconds):
                                await gone.wait()
            except (OSError, Problem) as error:
                if not self._away:
                    _log.warning("changes_unavailable", reason=str(error))
                self._away = True
                await asyncio.sleep(self._ask_seconds)

    def _tell(self, version: int) -> None:
        # A smaller number is a database restored from an older copy: a change like any other.
        self.version = version
        for queue in list(self._subscribers):
            try:
                queue.put_nowait(version)
            except asyncio.QueueFull:
                self._subscribers.discard(queue)
