"""Changing an instance: decided on what is stored, then done under the row's lock if that still holds.

Nothing that may wait on another part happens inside the transaction. The decision is made before it, on the version
read; inside, the row is held and its version compared. When another writer came between, a change of circumstances
that the decision rested on (task, archived, deleted) makes us decide again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from starlette.requests import Request

from havn.guard.middleware import require_principal
from havn.guard.principal import Principal
from havn.kit.problem import Problem
from havn.platform.storage import conditions
from havn.platform.storage.access import not_found
from havn.platform.storage.conditions import LockToken, Versions
from havn.platform.storage.store import Connection, Database, instances
from havn.platform.storage.store.instances import NewInstance, to_new
from havn.platform.storage.store.rows import Stored

T = TypeVar("T")
_ATTEMPTS = 5


class Call(msgspec.Struct, frozen=True):
    """Who asks for a change, and what they expect to find."""

    principal: Principal
    if_match: Versions | None = None
    lock: LockToken | None = None

    @classmethod
    def of(cls, request: Request) -> Call:
        """From the request; 401 when nobody is signed in, 400 when a condition cannot be read."""
        return cls(require_principal(request), conditions.if_match(request), conditions.lock_token(request))


class Changes:
    """Runs changes against the database."""

    def __init__(self, database: Database, links: str, *, enforce_locks: bool) -> None:
        self.database = database
        self._links = links
        self._enforce_locks = enforce_locks

    async def find(self, guid: str) -> Stored:
        """The instance, or 404."""
        stored = await instances.find(self.database, guid, self._links)
        if stored is None:
            raise not_found()
        return stored

    def made(self, new: NewInstance, application_version: int) -> Stored:
        """The instance that `new` has become."""
        return to_new(new, self._links, application_version)

    async def run(
        self,
        guid: str,
        call: Call,
        allow: Callable[[Stored], Awaitable[None]],
        act: Callable[[Connection, Stored], Awaitable[T]],
        *,
        seen: Stored | None = None,
        heed_lock: bool = True,
        match: bool = True,
    ) -> T:
        """Do `act` in a transaction once `allow` has raised nothing.

        `seen` is an instance just read and already allowed. `heed_lock`: 409 while another holds the instance's lock.
        `match`: `If-Match` speaks of the instance (412), rather than of something `act` will check itself.
        """
        for _ in range(_ATTEMPTS):
            if seen is None:
                seen = await self.find(guid)
                await allow(seen)
            async with self.database.transaction() as connection:
                held = await instances.hold(connection, guid)
                if held is None:
                    raise not_found()
                current = seen if held.version == seen.version else await self.reread(connection, guid)
                if _circumstances(current) == _circumstances(seen):
                    if heed_lock:
                        self.heed(held.lock_hash, call)
                    if match and call.if_match is not None:
                        call.if_match.check(current.version)
                    return await act(connection, current)
            seen = None
        raise Problem(409, "Others keep changing the instance. Try again.", code="busy", headers={"Retry-After": "1"})

    def heed(self, lock_hash: bytes | None, call: Call) -> None:
        """409 when another holds the lock."""
        if not self._enforce_locks or lock_hash is None:
            return
        if call.lock is None or call.lock.digest != lock_hash:
            raise Problem(409, "Another process holds the lock of this instance.", code="instance_locked")

    async def reread(self, connection: Connection, guid: str) -> Stored:
        """The instance as the transaction has made it."""
        stored = await instances.find(connection, guid, self._links)
        assert stored is not None
        return stored


def _circumstances(stored: Stored) -> tuple[object, ...]:
    status = stored.status
    return stored.task, stored.end_event, status.is_archived, status.is_soft_deleted, status.is_hard_deleted
