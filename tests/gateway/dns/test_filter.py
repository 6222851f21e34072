"""DNS for apps' pods, beside a real server of another kind that sees every query that leaves."""

import asyncio
import contextlib
import secrets
import socket

import pytest

from havn.gateway.dns import messages
from havn.gateway.dns.server import Filter, Server, allowed

A, AAAA, TXT = 1, 28, 16


def query(name: str, kind: int = A, extra: bytes = b"") -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"
    counts = b"\0\1\0\0\0\0" + (b"\0\1" if extra else b"\0\0")
    return secrets.token_bytes(2) + b"\1\0" + counts + labels + kind.to_bytes(2, "big") + b"\0\1" + extra


class Upstream(asyncio.DatagramProtocol):
    """Answers every question with 192.0.2.1, and remembers what it was asked."""

    def __init__(self):
        self.seen: list[bytes] = []
        self.transport = None
        self.forged = False
        self.deaf = 0

    def connection_made(self, transport):
        self.transport = transport

    def respond(self, data: bytes) -> bytes:
        self.seen.append(data)
        question = messages.read(data)
        record = b"\xc0\x0c\0\1\0\1\0\0\0\x1e\0\4" + socket.inet_aton("192.0.2.1")
        return data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + data[12 : question.end] + record

    def datagram_received(self, data, address):
        answer = self.respond(data)
        if self.deaf:
            self.deaf -= 1
            return
        if self.forged:
            # As somebody who guesses: another id, another question.
            self.transport.sendto(bytes([data[0] ^ 1]) + answer[1:], address)
            self.transport.sendto(answer.replace(b"platform", b"pl4tform"), address)
        self.transport.sendto(answer, address)


def free_port() -> int:
    """One that is free for both protocols."""
    while True:
        with socket.socket() as first, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
            first.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                second.bind(first.getsockname())
                return first.getsockname()[1]


@pytest.fixture
async def rig():
    """The filter's own address, and what its upstream has seen."""
    loop = asyncio.get_running_loop()
    upstream = Upstream()
    port = free_port()
    transport, _ = await loop.create_datagram_endpoint(lambda: upstream, local_addr=("127.0.0.1", port))

    async def conversation(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            answer = upstream.respond(data)
            writer.write(len(answer).to_bytes(2, "big") + answer)
        writer.close()

    tcp = await asyncio.start_server(conversation, "127.0.0.1", port)
    hosts = frozenset(["platform.tt02.example.no"])
    server = Server(Filter(allowed("cluster.local", hosts), ("127.0.0.1", port)))
    stop, ready = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(server.serve("127.0.0.1", free_port(), stop, ready))
    await ready.wait()
    yield server.port, upstream
    stop.set()
    await serving
    tcp.close()
    transport.close()


def by_udp(port: int, message: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(10)
        asking.sendto(message, ("127.0.0.1", port))
        return asking.recv(4096)


async def ask(port: int, message: bytes) -> bytes:
    return await asyncio.to_thread(by_udp, port, message)


def code(answer: bytes) -> int:
    return answer[3] & 0x0F


@pytest.mark.parametrize(
    "name", ["platform.tt02.example.no", "PLATFORM.tt02.Example.NO", "egress.default.svc.cluster.local"]
)
async def test_names_of_the_cluster_and_the_platforms_host_are_looked_up(rig, name):
    port, upstream = rig
    asked = query(name)
    answer = await ask(port, asked)
    assert answer[:2] == asked[:2]
    assert (code(answer), answer[-4:]) == (0, socket.inet_aton("192.0.2.1"))
    # Asked with another id than the app's, so that nobody can answer in the server's place.
    assert upstream.seen[0][2:] == asked[2:]


@pytest.mark.parametrize(
    "name",
    [
        "www.example.com",
        "c2VjcmV0LW9mLTgwLWNoYXJhY3RlcnM.and-more.attacker.example",
        "leak.platform.tt02.example.no",
        "platform.tt02.example.no.attacker.example",
        "tt02.example.no",
        "svc.cluster.local.attacker.example",
        "leakcluster.local",
        "cluster.local",
        "no",
        "",
    ],
)
@pytest.mark.parametrize("kind", [A, TXT])
async def test_no_other_name_leaves(rig, name, kind):
    port, upstream = rig
    answer = await ask(port, query(name, kind))
    assert code(answer) == messages.NO_SUCH_NAME
    assert upstream.seen == []


async def test_nothing_rides_along_with_a_name_that_may_be_asked_for(rig):
    port, upstream = rig
    option = b"\0\0\x29\x10\0\0\0\0\0\0\x0c\xff\x01\0\x08smuggled"
    answer = await ask(port, query("platform.tt02.example.no", extra=option))
    assert code(answer) == 0
    assert b"smuggled" not in upstream.seen[0]


async def test_answers_that_are_made_up_are_not_taken(rig):
    port, upstream = rig
    upstream.forged = True
    answer = await ask(port, asked := query("platform.tt02.example.no"))
    assert answer[:2] == asked[:2]
    assert b"pl4tform" not in answer


async def test_a_lost_packet_is_asked_again_and_a_server_that_is_away_is_told(rig):
    port, upstream = rig
    upstream.deaf = 1
    assert code(await ask(port, query("platform.tt02.example.no"))) == 0
    upstream.deaf = 99
    assert code(await ask(port, query("platform.tt02.example.no"))) == messages.SERVER_FAILURE


async def test_the_same_holds_over_tcp(rig):
    port, upstream = rig
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for name, expected in (("platform.tt02.example.no", 0), ("x.attacker.example", messages.NO_SUCH_NAME)):
        asked = query(name)
        writer.write(len(asked).to_bytes(2, "big") + asked)
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        assert (answer[:2], code(answer)) == (asked[:2], expected)
    writer.close()
    assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"\1\2\1\0\0\0\0\0\0\0\0\0", messages.FORMAT_ERROR),
        (b"\1\2\1\0\0\2\0\0\0\0\0\0\0\0\1\0\1", messages.FORMAT_ERROR),
        (b"\1\2\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", messages.FORMAT_ERROR),
        (b"\1\2\1\0\0\1\0\0\0\0\0\0\x3fshort", messages.FORMAT_ERROR),
        (b"\1\2\1\0\0\1\0\0\0\0\0\0\3a.b\3svc\7cluster\5local\0\0\1\0\1", messages.FORMAT_ERROR),
        (b"\1\2\1\0\0\1\0\0\0\0\0\0\1\xe5\3svc\7cluster\5local\0\0\1\0\1", messages.FORMAT_ERROR),
        (b"\1\2\x28\0\0\1\0\0\0\0\0\0\0\0\1\0\1", messages.NOT_IMPLEMENTED),
    ],
)
async def test_what_is_no_question_is_refused(rig, message, expected):
    port, upstream = rig
    assert code(await ask(port, message)) == expected
    assert upstream.seen == []


@pytest.mark.parametrize("message", [b"", b"short", b"\1\2\x81\x80\0\1\0\0\0\0\0\0\0\0\1\0\1"])
def test_what_is_not_even_a_query_is_dropped(message):
    with pytest.raises(messages.NotAQuestion) as dropped:
        messages.read(message)
    assert dropped.value.code is None
