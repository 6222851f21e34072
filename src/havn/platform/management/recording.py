"""Writing the history: one line for each change, in the transaction that makes it."""

from __future__ import annotations

from typing import Any

from havn.kit.clock import Clock
from havn.platform.management.actors import Actor
from havn.platform.management.store import Connection, history


class Recorder:
    """Writes what an actor changed, at the clock's time."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    async def record(
        self,
        connection: Connection,
        actor: Actor,
        action: str,
        object_: str,
        *,
        org: str | None = None,
        consumer: str | None = None,
        before: Any = None,
        after: Any = None,
    ) -> None:
        """One change to `object_` (kind and id), which concerns the owner `org` and the organisation `consumer`."""
        await history.add(
            connection,
            at=self.clock(),
            who=actor.who,
            address=actor.address,
            action=action,
            object_=object_,
            org=org,
            consumer=consumer,
            before=before,
            after=after,
        )
