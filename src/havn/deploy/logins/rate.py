"""How often one address may call what is open to everybody: a bucket for each address, in the database.

All replicas count together, and a restart forgets nothing.
"""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import UTC, datetime, timedelta

from havn.deploy.logins.store import LoginStore
from havn.engines.limits import Bucket
from havn.kit.clock import Clock
from havn.kit.problem import Problem

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


class CallRate:
    """As many calls of one kind as `bucket` holds, and then as they flow in."""

    def __init__(self, store: LoginStore, clock: Clock, kind: str, bucket: Bucket) -> None:
        self._store = store
        self._clock = clock
        self._kind = kind
        self._bucket = bucket

    async def check(self, address: str) -> None:
        """Count a call; the 429 `Problem` with `Retry-After` (RFC 9110 section 10.2.3) when there were too many."""
        key = hashlib.sha256(f"{self._kind} {_caller(address)}".encode()).digest()
        taken = await self._store.take_call(key, self._bucket, (self._clock() - _EPOCH) // _MICROSECOND)
        if taken.granted:
            return
        seconds = max(1, -(-taken.wait // 1_000_000))
        raise Problem(
            429,
            f"There are too many sign-ins from this address: try again in {seconds} seconds.",
            code="too_many_calls",
            headers={"Retry-After": str(seconds)},
        )


def _caller(address: str) -> str:
    """What counts as one caller: an IPv4 address, or the /64 of an IPv6 address, all of which one machine may have."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found), 64), strict=False))
