"""What storage does by itself, on one of its replicas at a time: sweeping blobs, and retention.

Retention: a hard-deleted instance goes for good when it was never archived, or a week after both its deletion and the
owner's confirmation; an element marked as deleted likewise. Soft-deleted instances stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog

from havn.kit.background import background
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.storage.contents import Contents
from havn.platform.storage.store import Database, garbage, instances

_WAIT = timedelta(days=7)
_KEYS_KEPT = timedelta(days=2)
_BATCH = 200
_EVERY_SECONDS = 60.0
_log = structlog.get_logger("storage")


class Housekeeping:
    """The rounds; each can be made at any time, and again."""

    def __init__(self, database: Database, contents: Contents, clock: Clock) -> None:
        self._database = database
        self._contents = contents
        self._clock = clock

    async def clean_instances(self) -> int:
        """Remove instances whose retention is over; how many."""
        now = self._clock()
        count = 0
        while taken := await garbage.take_expired_instances(self._database, now, now - _WAIT, _BATCH):
            count += taken
        await self._contents.sweep()
        return count

    async def clean_elements(self) -> int:
        """Remove elements whose retention is over; how many."""
        now = self._clock()
        count = 0
        while taken := await garbage.take_expired_elements(self._database, now, now - _WAIT, _BATCH):
            count += taken
        await self._contents.sweep()
        return count

    async def clean_app(self, org: str, app: str) -> int:
        """Remove every instance of an app; how many."""
        count = 0
        while taken := await garbage.take_instances_of(self._database, self._clock(), org, app, _BATCH):
            count += taken
        await self._contents.sweep()
        return count

    async def round(self) -> None:
        """Everything that is due now."""
        await self.clean_elements()
        await self.clean_instances()
        await instances.forget_keys(self._database, self._clock() - _KEYS_KEPT)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Make rounds, a minute apart, while the block lasts."""
        async with background(self._run(), name="housekeeping"):
            yield

    async def _run(self) -> None:
        while True:
            try:
                async with garbage.sole(self._database) as alone:
                    if alone:
                        await self.round()
            except (Problem, OSError) as error:
                _log.warning("housekeeping_failed", error=str(error))
            except Exception as error:  # noqa: BLE001 - the next round must come whatever went wrong in this one
                _log.error("housekeeping_failed", exc_info=error)
            await asyncio.sleep(_EVERY_SECONDS)
