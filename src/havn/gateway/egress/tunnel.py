"""The two ends of a tunnel: bytes pass from one connection to the other, unread, at the slower one's pace."""

from __future__ import annotations

import asyncio
from typing import cast


class Tunnel:
    """Both ends, how much went each way, and when it ended. `limit` is the bytes both ways together."""

    __slots__ = ("_limit", "client", "ended", "reason", "target")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.client = End(self)
        self.target = End(self)
        self.client.other, self.target.other = self.target, self.client
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.reason = "closed"

    @property
    def moved(self) -> int:
        """Bytes both ways."""
        return self.client.count + self.target.count

    def start(self, client: asyncio.Transport, early: bytes) -> None:
        """Begin, with the client's connection (paused) and what it has sent too early."""
        self.client.transport = client
        if self.target.early:
            # Some servers speak first, and may have done so before the client's side stood.
            client.write(bytes(self.target.early))
            self.target.early.clear()
            if self.target.transport is not None:
                self.target.transport.resume_reading()
        if early:
            self.client.data_received(early)
        if not self.ended.done():
            client.resume_reading()

    def over(self) -> bool:
        """Whether the limit is passed."""
        return bool(self._limit) and self.moved > self._limit

    def close(self, reason: str) -> None:
        """End it now."""
        if not self.ended.done():
            self.reason = reason
            self.ended.set_result(None)
        self.abort()

    def abort(self) -> None:
        """Close both connections, throwing away what was not sent."""
        for end in (self.client, self.target):
            if end.transport is not None:
                end.transport.abort()


class End(asyncio.Protocol):
    """One side's connection."""

    __slots__ = ("_finished", "_tunnel", "count", "early", "other", "transport")
    other: End

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel
        self.transport: asyncio.Transport | None = None
        self.count = 0
        self.early = bytearray()
        self._finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass on."""
        self.count += len(data)
        sink = self.other.transport
        if sink is not None:
            sink.write(data)
        else:
            self.early += data
            if self.transport is not None:
                self.transport.pause_reading()
        if self._tunnel.over():
            self._tunnel.close("byte_limit")

    def pause_writing(self) -> None:
        """This side is slow: read no more from the other."""
        if self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """This side has caught up."""
        if self.other.transport is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def eof_received(self) -> bool:
        """This side will send no more: say so to the other, which may still have something to say."""
        self._finished = True
        sink = self.other.transport
        if self.other._finished or sink is None or sink.is_closing() or not sink.can_write_eof():  # noqa: SLF001
            return False
        sink.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone: what is still on its way to the other side is sent, then that closes too."""
        if self.other.transport is not None:
            self.other.transport.close()
        if not self._tunnel.ended.done():
            self._tunnel.ended.set_result(None)
