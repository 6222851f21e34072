"""The public keys of an issuer (RFC 7517), fetched when needed, kept a while, and never fetched in a storm."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from joserfc import jwk
from joserfc.errors import JoseError
from joserfc.jwk import Key

from havn.kit.clock import Clock
from havn.kit.problem import Problem

Fetch = Callable[[], Awaitable[Mapping[str, Any]]]

FRESH_SECONDS = 300
STALE_SECONDS = 3600
"""How long known keys go on being trusted while the issuer cannot be asked."""


class KeyCache:
    """One issuer's keys by key id.

    Asked for anew when `FRESH_SECONDS` old, so that a withdrawn key stops working; and when a key id is unknown, at
    most `refetches` times in 60 seconds, so that a stream of invented key ids costs the issuer nothing.
    `generation` grows whenever the set of keys changes: what was verified under an older one is verified again.
    """

    def __init__(self, fetch: Fetch, *, clock: Clock, refetches: int = 1) -> None:
        self._fetch = fetch
        self._clock = clock
        self._refetches = refetches
        self._recent: deque[datetime] = deque(maxlen=refetches)
        self._keys: dict[str, tuple[Key, Mapping[str, Any]]] = {}
        self._document: Any = None
        self._fetched: datetime | None = None
        self._tried: datetime | None = None
        self._lock = asyncio.Lock()
        self.generation = 0

    async def find(self, kid: str) -> tuple[Key, Mapping[str, Any]] | None:
        """The key and its published members, or None when the issuer has no such key. 503 when it cannot be asked."""
        if self._age() > FRESH_SECONDS:
            async with self._lock:
                if self._age() > FRESH_SECONDS:
                    await self._refresh()
        found = self._keys.get(kid)
        if found is None and self._may_refetch():
            async with self._lock:
                # Another caller may have fetched while this one waited.
                if kid not in self._keys and self._may_refetch():
                    self._recent.append(self._clock())
                    await self._refresh()
            found = self._keys.get(kid)
        return found

    def _age(self) -> float:
        return float("inf") if self._fetched is None else (self._clock() - self._fetched).total_seconds()

    def _may_refetch(self) -> bool:
        if self._age() <= 0:
            return False
        return len(self._recent) < self._refetches or (self._clock() - self._recent[0]).total_seconds() >= 60

    async def _refresh(self) -> None:
        now = self._clock()
        if self._tried is not None and self._fetched != self._tried and (now - self._tried).total_seconds() < 1:
            # The last attempt failed a moment ago.
            if self._age() > STALE_SECONDS:
                raise _unavailable()
            return
        self._tried = now
        try:
            document = await self._fetch()
            keys = _read(document)
        except (Problem, JoseError, ValueError, TypeError, KeyError) as error:
            if self._age() > STALE_SECONDS:
                raise _unavailable() from error
            return
        self._fetched = now
        if document != self._document:
            self._document, self._keys = document, keys
            self.generation += 1


def _read(document: Mapping[str, Any]) -> dict[str, tuple[Key, Mapping[str, Any]]]:
    keys: dict[str, tuple[Key, Mapping[str, Any]]] = {}
    for member in document["keys"]:
        if member.get("use", "sig") != "sig" or member.get("kty") not in ("RSA", "EC"):
            continue
        # Only what a public key has: members of our own, such as the app a key belongs to, stay beside it.
        public = {
            name: member[name] for name in ("kty", "kid", "use", "alg", "n", "e", "crv", "x", "y") if name in member
        }
        keys[str(member["kid"])] = (jwk.import_key(public), member)
    return keys


def _unavailable() -> Problem:
    return Problem(
        503,
        "The keys that tokens are checked with cannot be fetched just now.",
        code="keys_unavailable",
        headers={"Retry-After": "2"},
    )
