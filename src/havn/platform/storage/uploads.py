"""An upload on its way in: raw body or the first part of a multipart one (RFC 7578), its name and type, bounded.

Nothing is kept in memory beyond the piece in hand, and a file name is only ever shown, never used as a path.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import quote, unquote, unquote_plus

import msgspec
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from havn.kit.problem import Problem

_MEDIA_TYPE = re.compile(r"[\w.+!#$&^-]+/[\w.+!#$&^-]+(?:\s*;\s*[\w-]+=(?:[\w.+-]+|\"[\w .+-]*\"))*")
_PARAMETER = re.compile(r';\s*([\w!#$%&+.^`|~-]+\*?)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/]")
_MAX_PART_HEADERS = 16 * 1024
DEFAULT_TYPE = "application/octet-stream"


class Upload:
    """The content of a request: read `chunks` to the end, then `size` and `sha256` are known."""

    def __init__(self, chunks: AsyncIterator[bytes], content_type: str, filename: str | None, limit: int) -> None:
        self._chunks = chunks
        self._limit = limit
        self._hash = hashlib.sha256()
        self.content_type = content_type
        self.filename = filename
        self.size = 0

    @property
    def sha256(self) -> str:
        """Of what has been read so far, in lower-case hex."""
        return self._hash.hexdigest()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they come; 413 once there are too many."""
        async for chunk in self._chunks:
            self.size += len(chunk)
            if self.size > self._limit:
                raise _too_large(self._limit)
            self._hash.update(chunk)
            yield chunk


async def receive(request: Request, limit: int, *, plus_is_space: bool = False) -> Upload:
    """Begin to read the request's content: everything before the first byte of it is known on return.

    Problems: 400 multipart that cannot be read; 413 when the length announced is already too much.
    """
    declared = request.headers.get("content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit + _MAX_PART_HEADERS:
        raise _too_large(limit)
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/"):
        name = _filename(request.headers.get("content-disposition"), plus_is_space=plus_is_space)
        return Upload(request.stream(), _media_type(content_type), name, limit)
    part = _FirstPart(request.stream(), _boundary(content_type), limit)
    await part.headers_read()
    disposition = part.headers.get("content-disposition")
    name = _filename(disposition, plus_is_space=plus_is_space)
    return Upload(part.content(), _media_type(part.headers.get("content-type", "")), name, limit)


class _FirstPart:
    """The first part of a multipart body; what follows it is read and dropped."""

    def __init__(self, stream: AsyncIterator[bytes], boundary: bytes, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._parser = MultipartParser(
            boundary,
            {
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_data,
                "on_part_end": self._on_part_end,
            },
        )
        self.headers: dict[str, str] = {}
        self._field = self._value = b""
        self._waiting: list[bytes] = []
        self._in_content = False
        self._ended = False

    async def headers_read(self) -> None:
        """Read until the part's headers are known."""
        read = 0
        async for chunk in self._stream:
            read += len(chunk)
            self._feed(chunk)
            if self._in_content or self._ended:
                return
            if read > _MAX_PART_HEADERS + len(chunk):
                raise _bad_multipart()
        raise _bad_multipart()

    async def content(self) -> AsyncIterator[bytes]:
        """The part's bytes."""
        while self._waiting:
            yield self._waiting.pop(0)
        dropped = 0
        async for chunk in self._stream:
            if self._ended:
                dropped += len(chunk)
                if dropped > self._limit:
                    raise _too_large(self._limit)
                continue
            self._feed(chunk)
            while self._waiting:
                yield self._waiting.pop(0)
        if not self._ended:
            raise _bad_multipart()

    def _feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except MultipartParseError:
            raise _bad_multipart() from None

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if not self._ended:
            self.headers[self._field.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        self._in_content = True

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if not self._ended:
            self._waiting.append(data[start:end])

    def _on_part_end(self) -> None:
        self._ended = True


def disposition(filename: str | None) -> dict[str, str]:
    """The `Content-Disposition` header of a download (RFC 6266); none without a name."""
    if filename is None:
        return {}
    plain = re.sub(r'[^\x20-\x7e]|["\\%]', "_", filename)
    value = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
    return {"content-disposition": value}


def _filename(header: str | None, *, plus_is_space: bool) -> str | None:
    """The name in a `Content-Disposition`: `filename*` before `filename`, percent-decoded, made harmless."""
    if header is None:
        return None
    found = {name.lower(): value.strip() for name, value in _PARAMETER.findall(header)}
    if (extended := found.get("filename*")) is not None:
        charset, _, rest = extended.strip('"').partition("'")
        _, quote_mark, encoded = rest.partition("'")
        if quote_mark and charset.lower() in ("utf-8", "iso-8859-1"):
            return _harmless(unquote(encoded, encoding=charset.lower()))
    name = found.get("filename")
    if name is None:
        return None
    if name.startswith('"') and name.endswith('"') and len(name) > 1:
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    # Servers hand headers over as Latin-1, many clients write UTF-8.
    with suppress(UnicodeError):
        name = name.encode("latin-1").decode("utf-8")
    return _harmless(unquote_plus(name) if plus_is_space else unquote(name))


def _harmless(name: str) -> str | None:
    return _UNSAFE.sub("_", name) or None


def _media_type(value: str) -> str:
    return value.strip() if _MEDIA_TYPE.fullmatch(value.strip()) else DEFAULT_TYPE


def _boundary(content_type: str) -> bytes:
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 0 < len(boundary) <= 200:
        raise _bad_multipart()
    return bytes(boundary)


def _bad_multipart() -> Problem:
    return Problem(400, "The multipart body cannot be read.", code="invalid_multipart")


def _too_large(limit: int) -> Problem:
    return Problem(413, f"The content is larger than {limit} bytes.", code="too_large", limit=limit)


class Received(msgspec.Struct, frozen=True):
    """An upload that has arrived and lies in the blob store."""

    blob_path: str
    size: int
    content_hash: str
    content_type: str
    filename: str | None
