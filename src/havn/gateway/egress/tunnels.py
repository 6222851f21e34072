"""The tunnels that are open: watched for silence and age, and given notice when their rule is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from havn.engines.egress_policy import Request
from havn.engines.egress_policy.model import Limits
from havn.gateway.egress.metrics import Metrics
from havn.gateway.egress.tunnel import Tunnel
from havn.guard.platform_token import Caller


class OpenTunnel(msgspec.Struct, eq=False):
    """A tunnel, whose it is, and what its end depends on (all times are the loop's)."""

    tunnel: Tunnel
    org: str
    app: str
    request: Request
    idle: float
    ends: float
    moved: int = 0
    moved_at: float = 0.0
    notice: float | None = None


class OpenTunnels:
    """All of them."""

    def __init__(self, metrics: Metrics) -> None:
        self._open: set[OpenTunnel] = set()
        self._metrics = metrics

    def add(self, tunnel: Tunnel, caller: Caller, request: Request, limits: Limits) -> OpenTunnel:
        """Watch a tunnel from now on."""
        now = asyncio.get_running_loop().time()
        entry = OpenTunnel(
            tunnel, caller.org, caller.app, request, limits.idle_seconds, now + limits.total_seconds, moved_at=now
        )
        self._open.add(entry)
        self._metrics.tunnels.set(len(self._open))
        return entry

    def remove(self, entry: OpenTunnel) -> None:
        """It has ended."""
        self._open.discard(entry)
        self._metrics.tunnels.set(len(self._open))

    def recheck(self, allowed: Callable[[OpenTunnel], bool], seconds: float) -> None:
        """Give those that are not allowed any more `seconds`; take the notice back from those that are again."""
        deadline = asyncio.get_running_loop().time() + seconds
        for entry in self._open:
            if allowed(entry):
                entry.notice = None
            elif entry.notice is None:
                entry.notice = deadline

    def sweep(self) -> None:
        """End what is silent, too old, or past its notice."""
        now = asyncio.get_running_loop().time()
        for entry in list(self._open):
            moved = entry.tunnel.moved
            if moved != entry.moved:
                entry.moved, entry.moved_at = moved, now
            if entry.notice is not None and now >= entry.notice:
                entry.tunnel.close("rule_removed")
            elif now >= entry.ends:
                entry.tunnel.close("total_timeout")
            elif now - entry.moved_at >= entry.idle:
                entry.tunnel.close("idle_timeout")

    def close_all(self, reason: str) -> None:
        """End them all."""
        for entry in list(self._open):
            entry.tunnel.close(reason)
