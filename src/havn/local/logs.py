"""A log file of one app or component: lines with time and source, rotated by size, read back and followed."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path

from havn.clusters.port import LogLine
from havn.kit.clock import Clock, system_clock

_MAX_BYTES = 10 * 1024 * 1024
_KEEP = 3
_MAX_WAITING = 10_000


class LogFile:
    """Appends to `path`; `path`.1 to `path`.3 are the ones before."""

    def __init__(self, path: Path, *, clock: Clock = system_clock, max_bytes: int = _MAX_BYTES) -> None:
        self.path = path
        self._clock = clock
        self._max = max_bytes
        self._followers: set[asyncio.Queue[LogLine]] = set()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._size = path.stat().st_size

    def write(self, source: str, text: str) -> None:
        """Add one line. A full disk loses the line, never the process that wrote it."""
        line = LogLine(self._clock(), source, text)
        data = f"{line.time.isoformat(timespec='milliseconds')} {source} {text}\n".encode()
        try:
            if self._size + len(data) > self._max:
                self._rotate()
            self._file.write(data)
            self._size += len(data)
        except OSError:
            pass
        for queue in self._followers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(line)

    async def follow(self, lines: int) -> AsyncGenerator[LogLine, None]:
        """The newest `lines`, then each one as it comes."""
        queue: asyncio.Queue[LogLine] = asyncio.Queue(_MAX_WAITING)
        self._followers.add(queue)
        try:
            for line in last_lines(self.path, lines):
                yield line
            while True:
                yield await queue.get()
        finally:
            self._followers.discard(queue)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        for number in range(_KEEP, 1, -1):
            if _rotated(self.path, number - 1).exists():
                _rotated(self.path, number - 1).replace(_rotated(self.path, number))
        self.path.replace(_rotated(self.path, 1))
        self._file = self.path.open("ab", buffering=0)
        self._size = 0


def last_lines(path: Path, lines: int) -> list[LogLine]:
    """The newest `lines` of the log file at `path`, oldest first."""
    found: deque[LogLine] = deque(maxlen=max(lines, 0))
    for place in (_rotated(path, 1), path):
        if place.exists():
            with place.open(encoding="utf-8", errors="replace") as file:
                found.extend(line for text in file if (line := _parse(text)) is not None)
    return list(found)


class LogStream(io.TextIOBase):
    """A log file as a text stream, for libraries that print; `source` writes."""

    def __init__(self, log: LogFile, source: str) -> None:
        self._log = log
        self._source = source

    def writable(self) -> bool:
        """It is for writing only."""
        return True

    def write(self, text: str, /) -> int:
        """Each line goes to the log as it is complete; libraries print whole lines."""
        for line in text.splitlines():
            if line:
                self._log.write(self._source, line)
        return len(text)


def _rotated(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _parse(text: str) -> LogLine | None:
    time, _, rest = text.rstrip("\n").partition(" ")
    source, _, message = rest.partition(" ")
    try:
        return LogLine(datetime.fromisoformat(time), source, message)
    except ValueError:
        return None
