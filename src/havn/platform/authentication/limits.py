"""How often one address may call: counted per minute in the database, so that all replicas count together."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Protocol

from havn.kit.clock import Clock
from havn.kit.problem import Problem


class Counts(Protocol):
    """Where calls are counted."""

    async def count(self, key: bytes, slot: datetime) -> int:
        """Count one more call for `key` in the minute `slot`; returns how many there are."""


class RateLimit:
    """At most `limit` calls a minute of one kind from one address."""

    def __init__(self, counts: Counts, clock: Clock, *, kind: str, limit: int) -> None:
        self._counts = counts
        self._clock = clock
        self._kind = kind
        self._limit = limit

    async def check(self, address: str) -> None:
        """Count this call; 429 with `Retry-After` when there have been too many."""
        now = self._clock()
        slot = now.replace(second=0, microsecond=0)
        # Hashed: addresses of people are not kept longer than needed to count.
        key = hashlib.sha256(f"{self._kind}:{address}".encode()).digest()
        if await self._counts.count(key, slot) > self._limit:
            raise Problem(
                429,
                "There are too many calls from this address. Wait a minute.",
                code="too_many_calls",
                headers={"Retry-After": str(60 - now.second)},
            )
