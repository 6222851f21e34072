"""A deployment's events, written in order while the work goes on, and those who wait for them woken."""

from __future__ import annotations

import asyncio
from typing import Self

from havn.deploy.store import Store
from havn.kit.clock import Clock


class Changes:
    """Wakes those who wait for any deployment to move on, in this process."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Something has changed."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Until something changes; at most a second, since another process may have written it."""
        event = self._event
        try:
            async with asyncio.timeout(min(seconds, 1.0)):
                await event.wait()
        except TimeoutError:
            pass


class Story:
    """`async with Story(…) as tell:` then `tell("…")` from anywhere in the work."""

    def __init__(self, store: Store, changes: Changes, deployment: int, clock: Clock) -> None:
        self._store = store
        self._changes = changes
        self._deployment = deployment
        self._clock = clock
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to write."""
        self._writer = asyncio.create_task(self._write())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what is left."""
        self._queue.put_nowait(None)
        assert self._writer is not None
        await self._writer

    def __call__(self, message: str) -> None:
        """Add an event."""
        self._queue.put_nowait(message)

    async def written(self) -> None:
        """Wait until everything told so far can be read: before a deployment ends, since nobody reads on after."""
        await self._queue.join()

    async def _write(self) -> None:
        while (message := await self._queue.get()) is not None:
            try:
                await self._store.add_event(self._deployment, message, self._clock())
            finally:
                self._queue.task_done()
            self._changes.tell()
