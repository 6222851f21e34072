"""Hearing of changes: which Apis are managed, and that nothing remembered of keys is out of date.

The stream gives the number of the last change twice a second. When the number is another, what is managed is read anew.
What was read last is kept when it cannot be read; before it has been read for the first time nothing is known.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import structlog

from havn.contracts.metering import Managed, Stamp
from havn.guard.metering.table import NOTHING, Table
from havn.kit.background import background
from havn.kit.problem import Problem

LEASE_SECONDS = 1.0
FIRST_SECONDS = 3.0
_RETRY_SECONDS = (0.2, 3.0)
_NO_MANAGEMENT_SECONDS = 30.0
_log = structlog.get_logger("guard")


class Source(Protocol):
    """The management API, as seen from one app."""

    async def managed(self) -> Managed | None:
        """As `MeteringClient.managed`."""

    def changes(self) -> AsyncIterator[Stamp]:
        """As `MeteringClient.changes`."""


class Following:
    """The table in force, and whether a change would have been heard of; keep `running()` open while serving."""

    def __init__(self, source: Source, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._monotonic = monotonic
        self._heard: float | None = None
        self._version: int | None = None
        self._stale = asyncio.Event()
        self._first = asyncio.Event()
        self.generation = 0
        self.table: Table | None = None

    def fresh(self) -> bool:
        """Whether a change would have been heard of by now."""
        return self._heard is not None and self._monotonic() - self._heard < LEASE_SECONDS

    async def known(self) -> Table:
        """The table, waited for at first; 503 `Problem` when what is managed is not known."""
        if self.table is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_SECONDS):
                    await self._first.wait()
        if self.table is None:
            raise Problem(
                503,
                "What is managed here cannot be found out just now.",
                code="management_unavailable",
                headers={"Retry-After": "2"},
            )
        return self.table

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Following]:
        """Follow in the background for as long as the block lasts."""
        self._stale.set()
        async with (
            background(self._follow(), name="management-changes"),
            background(self._keep_reading(), name="managed-apis"),
        ):
            yield self

    def hear(self, version: int) -> None:
        """The number of the last change, as the stream tells it."""
        if version != self._version:
            self._version = version
            self.generation += 1
            self._stale.set()
        self._heard = self._monotonic()

    async def _follow(self) -> None:
        failures = 0
        while True:
            pause = _RETRY_SECONDS[1]
            try:
                async for stamp in self._source.changes():
                    failures = 0
                    self.hear(stamp.version)
            except Problem as problem:
                if problem.status == 404:
                    pause = _NO_MANAGEMENT_SECONDS
                elif failures == 0:
                    _log.warning("management_changes_unavailable", status=problem.status)
            failures += 1
            # Spread out, so that a thousand apps do not come back in the same moment.
            pause = min(pause, _RETRY_SECONDS[0] * 2 ** min(failures, 8)) * (0.5 + random.random() / 2)  # noqa: S311
            await asyncio.sleep(pause)

    async def read(self) -> None:
        """Read what is managed, now. Raises `Problem`, and then what was read last stays in force."""
        managed = await self._source.managed()
        if managed is not None:
            self.table = Table(managed.apis) if managed.apis else NOTHING
        elif self.table is None:
            # Where there has never been API management, nothing is managed; where it has, its route is gone for now.
            self.table = NOTHING
        self._first.set()

    async def _keep_reading(self) -> None:
        failures = 0
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                await self.read()
                failures = 0
            except Problem as problem:
                if failures == 0:
                    _log.warning("managed_apis_unavailable", status=problem.status)
                failures += 1
                self._stale.set()
                shortest, longest = _RETRY_SECONDS
                await asyncio.sleep(min(longest, shortest * 2 ** min(failures, 6)))
