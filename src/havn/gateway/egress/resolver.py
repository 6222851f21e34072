"""Names to addresses: a stub resolver with a short memory, which asks for the name as it stands.

No search list and no hosts file: `db` must never become `db.cluster.local`. Both families are asked at once, and every
address is returned, so that each can be checked before one of them is dialled.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from havn.gateway.egress.dns_message import AAAA, A, BadAnswer, DnsAnswer, question, read

Server = tuple[str, int]
_MAX_REMEMBERED = 2000
_LONGEST = 60.0
_MAX_ANSWER = 64 * 1024


class NoSuchName(Exception):
    """The name does not exist, or has no address."""


class ResolverAway(Exception):
    """No DNS server gave a usable answer in time."""


class Resolver(Protocol):
    """Where addresses come from."""

    async def resolve(self, name: str) -> tuple[str, ...]:
        """Every address of `name`, IPv4 first; never empty. Raises `NoSuchName`, `ResolverAway`."""
        ...


class DnsResolver:
    """Asks `servers` in turn over UDP, and over TCP for what does not fit; answers are kept 60 seconds at most."""

    def __init__(self, servers: Sequence[Server], *, timeout: float = 1.5, attempts: int = 2) -> None:
        self._servers = tuple(servers) or (("127.0.0.1", 53),)
        self._timeout = timeout
        self._attempts = attempts
        self._known: OrderedDict[str, tuple[float, tuple[str, ...]]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[tuple[str, ...]]] = {}

    async def resolve(self, name: str) -> tuple[str, ...]:
        """See `Resolver`; callers who want the same name at the same time share one question."""
        known = self._known.get(name)
        if known is not None and known[0] > asyncio.get_running_loop().time():
            return known[1]
        asking = self._asking.get(name)
        if asking is None:
            asking = self._asking[name] = asyncio.get_running_loop().create_task(self._resolve(name))
            asking.add_done_callback(lambda task: self._done(name, task))
        return await asyncio.shield(asking)

    def _done(self, name: str, task: asyncio.Task[tuple[str, ...]]) -> None:
        self._asking.pop(name, None)
        if not task.cancelled():
            task.exception()

    async def _resolve(self, name: str) -> tuple[str, ...]:
        found = await asyncio.gather(self._ask(name, A), self._ask(name, AAAA), return_exceptions=True)
        answers = [answer for answer in found if isinstance(answer, DnsAnswer)]
        addresses = tuple(address for answer in answers for address in answer.addresses)
        if not addresses:
            if any(answer.code == 3 for answer in answers) or len(answers) == 2:
                raise NoSuchName(name)
            raise ResolverAway(name)
        ttl = min(answer.ttl for answer in answers if answer.addresses)
        if ttl > 0:
            self._known[name] = (asyncio.get_running_loop().time() + min(ttl, _LONGEST), addresses)
            self._known.move_to_end(name)
            if len(self._known) > _MAX_REMEMBERED:
                self._known.popitem(last=False)
        return addresses

    async def _ask(self, name: str, kind: int) -> DnsAnswer:
        for _ in range(self._attempts):
            for server in self._servers:
                try:
                    async with asyncio.timeout(self._timeout):
                        answer = await _udp(server, name, kind)
                        if answer.truncated:
                            answer = await _tcp(server, name, kind)
                except (TimeoutError, OSError, BadAnswer, EOFError):
                    continue
                if answer.code in (0, 3):
                    return answer
        raise ResolverAway(name)


def system_servers(path: Path = Path("/etc/resolv.conf")) -> list[Server]:
    """The machine's DNS servers."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return []
    found = [line.split()[1] for line in lines if line.startswith("nameserver") and len(line.split()) > 1]
    return [(address.partition("%")[0], 53) for address in found[:3]]


class _Datagram(asyncio.DatagramProtocol):
    def __init__(self, number: int, name: str, kind: int) -> None:
        self._question = (number, name, kind)
        self.answer: asyncio.Future[DnsAnswer] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Take the first datagram that answers; anything else may be forged, so it is passed over."""
        try:
            answer = read(data, *self._question)
        except BadAnswer:
            return
        if not self.answer.done():
            self.answer.set_result(answer)

    def error_received(self, exc: Exception) -> None:
        """The server's port is closed."""
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _udp(server: Server, name: str, kind: int) -> DnsAnswer:
    number = secrets.randbelow(65536)
    # Connected, so that the kernel drops what comes from anywhere else; a fresh port for each question.
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagram(number, name, kind), remote_addr=server
    )
    try:
        transport.sendto(question(number, name, kind))
        return await protocol.answer
    finally:
        protocol.answer.cancel()
        transport.close()


async def _tcp(server: Server, name: str, kind: int) -> DnsAnswer:
    number = secrets.randbelow(65536)
    reader, writer = await asyncio.open_connection(*server, limit=_MAX_ANSWER)
    try:
        asked = question(number, name, kind)
        writer.write(struct.pack("!H", len(asked)) + asked)
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        return read(await reader.readexactly(length), number, name, kind)
    finally:
        writer.close()
