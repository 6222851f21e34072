"""What is shut: apps in maintenance, and addresses that are blocked for a while."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime

import msgspec

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Closed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The app `name` (`org/app`, as its routes have it) answers 503 until it is taken off the list.

    `message` is shown to people as it stands, `until` is when it is expected back.
    """

    name: str
    message: str = ""
    until: datetime | None = None


class Blocked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests from `network` (an address or a range) are refused before `until`. Raises ValueError for no range."""

    network: str
    until: datetime

    def __post_init__(self) -> None:
        ipaddress.ip_network(self.network, strict=False)


class Shut:
    """Looks up both."""

    def __init__(self, closed: Sequence[Closed], blocked: Sequence[Blocked]) -> None:
        self._closed = {each.name: each for each in closed}
        self._blocked = [(ipaddress.ip_network(each.network, strict=False), each.until) for each in blocked]

    def closed(self, name: str) -> Closed | None:
        """The maintenance of an app, if it is in any."""
        return self._closed.get(name) if self._closed else None

    def blocked_until(self, peer: str, now: datetime) -> datetime | None:
        """When the last block on `peer` ends, or None when none is on it at `now`."""
        if not self._blocked:
            return None
        address = parse(peer)
        ends = [
            until
            for network, until in self._blocked
            if until > now and address is not None and address.version == network.version and address in network
        ]
        return max(ends, default=None)


def parse(peer: str) -> Address | None:
    """The address of a connection; one of IPv4 that is written as IPv6 is that of IPv4."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
