"""Connections to upstreams, kept alive between requests and counted, so that a leaving upstream can be drained."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection

from havn.kit.http1.wire import Wire

_KEEP_SECONDS = 10.0
_KEEP_PER_UPSTREAM = 64


class Pool:
    """Open and idle connections by address, `host:port`.

    Idle connections are dropped after ten seconds: earlier than servers do, so that we rarely send a request on a
    connection that is being closed at the other end.
    """

    def __init__(self, *, connect_timeout: float = 2.0) -> None:
        self._idle: dict[str, list[tuple[Wire, float]]] = defaultdict(list)
        self._busy: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._timeout = connect_timeout

    async def take(self, address: str, *, reuse: bool) -> tuple[Wire, bool]:
        """A connection to `address`, and whether it has served before. Raises OSError when none can be made."""
        loop = asyncio.get_running_loop()
        # Counted from now on, so that `drained` also waits for those who are only about to connect.
        self._busy[address] += 1
        idle = self._idle[address]
        while reuse and idle:
            wire, since = idle.pop()
            if wire.idle and loop.time() - since < _KEEP_SECONDS:
                return wire, True
            wire.abort()
        host, _, port = address.rpartition(":")
        try:
            async with asyncio.timeout(self._timeout):
                _, fresh = await loop.create_connection(Wire, host.strip("[]"), int(port))
        except BaseException as error:
            self._settle(address)
            if isinstance(error, TimeoutError):
                raise ConnectionError(f"{address} did not take the connection in time") from error
            raise
        return fresh, False

    def give(self, address: str, wire: Wire, *, reusable: bool) -> None:
        """Hand a connection back; it is kept when `reusable` and still sound."""
        idle = self._idle[address]
        if reusable and wire.idle and len(idle) < _KEEP_PER_UPSTREAM:
            idle.append((wire, asyncio.get_running_loop().time()))
        else:
            wire.close()
        self._settle(address)

    def keep_only(self, addresses: Collection[str]) -> None:
        """Close the idle connections of every other address."""
        for address in [known for known in self._idle if known not in addresses]:
            for wire, _ in self._idle.pop(address):
                wire.close()

    async def drained(self, addresses: Collection[str], seconds: float) -> bool:
        """Wait until no request is under way at any of `addresses`; False when some still are after `seconds`.

        Call it when no route leads there any more.
        """
        try:
            async with asyncio.timeout(seconds):
                while any(self._busy[address] for address in addresses):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        for address in addresses:
            for wire, _ in self._idle.pop(address, []):
                wire.close()
            del self._busy[address]
        return True

    def _settle(self, address: str) -> None:
        self._busy[address] -= 1
        if not self._busy[address]:
            self._changed.set()

    def close(self) -> None:
        """Close every idle connection."""
        self.keep_only(())
