"""Connections out: resolved once, every address checked, and the checked address dialled, never the name again."""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

import msgspec

from havn.engines.egress_policy import Networks, refusal
from havn.gateway.egress.resolver import NoSuchName, Resolver, ResolverAway
from havn.kit.http1.wire import Wire

P = TypeVar("P", bound=asyncio.BaseProtocol)

_TRIED_ADDRESSES = 4
_BREAK_AFTER = 5
_BREAK_SECONDS = 10.0
_KEEP_SECONDS = 10.0
_KEEP_EACH = 16
_MAX_BREAKERS = 5000


class AddressRefused(Exception):
    """One of the name's addresses may not be dialled; `reason` is a short word."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address} is {reason}")
        self.address = address
        self.reason = reason


class Unreachable(Exception):
    """No connection could be made; `kind` is one of dns, connect, timeout, tls, broken_circuit."""

    def __init__(self, kind: str, detail: str, status: int = 502) -> None:
        super().__init__(detail)
        self.kind = kind
        self.status = status


class Dialler:
    """Makes checked connections. `allowed` and `denied` are the operator's ranges (see `refusal`)."""

    def __init__(self, resolver: Resolver, *, allowed: Networks = (), denied: Networks = ()) -> None:
        self._resolver = resolver
        self._allowed = allowed
        self._denied = denied
        self._failures: dict[tuple[str, int], tuple[int, float]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Every address of `host`, all of them permitted. Raises `AddressRefused`, `Unreachable`."""
        try:
            found = await self._resolver.resolve(host)
        except NoSuchName:
            raise Unreachable("dns", f"The name {host} does not exist.") from None
        except ResolverAway:
            raise Unreachable("dns", f"The name {host} could not be looked up in time.", 504) from None
        for address in found:
            # One bad address spoils them all: a name that leads inside even sometimes is an attempt.
            if (reason := refusal(address, allowed=self._allowed, denied=self._denied)) is not None:
                raise AddressRefused(address, reason)
        return found

    async def connect(
        self,
        host: str,
        port: int,
        make: Callable[[], P],
        *,
        seconds: float,
        tls: ssl.SSLContext | None = None,
    ) -> tuple[asyncio.Transport, P, str]:
        """A connection to one of the addresses of `host`, and that address.

        After several failures in a row a destination is left alone for some seconds.
        """
        loop = asyncio.get_running_loop()
        key = (host, port)
        failures, until = self._failures.get(key, (0, 0.0))
        if failures >= _BREAK_AFTER and loop.time() < until:
            raise Unreachable("broken_circuit", f"{host} has not been reachable; it is tried again in some seconds.")
        try:
            async with asyncio.timeout(seconds):
                made = await self._dial(host, port, make, tls, seconds)
        except TimeoutError:
            self._failed(key, failures)
            raise Unreachable("timeout", f"{host} did not take the connection in time.", 504) from None
        except Unreachable as error:
            if error.kind != "dns":
                self._failed(key, failures)
            raise
        if failures:
            self._failures.pop(key, None)
        return made

    async def _dial(
        self, host: str, port: int, make: Callable[[], P], tls: ssl.SSLContext | None, seconds: float
    ) -> tuple[asyncio.Transport, P, str]:
        loop = asyncio.get_running_loop()
        addresses = (await self.addresses(host))[:_TRIED_ADDRESSES]
        last: Unreachable | None = None
        for number, address in enumerate(addresses):
            try:
                # The last address may take all the time that is left.
                async with asyncio.timeout(seconds / 2 if number < len(addresses) - 1 else None):
                    transport, protocol = await loop.create_connection(
                        make, address, port, ssl=tls, server_hostname=host if tls is not None else None
                    )
                return transport, protocol, address
            except ssl.SSLError as error:
                reason = getattr(error, "verify_message", "") or error.reason or "the handshake failed"
                raise Unreachable("tls", f"No trusted TLS connection to {host}: {reason}.") from None
            except TimeoutError:
                if number == len(addresses) - 1:
                    raise
            except OSError:
                last = Unreachable("connect", f"{host} does not take connections on port {port}.")
        raise last or Unreachable("timeout", f"{host} did not take the connection in time.", 504)

    def _failed(self, key: tuple[str, int], failures: int) -> None:
        if len(self._failures) >= _MAX_BREAKERS and key not in self._failures:
            self._failures.pop(next(iter(self._failures)))
        self._failures[key] = (failures + 1, asyncio.get_running_loop().time() + _BREAK_SECONDS)


class Key(msgspec.Struct, frozen=True):
    """What must be the same for a connection to be used again: never across apps or client certificates."""

    caller: str
    host: str
    port: int
    tls: bool
    certificate: str = ""


class Connections:
    """Connections kept open for a while after a request."""

    def __init__(self, dialler: Dialler) -> None:
        self._dialler = dialler
        self._idle: dict[Key, list[tuple[Wire, str, float]]] = defaultdict(list)

    async def take(
        self, key: Key, make: Callable[[], Wire], *, tls: ssl.SSLContext | None, seconds: float, reuse: bool
    ) -> tuple[Wire, str, bool]:
        """A connection, its address, and whether it has served before."""
        now = asyncio.get_running_loop().time()
        idle = self._idle.get(key)
        while reuse and idle:
            wire, address, since = idle.pop()
            if wire.idle and now - since < _KEEP_SECONDS:
                return wire, address, True
            wire.abort()
        _, wire, address = await self._dialler.connect(key.host, key.port, make, seconds=seconds, tls=tls)
        return wire, address, False

    def give(self, key: Key, wire: Wire, address: str, *, reusable: bool) -> None:
        """Hand it back."""
        if reusable and wire.idle and len(self._idle[key]) < _KEEP_EACH:
            self._idle[key].append((wire, address, asyncio.get_running_loop().time()))
        else:
            wire.close()

    def sweep(self) -> None:
        """Close what has rested too long."""
        now = asyncio.get_running_loop().time()
        for key in list(self._idle):
            kept = []
            for entry in self._idle[key]:
                if entry[0].idle and now - entry[2] < _KEEP_SECONDS:
                    kept.append(entry)
                else:
                    entry[0].close()
            if kept:
                self._idle[key] = kept
            else:
                del self._idle[key]

    def close(self) -> None:
        """Close them all."""
        for entries in self._idle.values():
            for wire, _, _ in entries:
                wire.close()
        self._idle.clear()
