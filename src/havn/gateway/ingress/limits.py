"""How much one address and one org may ask for at once, and how fast: coarse, to keep one from starving the others."""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict

import msgspec

from havn.gateway.ingress.shut import parse

_KNOWN = 10_000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one gateway; 0 is no bound. What an agreed plan gives is enforced elsewhere, and much more finely."""

    body_bytes: int = 1024 * 1024 * 1024
    upload_rate: int = 1024
    """Bytes a second that an upload must bring on average, after `upload_grace` seconds of waiting for it."""
    upload_grace: float = 30.0
    address_connections: int = 500
    address_requests: int = 400
    """Under way at once from one address (IPv6: one /64)."""
    address_rate: float = 1000.0
    """Requests a second from one address, in the long run."""
    address_burst: int = 5000
    org_requests: int = 1000
    """Under way at once to all apps of one org."""


class Gate:
    """Counts what is under way."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._connections: Counter[str] = Counter()
        self._addresses: Counter[str] = Counter()
        self._orgs: Counter[str] = Counter()
        # When each address will have used up nothing (GCRA): one number for each, the least recently seen forgotten.
        self._due: OrderedDict[str, float] = OrderedDict()

    def connect(self, address: str) -> bool:
        """Count a connection; False, and not counted, when there are too many."""
        return _enter(self._connections, address, self.limits.address_connections)

    def disconnect(self, address: str) -> None:
        """It is gone."""
        _leave(self._connections, address)

    def request(self, address: str) -> bool:
        """Count a request under way from an address; False, and not counted, when there are too many."""
        return _enter(self._addresses, address, self.limits.address_requests)

    def answered(self, address: str) -> None:
        """It is done."""
        _leave(self._addresses, address)

    def enter(self, org: str) -> bool:
        """Count a request under way to an org; False, and not counted, when there are too many."""
        return _enter(self._orgs, org, self.limits.org_requests)

    def leave(self, org: str) -> None:
        """It is done."""
        _leave(self._orgs, org)

    def wait(self, address: str, now: float) -> float:
        """Seconds until an address may ask again; 0 when it may now, which is then counted. `now` never goes back."""
        if not self.limits.address_rate:
            return 0.0
        step = 1 / self.limits.address_rate
        due = max(self._due.get(address, now), now)
        ahead = due - now - (self.limits.address_burst - 1) * step
        if ahead > 1e-9:
            return ahead
        self._due[address] = due + step
        self._due.move_to_end(address)
        if len(self._due) > _KNOWN:
            self._due.popitem(last=False)
        return 0.0


def bucket(peer: str) -> str:
    """What an address is counted as: itself, or its /64, which is what one customer of a network has."""
    address = parse(peer)
    if address is None or address.version == 4:
        return str(address or peer)
    return str(ipaddress.ip_network((address, 64), strict=False))


def _enter(counts: Counter[str], key: str, limit: int) -> bool:
    if limit and counts[key] >= limit:
        return False
    counts[key] += 1
    return True


def _leave(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if counts[key] <= 0:
        del counts[key]
