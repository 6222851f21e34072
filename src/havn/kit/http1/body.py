"""Where a body ends: counting bytes, or undoing the chunked coding (RFC 9112 section 7.1), without trusting the sender.

Pure: bytes in, payload out. Chunks are undone and made anew rather than passed on, so that nobody behind ever reads a
chunk header that was written outside.
"""

from __future__ import annotations

import re

from havn.kit.http1.head import CHUNKED, UNTIL_CLOSE, BadMessage

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e]*)?")
_MAX_SIZE_LINE = 256
_MAX_TRAILER = 8 * 1024


class BodyReader:
    """Takes what arrives, gives the payload out, and says when the body is complete.

    `framing` is a number of bytes, CHUNKED or UNTIL_CLOSE. What lies beyond the end stays in the buffer given.
    """

    __slots__ = ("_chunked", "_left", "_until_close", "done")

    def __init__(self, framing: int) -> None:
        self._until_close = framing == UNTIL_CLOSE
        self._chunked: _Chunked | None = _Chunked() if framing == CHUNKED else None
        self._left = max(framing, 0)
        self.done = framing == 0

    def take(self, buffer: bytearray) -> bytes:
        """Remove from the front of `buffer` what belongs to the body and return its payload.

        Raises `BadMessage` when the coding is broken.
        """
        if self.done or not buffer:
            return b""
        if self._chunked is not None:
            payload = self._chunked.take(buffer)
            self.done = self._chunked.done
            return payload
        if self._until_close or len(buffer) <= self._left:
            payload = bytes(buffer)
            buffer.clear()
        else:
            payload = bytes(memoryview(buffer)[: self._left])
            del buffer[: self._left]
        if not self._until_close:
            self._left -= len(payload)
            self.done = self._left == 0
        return payload

    def ended(self) -> bool:
        """Whether the sender may close now: the body is complete, or ends with the connection."""
        return self.done or self._until_close


class _Chunked:
    __slots__ = ("_left", "_state", "_trailer", "done")

    def __init__(self) -> None:
        self._state = "size"
        self._left = 0
        self._trailer = 0
        self.done = False

    def take(self, buffer: bytearray) -> bytes:
        payload: list[bytes] = []
        while buffer and not self.done:
            if self._state == "data":
                piece = bytes(memoryview(buffer)[: self._left])
                del buffer[: len(piece)]
                self._left -= len(piece)
                payload.append(piece)
                if self._left == 0:
                    self._state = "end"
            elif self._state == "end":
                if len(buffer) < 2:
                    if buffer != b"\r":
                        raise BadMessage("A chunk does not end where it says.")
                    break
                if buffer[:2] != b"\r\n":
                    raise BadMessage("A chunk does not end where it says.")
                del buffer[:2]
                self._state = "size"
            elif not self._line(buffer):
                break
        return b"".join(payload)

    def _line(self, buffer: bytearray) -> bool:
        """Take one line, a chunk's size or a trailer field; False when it has not wholly arrived."""
        end = buffer.find(b"\r\n")
        limit = _MAX_SIZE_LINE if self._state == "size" else _MAX_TRAILER - self._trailer
        if end > limit or (end < 0 and len(buffer) > limit):
            raise BadMessage("A chunk header or trailer is too long.")
        if end < 0:
            if b"\n" in buffer:
                raise BadMessage("A chunk header is not valid.")
            return False
        line = bytes(memoryview(buffer)[:end])
        del buffer[: end + 2]
        if self._state == "size":
            match = _SIZE_LINE.fullmatch(line)
            if match is None:
                raise BadMessage("A chunk header is not valid.")
            self._left = int(match[1], 16)
            self._state = "data" if self._left else "trailer"
        elif line:
            # Trailer fields are dropped: nobody behind expects one, and a late Content-Length would be a trap.
            self._trailer += end + 2
        else:
            self.done = True
        return True


def chunk(payload: bytes) -> bytes:
    """`payload` (not empty) as one chunk."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


LAST_CHUNK = b"0\r\n\r\n"
