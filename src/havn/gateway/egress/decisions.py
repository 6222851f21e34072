"""One line a request: who wanted what, what was decided by which rule, how it went. Never a path, query or value."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from typing import Literal

import msgspec

from havn.kit.clock import Clock

_PARENT = re.compile(rb"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_FLUSH_SECONDS = 0.1
_FLUSH_LINES = 256

Result = Literal["allow", "deny", "limit", "error", "identity"]


class Decision(msgspec.Struct, tag_field="event", tag="egress", rename="camel", omit_defaults=True, kw_only=True):
    """The line, filled in as the request goes on; written once, at its end."""

    timestamp: str = ""
    trace_id: str
    result: Result
    org: str = ""
    app: str = ""
    kind: Literal["connect", "http", "upstream", "unknown"] = "unknown"
    upstream: str = ""
    host: str = ""
    port: int = 0
    method: str = ""
    address: str = ""
    mode: str = ""
    rule: str = ""
    reason: str = ""
    would_deny: bool = False
    add: str = ""
    """The line that would allow it."""
    credentials: tuple[str, ...] = ()
    status: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    ms: float = 0.0


class DecisionLog:
    """Writes decisions as JSON lines, some at a time, in the order they ended."""

    def __init__(self, write: Callable[[bytes], object], clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._encoder = msgspec.json.Encoder()
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, decision: Decision) -> None:
        """Write the line soon."""
        decision.timestamp = self._clock().isoformat(timespec="milliseconds")
        self._lines.append(self._encoder.encode(decision))
        if len(self._lines) >= _FLUSH_LINES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            data = b"\n".join(self._lines) + b"\n"
            self._lines.clear()
            self._write(data)


def trace_of(traceparent: bytes | None) -> str:
    """The trace id that the request carries, or a fresh one."""
    match = _PARENT.fullmatch(traceparent) if traceparent else None
    return match[1].decode() if match else os.urandom(16).hex()
