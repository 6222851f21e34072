"""Events as others report and read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from havn.contracts.storage import InstanceEvent
from havn.guard.principal import Principal
from havn.kit.clock import Clock
from havn.platform.storage import happenings
from havn.platform.storage.access import Access, not_found
from havn.platform.storage.changes import Changes
from havn.platform.storage.store import events


class Events:
    """Reads and takes reports."""

    def __init__(self, changes: Changes, access: Access, clock: Clock) -> None:
        self._changes = changes
        self._access = access
        self._clock = clock

    async def add(self, principal: Principal, guid: str, event: InstanceEvent) -> InstanceEvent:
        """Write an event about this instance."""
        instance_id = await self._readable(principal, guid)
        written = happenings.reported(event, instance_id, self._clock())
        await events.insert(self._changes.database, guid, [written])
        return written

    async def listed(
        self, principal: Principal, guid: str, types: Sequence[str], start: datetime | None, end: datetime | None
    ) -> list[InstanceEvent]:
        """Oldest first; the interval counts only when both ends are given."""
        await self._readable(principal, guid)
        if start is None or end is None:
            start = end = None
        return await events.listed(self._changes.database, guid, types=types, start=start, end=end)

    async def one(self, principal: Principal, guid: str, event_guid: str) -> InstanceEvent:
        """One event of this instance; 404."""
        await self._readable(principal, guid)
        event = await events.find(self._changes.database, guid, event_guid)
        if event is None:
            raise not_found("event")
        return event

    async def _readable(self, principal: Principal, guid: str) -> str:
        stored = await self._changes.find(guid)
        await self._access.act(principal, stored, "read")
        assert stored.instance.id is not None
        return stored.instance.id
