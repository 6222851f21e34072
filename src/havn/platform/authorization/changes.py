"""What must no longer be believed: policies and delegations (heard from the database), roles (asked of register).

One hub in each replica. While both sources have been heard within the last second the hub is `fresh`, and it tells so
to every subscriber; when one is away it says nothing, so nobody goes on believing what they remember.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from havn.contracts.authorization import Change
from havn.kit.background import background
from havn.kit.problem import Problem
from havn.platform.authorization.store.changes import listening

POLL_SECONDS = 0.3
LEASE_SECONDS = 1.0
_BACKLOG = 1000
_log = structlog.get_logger("authorization")

ROLES = Change("facts")


class ChangeHub:
    """Hears changes and passes them on; keep `running()` open while serving.

    `roles_changed(after)` asks register for its role version: it returns the newest version known.
    """

    def __init__(
        self,
        database_url: str,
        role_version: Callable[[int], Awaitable[int]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._url = database_url
        self._role_version = role_version
        self._monotonic = monotonic
        self._poll_seconds = poll_seconds
        self._listeners: list[Callable[[Change], None]] = []
        self._subscribers: set[asyncio.Queue[Change]] = set()
        self._proven: float | None = None
        self._roles_version: int | None = None
        self._state_version = 0
        self._away = False

    def fresh(self) -> bool:
        """Whether a change would have been heard of by now."""
        return self._proven is not None and self._monotonic() - self._proven < LEASE_SECONDS

    def listen(self, heard: Callable[[Change], None]) -> None:
        """Call `heard` with every change from now on, in this process."""
        self._listeners.append(heard)

    async def subscribe(self) -> AsyncIterator[Change]:
        """Changes from now on, and `alive` while they are complete.

        Ends when the reader is too slow to be told everything: it then begins again, and forgets.
        """
        queue: asyncio.Queue[Change] = asyncio.Queue(_BACKLOG)
        self._subscribers.add(queue)
        try:
            while queue in self._subscribers or not queue.empty():
                yield await queue.get()
        finally:
            self._subscribers.discard(queue)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ChangeHub]:
        """Listen in the background for as long as the block lasts."""
        async with background(self._run(), name="authorization-changes"):
            yield self

    def tell(self, change: Change) -> None:
        """Pass a change on to this process and to every subscriber."""
        if change.version is not None:
            self._state_version = change.version
        for heard in self._listeners:
            heard(change)
        for queue in list(self._subscribers):
            try:
                queue.put_nowait(change)
            except asyncio.QueueFull:
                self._subscribers.discard(queue)

    async def _run(self) -> None:
        while True:
            try:
                async with listening(self._url, self.tell) as listener:
                    # Whatever was said while nobody listened is lost.
                    self.tell(Change("all", version=await listener.version()))
                    while True:
                        begun = self._monotonic()
                        await listener.prove()
                        try:
                            await self._ask_roles()
                        except Problem as problem:
                            self._note_away(str(problem))
                        else:
                            self._away = False
                            self._proven = begun
                            self.tell(Change("alive", version=self._state_version))
                        await asyncio.sleep(self._poll_seconds)
            except OSError as error:
                self._note_away(str(error))
                await asyncio.sleep(self._poll_seconds)

    def _note_away(self, reason: str) -> None:
        if not self._away:
            _log.warning("changes_unavailable", reason=reason)
        self._away = True

    async def _ask_roles(self) -> None:
        version = await self._role_version(self._roles_version or 0)
        if self._roles_version is not None and version != self._roles_version:
            self.tell(ROLES)
        self._roles_version = version
