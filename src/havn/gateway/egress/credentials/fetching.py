"""A form posted to a token server, by the same rules as everything that goes out, and its small answer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from havn.gateway.egress.dialling import AddressRefused, Dialler, Unreachable
from havn.kit.http1.body import BodyReader
from havn.kit.http1.head import BadMessage, Field, parse_response, write_head
from havn.kit.http1.wire import ConnectionEnded, SlowPeer, Wire

_MAX_ANSWER = 64 * 1024
_SECONDS = 10.0


class FetchFailed(Exception):
    """There is no usable answer; the message holds nothing secret."""


class TokenServers:
    """Posts forms. `tls` makes the context that decides who is believed."""

    def __init__(self, dialler: Dialler, tls: Callable[[], ssl.SSLContext]) -> None:
        self._dialler = dialler
        self._tls = tls

    async def post(self, url: str, form: dict[str, str], fields: list[Field]) -> tuple[int, bytes]:
        """Status and body of the answer; redirects are not followed. Raises `FetchFailed`."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or 443
        try:
            async with asyncio.timeout(_SECONDS):
                _, wire, _ = await self._dialler.connect(host, port, Wire, seconds=5.0, tls=self._tls())
                try:
                    return await _exchange(wire, parts.netloc, parts.path or "/", parts.query, form, fields)
                finally:
                    wire.close()
        except (Unreachable, AddressRefused) as error:
            raise FetchFailed(str(error)) from None
        except TimeoutError:
            raise FetchFailed(f"{host} did not answer in time") from None
        except (BadMessage, ConnectionEnded, SlowPeer):
            raise FetchFailed(f"{host} gave no usable answer") from None


async def _exchange(
    wire: Wire, authority: str, path: str, query: str, form: dict[str, str], fields: list[Field]
) -> tuple[int, bytes]:
    body = urlencode(form).encode()
    target = (f"{path}?{query}" if query else path).encode()
    head: list[Field] = [
        (b"host", authority.encode()),
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"accept", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *fields,
    ]
    wire.write(write_head(b"POST %b HTTP/1.1" % target, head) + body)
    while True:
        raw = await wire.head(_SECONDS, _SECONDS)
        if raw is None:
            raise ConnectionEnded
        answer = parse_response(raw, b"POST")
        if answer.status >= 200:
            break
    reader = BodyReader(answer.body)
    received = bytearray()
    while piece := await wire.payload(reader, _SECONDS):
        received += piece
        if len(received) > _MAX_ANSWER:
            raise BadMessage("too large")
    return answer.status, bytes(received)
