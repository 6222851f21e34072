"""The routing table: which host and path prefix belong to which upstreams. Immutable; replaced as a whole."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import msgspec

from havn.gateway.ingress.shut import Blocked, Closed

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_UPSTREAM = re.compile(r"(127\.0\.0\.1|\[::1\]):[0-9]{1,5}")


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests for `host` (without port) under `prefix` (`/first`, or empty for all) go to `upstreams` in turn.

    `name` is what an error page calls it. Without upstreams, it is known but not running.
    """

    host: str
    prefix: str = ""
    upstreams: tuple[str, ...] = ()
    name: str

    def __post_init__(self) -> None:
        if not _HOST.fullmatch(self.host) or not _PREFIX.fullmatch(self.prefix):
            raise ValueError(f"{self.host}{self.prefix} is not a lower-case host with a plain path prefix")
        wrong = [upstream for upstream in self.upstreams if not _UPSTREAM.fullmatch(upstream)]
        if wrong:
            raise ValueError(f"{wrong[0]} is not a loopback address with a port")


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All routes, who is shut out and what is shut, with the version that the sender counts."""

    version: int
    routes: tuple[Route, ...] = ()
    closed: tuple[Closed, ...] = ()
    blocked: tuple[Blocked, ...] = ()


class Router:
    """Looks up routes of one table: the longest prefix of whole segments wins."""

    def __init__(self, table: Table) -> None:
        self.version = table.version
        self._hosts: dict[bytes, list[tuple[bytes, Route, Iterator[int]]]] = {}
        for route in table.routes:
            found = self._hosts.setdefault(route.host.encode(), [])
            found.append((route.prefix.encode(), route, itertools.count()))
        for found in self._hosts.values():
            found.sort(key=lambda entry: len(entry[0]), reverse=True)
        self.upstreams = frozenset(upstream for route in table.routes for upstream in route.upstreams)

    def knows(self, host: bytes) -> bool:
        """Whether any route is for this host (as `lookup` takes it)."""
        return host in self._hosts

    def lookup(self, host: bytes, target: bytes) -> tuple[Route, tuple[str, ...]] | None:
        """The route for `host` (lower case, no port) and request target, and its upstreams in the order to try."""
        path = target.partition(b"?")[0]
        for prefix, route, turn in self._hosts.get(host, ()):
            if not prefix or path == prefix or path.startswith(prefix + b"/"):
                upstreams = route.upstreams
                if len(upstreams) > 1:
                    start = next(turn) % len(upstreams)
                    upstreams = upstreams[start:] + upstreams[:start]
                return route, upstreams
        return None
