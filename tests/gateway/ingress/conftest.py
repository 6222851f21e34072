"""A real gateway in this process, real upstreams on loopback ports, and bytes sent exactly as written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from havn.gateway.ingress.routes import Route, Table
from havn.gateway.ingress.server import Ingress
from havn.kit.http1.relay import Timeouts

HOST = "ttd.apps.havn.localhost"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Upstream:
    """A server that does what `talk` says with each connection, and remembers what was sent to it."""

    address: str
    server: asyncio.Server
    received: bytearray = field(default_factory=bytearray)
    connections: int = 0


@dataclass
class Gateway:
    ingress: Ingress
    port: int
    version: int = 0

    def route(self, *upstreams: str, prefix: str = "/first", name: str = "ttd/first") -> None:
        self.version += 1
        self.ingress.replace(Table(self.version, (Route(host=HOST, prefix=prefix, upstreams=upstreams, name=name),)))

    async def send(self, data: bytes) -> bytes:
        """Everything the gateway answers to `data`, until it closes."""
        async with self.connect() as (reader, writer):
            writer.write(data)
            return await asyncio.wait_for(reader.read(), 10)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.close()


@pytest.fixture
async def gateway():
    ingress = Ingress(timeouts=Timeouts(head=0.3, idle=5, body=0.3, answer=0.5, take=5))
    port = await ingress.listen("127.0.0.1", 0)
    yield Gateway(ingress, port)
    await ingress.close(1)


@pytest.fixture
async def upstream():
    """`await upstream(talk)` starts a server."""
    started: list[Upstream] = []

    async def start(talk: Talk) -> Upstream:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            made.connections += 1
            try:
                await talk(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        made = Upstream(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", server)
        started.append(made)
        return made

    yield start
    for each in started:
        each.server.close()


@pytest.fixture
def head():
    """`head(*lines)`: a request for the app with these header lines."""

    def make(*lines: str, method: str = "GET", target: str = "/first", host: str = HOST, close: bool = True) -> bytes:
        fields = [f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, *(["Connection: close"] if close else [])]
        return "".join(f"{line}\r\n" for line in fields).encode() + b"\r\n"

    return make


@pytest.fixture
def answering():
    """`answering(response, seen)`: a talk that reads each request and its body, keeps them in `seen`, and answers."""

    def make(response: bytes, seen: list[bytes] | None = None) -> Talk:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = b""
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        body = await reader.readexactly(int(line.split(b":")[1]))
                    elif line == b"transfer-encoding: chunked":
                        while not body.endswith(b"0\r\n\r\n"):
                            body += await reader.read(65536)
                if seen is not None:
                    seen.append(head + body)
                writer.write(response)
                await writer.drain()

        return talk

    return make
