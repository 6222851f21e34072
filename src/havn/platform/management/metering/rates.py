"""The port to the counter store, where rates and requests under way are decided, and its form in memory.

One implementation is this process's memory, for when there is one process of the management API; the other is Valkey or
Redis, for when there are several. Both decide a bucket in one step and pass the same tests.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from havn.engines.limits import Bucket, Ledger, Taken, take

_MOST = 200_000


class Request(msgspec.Struct, frozen=True):
    """One settlement of one bucket, as `engines.limits.take` means it; `valid` in microseconds."""

    key: str
    bucket: Bucket
    holder: str
    keeps: int = 0
    returned: int = 0
    need: int = 0
    want: int = 0
    valid: int = 3_000_000


class StoreAwayError(Exception):
    """The counter store cannot be reached; nothing is known to have been counted."""


class RateStore(Protocol):
    """Where buckets are kept."""

    async def settle(self, requests: Sequence[Request]) -> list[Taken]:
        """Decide each request, atomically by bucket. Raises `StoreAwayError`."""

    async def close(self) -> None:
        """Close connections."""


def monotonic_micros() -> int:
    """A clock that never jumps, in microseconds."""
    return time.monotonic_ns() // 1000


class MemoryRates:
    """Buckets in this process's memory: gone with it, so after a restart every bucket is full.

    When there are more than 200,000 in use the one least lately used is forgotten.
    """

    def __init__(self, micros: Callable[[], int] = monotonic_micros) -> None:
        self._micros = micros
        self._ledgers: OrderedDict[str, Ledger] = OrderedDict()

    async def settle(self, requests: Sequence[Request]) -> list[Taken]:
        """As `RateStore.settle`."""
        now = self._micros()
        return [self._settle(request, now) for request in requests]

    def _settle(self, request: Request, now: int) -> Taken:
        ledger, taken = take(
            request.bucket,
            self._ledgers.pop(request.key, Ledger()),
            now=now,
            holder=request.holder,
            keeps=request.keeps,
            returned=request.returned,
            need=request.need,
            want=request.want,
            valid=request.valid,
        )
        # A full bucket that nobody holds of is what an unknown one is.
        if ledger.held or ledger.tat > now:
            self._ledgers[request.key] = ledger
            if len(self._ledgers) > _MOST:
                self._ledgers.popitem(last=False)
        return taken

    async def close(self) -> None:
        """Nothing to close."""
