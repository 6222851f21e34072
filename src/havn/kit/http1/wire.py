"""One TCP connection as an `asyncio.Protocol`: reading with back-pressure and deadlines, writing with the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from havn.kit.http1.body import BodyReader
from havn.kit.http1.head import MAX_HEAD, BadMessage

_HIGH_WATER = 256 * 1024


class ConnectionEnded(Exception):
    """The other side closed or broke the connection before the message was complete."""


class SlowPeer(Exception):
    """The other side did not send, or did not take, anything for too long."""


class Wire(asyncio.Protocol):
    """A connection. One task at a time may read from it, and one may write to it.

    `connected` is called with the wire once it is open; `lost` when it is gone.
    """

    def __init__(
        self,
        connected: Callable[[Wire], None] | None = None,
        lost: Callable[[Wire], None] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connected = connected
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.gone = False
        self._ended = False
        self._reading = True
        self._reader: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._full = False
        self.bytes_out = 0

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)
        if self._connected is not None:
            self._connected(self)

    def data_received(self, data: bytes) -> None:
        """Buffer, and stop reading when nobody takes it."""
        self.buffer += data
        if len(self.buffer) > _HIGH_WATER and self._reading:
            self._reading = False
            assert self._transport is not None
            self._transport.pause_reading()
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def eof_received(self) -> bool:
        """Close: a peer that stopped sending is taken to have left."""
        self._ended = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits."""
        self.gone = self._ended = True
        for waiter in (self._reader, self._writable):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        if self._lost is not None:
            self._lost(self)

    def pause_writing(self) -> None:
        """The peer takes less than we send."""
        self._full = True

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self._full = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # What we call.

    @property
    def peer(self) -> str:
        """The other side's address."""
        assert self._transport is not None
        name = self._transport.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) else ""

    @property
    def idle(self) -> bool:
        """Open, with nothing unread."""
        return not self.gone and not self._ended and not self.buffer

    async def more(self, seconds: float | None) -> bool:
        """Wait until something new has arrived; False when the other side has closed.

        Raises `SlowPeer` after `seconds`.
        """
        if self._ended:
            return False
        if not self._reading and self._transport is not None and len(self.buffer) <= _HIGH_WATER:
            self._reading = True
            self._transport.resume_reading()
        waiter = self._reader = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, _expire, waiter)
        before = len(self.buffer)
        try:
            await waiter
        finally:
            self._reader = None
            if timer is not None:
                timer.cancel()
        return len(self.buffer) > before

    async def head(self, first: float | None, rest: float) -> bytes | None:
        """The next message's head without its empty line; None when the other side closes before its first byte.

        `first` seconds may pass before the first byte, then `rest` before the last. Raises `BadMessage`, `SlowPeer`,
        `ConnectionEnded`.
        """
        buffer = self.buffer
        deadline: float | None = None
        searched = 0
        while True:
            if buffer[:2] == b"\r\n":
                del buffer[:2]  # RFC 9112 section 2.2: an empty line before a request is passed over
            if buffer:
                end = buffer.find(b"\r\n\r\n", searched)
                if 0 <= end <= MAX_HEAD:
                    found = bytes(memoryview(buffer)[:end])
                    del buffer[: end + 4]
                    return found
                if len(buffer) > MAX_HEAD:
                    raise BadMessage("The header fields are too large.", 431, "headers_too_large")
                if b"\n" in buffer[:1] or b"\0" in buffer[:1]:
                    raise BadMessage("This is not an HTTP message.")
                searched = max(0, len(buffer) - 3)
                now = self._loop.time()
                deadline = now + rest if deadline is None else deadline
                if now >= deadline:
                    raise SlowPeer
                timeout: float | None = deadline - now
            else:
                timeout = first if deadline is None else rest
            if not await self.more(timeout):
                if not buffer:
                    return None
                raise ConnectionEnded

    async def payload(self, body: BodyReader, seconds: float | None) -> bytes:
        """The next piece of `body`; empty when it is complete.

        Raises `BadMessage`, `SlowPeer`, and `ConnectionEnded` when the connection closes in the middle.
        """
        while True:
            piece = body.take(self.buffer)
            if piece or body.done:
                return piece
            if not await self.more(seconds):
                if body.ended():
                    return b""
                raise ConnectionEnded

    def write(self, data: bytes) -> None:
        """Send; never blocks, so follow with `drain` after anything large."""
        if not self.gone and self._transport is not None:
            self.bytes_out += len(data)
            self._transport.write(data)

    async def drain(self, seconds: float) -> None:
        """Wait until the peer has taken most of what was sent. Raises `SlowPeer`, `ConnectionEnded`."""
        while self._full and not self.gone:
            waiter = self._writable = self._loop.create_future()
            timer = self._loop.call_later(seconds, _expire, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._writable = None
        if self.gone:
            raise ConnectionEnded

    def hand_over(self, protocol: asyncio.Protocol) -> tuple[asyncio.Transport, bytes]:
        """Give the connection to `protocol`, paused; returns it with what was read already. This wire is then done."""
        assert self._transport is not None
        if self._reading:
            self._reading = False
            self._transport.pause_reading()
        self._transport.set_protocol(protocol)
        left = bytes(self.buffer)
        self.buffer.clear()
        return self._transport, left

    def close(self) -> None:
        """Close once everything written is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, throwing away what was not sent."""
        if self._transport is not None:
            self._transport.abort()

    async def linger(self, seconds: float, limit: int = 1024 * 1024) -> None:
        """Close after an answer that the peer did not wait for: end our side, then read on for a while.

        Closing with unread bytes would make the kernel send a reset, and the peer would lose the answer.
        """
        if self.gone or self._transport is None:
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        deadline = self._loop.time() + seconds
        read = 0
        try:
            while read < limit and (left := deadline - self._loop.time()) > 0:
                read += len(self.buffer)
                self.buffer.clear()
                if not await self.more(left):
                    break
        except SlowPeer:
            pass
        self.abort()


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(SlowPeer())
