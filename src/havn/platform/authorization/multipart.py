"""The one file of a multipart form (RFC 7578)."""

from __future__ import annotations

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from havn.kit.problem import Problem
from havn.kit.web import read_body

_ENVELOPE = 16 * 1024
_MAX_PARTS = 10


async def read_file(request: Request, field: str, limit: int) -> bytes:
    """The content of the part named `field`; 400 without it or when the body is no form, 413 when it is too large."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise Problem(400, f"Send a form with the file {field}.", code="invalid_multipart")
    body = await read_body(request, limit + _ENVELOPE)
    found = _File(field.encode())
    try:
        parser = MultipartParser(boundary, found.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except (MultipartParseError, ValueError):
        raise Problem(400, "The form cannot be read.", code="invalid_multipart") from None
    if found.content is None:
        raise Problem(400, f"The form holds no file {field}.", code="file_missing")
    if len(found.content) > limit:
        raise Problem(413, f"The file is larger than {limit} bytes.", code="too_large", limit=limit)
    return bytes(found.content)


class _File:
    """What the parser calls; keeps the wanted part only."""

    def __init__(self, field: bytes) -> None:
        self.content: bytearray | None = None
        self._wanted = field
        self._header = b""
        self._value = b""
        self._named = b""
        self._parts = 0

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._field,
            "on_header_value": self._text,
            "on_header_end": self._end,
            "on_part_data": self._data,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise ValueError("too many parts")
        self._named = self._header = self._value = b""

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _text(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._named = parse_options_header(self._value)[1].get(b"name", b"")
            if self._named == self._wanted:
                if self.content is not None:
                    raise ValueError("the file is there twice")
                self.content = bytearray()
        self._header = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._named == self._wanted and self.content is not None:
            self.content += data[start:end]
