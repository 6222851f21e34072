"""What each app uses just now, held against its limits: rate (GCRA), requests under way, tunnels."""

from __future__ import annotations

from collections import OrderedDict

from havn.engines.egress_policy.model import Limits

_MAX_IDLE = 10_000


class OverLimit(Exception):
    """A limit is reached; `limit` is its name in the policy, `retry_after` seconds (at least 1)."""

    def __init__(self, limit: str, retry_after: float = 1.0) -> None:
        super().__init__(limit)
        self.limit = limit
        self.retry_after = max(1, round(retry_after + 0.5))


class Usage:
    """One app's use."""

    __slots__ = ("_next", "requests", "tunnels")

    def __init__(self) -> None:
        self._next = 0.0
        self.requests = 0
        self.tunnels = 0

    def admit(self, limits: Limits, now: float) -> None:
        """Count a request against the rate. Raises `OverLimit`; a refused one costs nothing."""
        interval = 1 / limits.requests_per_second
        due = max(self._next, now)
        if due - now > interval * (limits.burst - 1) + 1e-9:
            raise OverLimit("requestsPerSecond", due - now - interval * (limits.burst - 1))
        self._next = due + interval

    def begin_request(self, limits: Limits) -> None:
        """One more under way; end it with `end_request`."""
        if self.requests >= limits.concurrent:
            raise OverLimit("concurrent")
        self.requests += 1

    def begin_tunnel(self, limits: Limits) -> None:
        """One more tunnel; end it with `end_tunnel`."""
        if self.tunnels >= limits.tunnels:
            raise OverLimit("tunnels")
        self.tunnels += 1

    def end_request(self) -> None:
        """A request has ended."""
        self.requests -= 1

    def end_tunnel(self) -> None:
        """A tunnel has ended."""
        self.tunnels -= 1


class Usages:
    """Every app's use, the longest unused forgotten first."""

    def __init__(self) -> None:
        self._apps: OrderedDict[str, Usage] = OrderedDict()

    def of(self, caller: str) -> Usage:
        """The use of `org/app`."""
        usage = self._apps.get(caller)
        if usage is None:
            usage = self._apps[caller] = Usage()
            for old in list(self._apps)[: max(0, len(self._apps) - _MAX_IDLE)]:
                if not self._apps[old].requests and not self._apps[old].tunnels:
                    del self._apps[old]
        return usage
