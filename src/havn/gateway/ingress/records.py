"""The access log: one line for every request, in the JSON that Traefik writes, nothing personal in it.

Lines of one turn of the event loop are written together, before the next turn begins. The file is rotated by size;
`path.1` is the one before.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec

from havn.engines.levels.records import SUBSCRIPTION_HEADER, VERSION_HEADER, Line, mask_path, stamp, truncate_address
from havn.kit.http1.head import Field, RequestHead, ResponseHead

_KEEP = 5
_SUBSCRIPTION = SUBSCRIPTION_HEADER.lower().encode()
_VERSION = VERSION_HEADER.lower().encode()


class Exchange:
    """What is noted of one request while it runs; `status` 0: nobody answered yet.

    Times are `time.perf_counter()`: the event loop's own clock only has whole milliseconds.
    """

    __slots__ = (
        "began", "origin_began", "origin_ended", "origin_status", "peer", "refusal", "request", "route", "start",
        "status", "subscription", "upstream", "version",
    )  # fmt: skip

    def __init__(self, start: int, began: float, peer: str, request: RequestHead | None) -> None:
        self.start = start
        self.began = began
        self.peer = peer
        self.request = request
        self.route = ""
        self.upstream = ""
        self.origin_began: float | None = None
        self.origin_ended: float | None = None
        self.origin_status = 0
        self.status = 0
        self.subscription = ""
        self.version = ""
        self.refusal = ""

    def answer(self, head: ResponseHead, fields: list[Field]) -> list[Field]:
        """Note the app's answer; returns `fields` without those that are for us alone."""
        self.origin_status = head.status
        kept = []
        for field in fields:
            if field[0] == _SUBSCRIPTION:
                self.subscription = field[1].decode("latin-1")
            elif field[0] == _VERSION:
                self.version = field[1].decode("latin-1")
            else:
                kept.append(field)
        return kept


class AccessLog:
    """Writes to `path`. A full disk loses lines, never requests; `lost` counts them."""

    def __init__(self, path: Path, *, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._path = path
        self._max = max_bytes
        self._lines: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self.lost = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open()

    def write(self, exchange: Exchange, ended: float) -> None:
        """Add the line of a request that is over."""
        request = exchange.request
        duration = _nanoseconds(ended - exchange.began)
        origin = 0
        if exchange.origin_began is not None:
            origin = _nanoseconds((exchange.origin_ended or ended) - exchange.origin_began)
        line = Line(
            start=stamp(exchange.start),
            duration=duration,
            origin_duration=origin,
            overhead=max(duration - origin, 0),
            origin_status=exchange.origin_status,
            status=exchange.status,
            host=_host(request.host) if request is not None else "",
            path=mask_path(request.target.decode("latin-1")) if request is not None else "",
            method=request.method.decode("latin-1") if request is not None else "",
            router=exchange.route,
            origin=exchange.upstream,
            client=truncate_address(exchange.peer),
            refusal=exchange.refusal,
            subscription=exchange.subscription,
            version=exchange.version,
        )
        if not self._lines:
            self._loop.call_soon(self.flush)
        self._lines.append(msgspec.json.encode(line))

    def flush(self) -> None:
        """Write what waits."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        data = b"\n".join(lines) + b"\n"
        try:
            if self._size and self._size + len(data) > self._max:
                self._rotate()
            # Whole lines in one call, so that a reader never finds two of them mixed.
            written = os.write(self._file, data)
            self._size += written
            if written < len(data):
                self.lost += 1
                os.write(self._file, b"\n")
        except OSError:
            self.lost += len(lines)

    def close(self) -> None:
        """Write what waits and close."""
        self.flush()
        os.close(self._file)

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._size = os.fstat(self._file).st_size

    def _rotate(self) -> None:
        for number in range(_KEEP - 1, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            if older.exists():
                older.replace(self._path.with_name(f"{self._path.name}.{number + 1}"))
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        os.close(self._file)
        self._open()


def _nanoseconds(seconds: float) -> int:
    return max(round(seconds * 1_000_000_000), 0)


def _host(host: bytes) -> str:
    return host.decode("latin-1").lower().rpartition("]")[2].partition(":")[0].rstrip(".") or host.decode("latin-1")
