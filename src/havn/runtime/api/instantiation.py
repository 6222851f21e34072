"""What a caller sends to make an instance: JSON, or a multipart body (RFC 7578) with its first data beside it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from havn.kit.problem import Problem
from havn.kit.web import MiB, decode_json, read_body
from havn.runtime.instances import OwnerRef, Part

MAX_PARTS = 50
MAX_BODY = 50 * MiB


class Owner(msgspec.Struct, frozen=True, rename="camel"):
    """Whom an instance is for."""

    party_id: str | int | None = None
    person_number: str | None = None
    organisation_number: str | None = None
    username: str | None = None
    external_identifier: str | None = None

    def reference(self) -> OwnerRef:
        """As the runtime asks; 400 for names that nobody can be looked up by."""
        numbered = self.party_id is not None or self.person_number or self.organisation_number
        if not numbered and (self.username or self.external_identifier):
            raise Problem(400, "An owner is named by partyId, personNumber or organisationNumber.", code="owner")
        party = None if self.party_id is None else str(self.party_id)
        return OwnerRef(party, self.person_number, self.organisation_number)


class Create(msgspec.Struct, frozen=True, rename="camel"):
    """Body of POST `instances/create`."""

    instance_owner: Owner | None = None
    prefill: dict[str, Any] | None = None
    due_before: datetime | None = None
    visible_after: datetime | None = None
    source_instance_id: str | None = None


class Instantiation(msgspec.Struct, frozen=True):
    """What a multipart body held."""

    template: Create | None
    parts: list[Part]


async def read_multipart(request: Request) -> Instantiation:
    """The parts: `instance` (JSON), and others named by data type.

    400 when one is not as it should be or when there are too many, 413 when the body is too large.
    """
    body = await read_body(request, MAX_BODY)
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if not boundary:
        raise Problem(400, "The multipart body names no boundary.", code="invalid_multipart")
    collected = _Collector()
    try:
        parser = MultipartParser(boundary, collected.callbacks())
        parser.write(body)
        parser.finalize()
    except (MultipartParseError, ValueError):
        raise Problem(400, "The multipart body cannot be read.", code="invalid_multipart") from None
    template: Create | None = None
    parts: list[Part] = []
    for name, part in collected.parts:
        if name == "instance":
            template = decode_json(part.content, Create, strict=False)
        elif name == "notification":
            raise Problem(400, "Notifications at instantiation are not offered.", code="notification_unsupported")
        else:
            parts.append(part)
    return Instantiation(template, parts)


class _Collector:
    """What the parser calls: headers and content of one part after the other."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, Part]] = []
        self._field = b""
        self._value = b""
        self._headers: dict[str, bytes] = {}
        self._content = bytearray()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) >= MAX_PARTS:
            raise ValueError("too many parts")
        self._headers, self._content = {}, bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._field.decode("latin-1").lower()] = self._value
        self._field = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]

    def _end(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", b"").decode("latin-1"))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        filename = options.get(b"filename")
        if not name:
            raise ValueError("a part has no name")
        self.parts.append(
            (
                name,
                Part(
                    data_type=name,
                    content_type=self._headers.get("content-type", b"application/octet-stream").decode("latin-1"),
                    content=bytes(self._content),
                    filename=filename.decode("utf-8", "replace") if filename else None,
                ),
            )
        )
