"""Telling readers of ended sessions at once: many wait, one asks the database."""

from __future__ import annotations

import asyncio

from havn.contracts.authentication import Revocations
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.authentication.store import Store

_POLL_SECONDS = 0.5


class RevocationList:
    """The list of ended sessions, with long polling.

    However many readers wait, the database is asked twice a second for the newest number. `stopping` lets them go.
    """

    def __init__(self, store: Store, clock: Clock, stopping: asyncio.Event) -> None:
        self._store = store
        self._clock = clock
        self._stopping = stopping
        self._tick: asyncio.Task[int] | None = None

    async def after(self, number: int, *, wait: int) -> Revocations:
        """Sessions ended after `number`, waiting up to `wait` seconds for the first."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait
        while True:
            answer = await self._store.revocations(number, self._clock())
            if answer.next != number or self._stopping.is_set():
                return answer
            while loop.time() < until and not self._stopping.is_set():
                if await self._newest() > number:
                    break
            else:
                return answer

    async def _newest(self) -> int:
        """The newest number, in half a second; all who wait share one question."""
        if self._tick is None or self._tick.done():
            self._tick = asyncio.create_task(self._ask())
        return await asyncio.shield(self._tick)

    async def _ask(self) -> int:
        try:
            await asyncio.wait_for(self._stopping.wait(), _POLL_SECONDS)
        except TimeoutError:
            try:
                return await self._store.newest_revocation()
            except Problem:
                # The database is away: no news, and the reader's own question will say so.
                return 0
        return 0
