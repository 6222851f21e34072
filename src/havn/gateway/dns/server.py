"""Serving DNS over UDP and TCP: what may be asked goes to the cluster's own DNS, all else is answered here."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import Any, cast

from havn.gateway.dns import messages
from havn.gateway.dns.messages import NotAQuestion, Question

_WITHIN = 2.0
_TRIES = 2
_AT_ONCE = 500
_IDLE_SECONDS = 10.0
_CONNECTIONS = 100

Allowed = Callable[[str], bool]
"""Whether a name may be asked for."""


def allowed(cluster_domain: str, hosts: frozenset[str]) -> Allowed:
    """Names of Services of the cluster, and these hosts; not the hosts' own subdomains."""
    services = f".svc.{cluster_domain}"
    return lambda name: name in hosts or name.endswith(services)


class Filter:
    """Answers queries. `upstream` is the address and port of the cluster's DNS."""

    def __init__(self, allowed: Allowed, upstream: tuple[str, int]) -> None:
        self._allowed = allowed
        self._upstream = upstream
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def answer(self, query: bytes, *, over_tcp: bool) -> bytes | None:
        """The answer; None when there is to be none."""
        try:
            question = messages.read(query)
        except NotAQuestion as error:
            return None if error.code is None else messages.refusal(query, error.code)
        if not self._allowed(question.name):
            return messages.refusal(query, messages.NO_SUCH_NAME, question)
        async with self._turns:
            # What stands beyond the question, such as options (RFC 6891), stays here: it might be a message too.
            asked = secrets.token_bytes(2) + b"\1\0\0\1\0\0\0\0\0\0" + query[12 : question.end]
            found = await self._ask(asked, question, over_tcp=over_tcp)
        if found is None:
            return messages.refusal(query, messages.SERVER_FAILURE, question)
        return query[:2] + found[2:]

    async def _ask(self, query: bytes, question: Question, *, over_tcp: bool) -> bytes | None:
        for _ in range(_TRIES):
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                async with asyncio.timeout(_WITHIN):
                    found = await (self._by_tcp(query) if over_tcp else self._by_udp(query, question))
                    if messages.answers(found, query, question):
                        return found
        return None

    async def _by_udp(self, query: bytes, question: Question) -> bytes:
        # A port of its own for each query, so that nobody can answer who does not see it.
        loop = asyncio.get_running_loop()
        receiver = _Receiver(query, question)
        transport, _ = await loop.create_datagram_endpoint(lambda: receiver, remote_addr=self._upstream)
        try:
            transport.sendto(query)
            return await receiver.answer
        finally:
            transport.close()

    async def _by_tcp(self, query: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            writer.write(len(query).to_bytes(2, "big") + query)
            return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class _Receiver(asyncio.DatagramProtocol):
    """Waits for the answer to one query."""

    def __init__(self, query: bytes, question: Question) -> None:
        self._query = query
        self._question = question
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Take it when it is the answer."""
        if not self.answer.done() and messages.answers(data, self._query, self._question):
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """The server is not there."""
        if not self.answer.done():
            self.answer.set_exception(exc)


class _Listener(asyncio.DatagramProtocol):
    """Queries over UDP."""

    def __init__(self, queries: Filter) -> None:
        self._queries = queries
        self._transport: asyncio.DatagramTransport | None = None
        self._working: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer it meanwhile; with too many under way it is dropped, and asked again."""
        if len(self._working) >= 2 * _AT_ONCE:
            return
        task = asyncio.get_running_loop().create_task(self._answer(data, addr))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _answer(self, data: bytes, address: Any) -> None:
        answer = await self._queries.answer(data, over_tcp=False)
        if answer is not None and self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(answer, address)


class Server:
    """Listens on UDP and TCP, on all of `host`'s addresses."""

    def __init__(self, queries: Filter) -> None:
        self._queries = queries
        self._connections = asyncio.Semaphore(_CONNECTIONS)
        self.port = 0

    async def serve(self, host: str, port: int, stop: asyncio.Event, ready: asyncio.Event | None = None) -> None:
        """Answer until `stop` is set. Raises OSError when the port is taken."""
        server = await asyncio.start_server(self._conversation, host, port)
        self.port = server.sockets[0].getsockname()[1]
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Listener(self._queries), local_addr=(host, self.port)
        )
        if ready is not None:
            ready.set()
        try:
            await stop.wait()
        finally:
            transport.close()
            server.close()

    async def _conversation(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Queries over one TCP connection (RFC 7766), one after the other."""
        try:
            if self._connections.locked():
                return
            async with self._connections:
                while True:
                    async with asyncio.timeout(_IDLE_SECONDS):
                        size = int.from_bytes(await reader.readexactly(2), "big")
                        query = await reader.readexactly(size)
                    answer = await self._queries.answer(query, over_tcp=True)
                    if answer is None:
                        return
                    writer.write(len(answer).to_bytes(2, "big") + answer)
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
