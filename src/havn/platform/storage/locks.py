"""The lock of an instance: taken for a while by whoever may work on the current task, kept with a secret."""

from __future__ import annotations

import base64
import secrets

from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.storage.access import Access, not_found
from havn.platform.storage.changes import Call, Changes
from havn.platform.storage.conditions import LockToken
from havn.platform.storage.ids import new_guid
from havn.platform.storage.store import locks
from havn.platform.storage.store.locks import Extension

_SECRET_BYTES = 20
_LONGEST_SECONDS = 24 * 3600


class Locks:
    """Takes and extends locks."""

    def __init__(self, changes: Changes, access: Access, clock: Clock) -> None:
        self._changes = changes
        self._access = access
        self._clock = clock

    async def take(self, call: Call, party: int, guid: str, ttl_seconds: int) -> str:
        """Hold the instance for `ttl_seconds`; gives the token. 409 while another holds it."""
        _check(ttl_seconds)
        stored = await self._changes.find(guid)
        if stored.party != party:
            raise not_found()
        await self._access.process(call.principal, stored)
        token = LockToken(
            new_guid(self._clock()),
            base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)).decode().rstrip("="),
        )
        by = call.principal.performed_by()
        if not await locks.take(self._changes.database, guid, token.id, token.digest, by, ttl_seconds):
            raise Problem(409, "The instance is locked by another.", code="instance_locked")
        return token.encode()

    async def extend(self, call: Call, guid: str, ttl_seconds: int) -> None:
        """Hold for `ttl_seconds` from now, 0 to release; the token is proof enough."""
        _check(ttl_seconds)
        if call.lock is None:
            raise Problem(400, "The lock token is missing.", code="invalid_lock_token")
        outcome = await locks.extend(self._changes.database, guid, call.lock.id, call.lock.digest, ttl_seconds)
        if outcome is Extension.UNKNOWN:
            raise not_found("lock")
        if outcome is Extension.WRONG_SECRET:
            raise Problem(403, "The lock token is not the one that holds the lock.", code="wrong_lock_token")
        if outcome is Extension.EXPIRED:
            raise Problem(422, "The lock has expired.", code="lock_expired")


def _check(ttl_seconds: int) -> None:
    if not 0 <= ttl_seconds <= _LONGEST_SECONDS:
        raise Problem(400, f"ttlSeconds must be 0 to {_LONGEST_SECONDS}.", code="invalid_ttl")
