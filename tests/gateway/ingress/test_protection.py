"""What the gateway refuses, each with its own status, and what it records of every request."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from havn.engines.levels.records import Line, mask_path, truncate_address
from havn.gateway.ingress.limits import Gate, Limits, bucket
from havn.gateway.ingress.records import AccessLog
from havn.gateway.ingress.routes import Route, Table
from havn.gateway.ingress.server import Ingress
from havn.gateway.ingress.shut import Blocked, Closed
from havn.kit.http1.relay import Timeouts

HOST = "ttd.apps.havn.localhost"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Guarded:
    """A gateway with its own limits, whose access log can be read."""

    ingress: Ingress
    port: int
    log: AccessLog
    path: Path

    def route(self, *upstreams: str, closed: tuple[Closed, ...] = (), blocked: tuple[Blocked, ...] = ()) -> None:
        routes = (Route(host=HOST, prefix="/first", upstreams=upstreams, name="ttd/first"),)
        self.ingress.replace(Table(self.ingress.version + 1, routes, closed, blocked))

    async def send(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()

    def lines(self) -> list[Line]:
        self.log.flush()
        return [msgspec.json.decode(line, type=Line) for line in self.path.read_bytes().splitlines()]

    async def recorded(self, count: int) -> list[Line]:
        async with asyncio.timeout(10):
            while len(found := self.lines()) < count:  # noqa: ASYNC110
                await asyncio.sleep(0)
        return found


@pytest.fixture
async def guarded(tmp_path):
    """`await guarded(limits)` starts one."""
    started: list[Guarded] = []

    async def start(limits: Limits | None = None, **options: int) -> Guarded:
        path = tmp_path / f"access{len(started)}.log"
        log = AccessLog(path, **options)
        ingress = Ingress(
            timeouts=Timeouts(head=0.3, idle=5, body=5, answer=2, take=5),
            limits=limits,
            access_log=log,
            clock=lambda: int(NOW.timestamp()) * 1_000_000_000,
        )
        made = Guarded(ingress, await ingress.listen("127.0.0.1", 0), log, path)
        started.append(made)
        return made

    yield start
    for each in started:
        await each.ingress.close(1)
        each.log.close()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def field(answer: bytes, name: str) -> str | None:
    for line in answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]:
        key, _, value = line.partition(": ")
        if key.lower() == name:
            return value
    return None


async def test_a_request_is_recorded_as_traefik_would_and_our_own_fields_stay_inside(
    guarded, upstream, answering, head
):
    gateway = await guarded()
    seen: list[bytes] = []
    answer = OK.replace(b"\r\n\r\n", b"\r\nX-Havn-Subscription: 0190-sub\r\nX-Havn-Version: abc123\r\n\r\n")
    app = await upstream(answering(answer, seen))
    gateway.route(app.address)
    got = await gateway.send(
        head("X-Havn-Subscription: forged", target="/first/people/01815012345?q=secret", host=f"{HOST}:8000")
    )
    assert status(got) == 200
    assert b"havn-" not in got.lower()
    assert b"forged" not in seen[0]
    (line,) = await gateway.recorded(1)
    raw = json.loads(gateway.path.read_text())
    assert raw["StartUTC"] == "2026-03-01T12:00:00.000000000Z"
    assert raw["origin_X-Havn-Subscription"] == "0190-sub"
    assert raw["origin_X-Havn-Version"] == "abc123"
    assert (line.status, line.origin_status, line.method, line.host) == (200, 200, "GET", HOST)
    assert (line.path, line.router, line.client) == ("/first/people/***********", "ttd/first", "127.0.0.0")
    assert line.duration >= line.origin_duration > 0
    assert line.overhead == line.duration - line.origin_duration
    assert "secret" not in gateway.path.read_text()


async def test_every_request_is_recorded_also_those_that_nobody_answered(guarded, upstream, answering, head):
    gateway = await guarded()

    async def breaks_off(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    gateway.route((await upstream(breaks_off)).address)
    await gateway.send(head())
    gateway.route("127.0.0.1:1")
    assert status(await gateway.send(head())) == 503
    assert status(await gateway.send(b"GET / HTTP/1.1\r\nHost: nowhere.test\r\nConnection: close\r\n\r\n")) == 404
    assert status(await gateway.send(b"NONSENSE\r\n\r\n")) == 400
    lines = await gateway.recorded(4)
    assert [(each.status, each.origin_status, each.router) for each in lines] == [
        (502, 200, "ttd/first"),
        (503, 0, "ttd/first"),
        (404, 0, ""),
        (400, 0, ""),
    ]


async def test_a_client_that_leaves_is_its_own_fault(guarded, upstream, head):
    gateway = await guarded()
    asked = asyncio.Event()

    async def never(reader, writer):
        asked.set()
        await reader.read()

    gateway.route((await upstream(never)).address)
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(head(close=False))
    await asked.wait()
    writer.close()
    (line,) = await gateway.recorded(1)
    assert (line.status, line.origin_status) == (499, 0)


async def test_a_request_that_we_break_off_at_our_end_is_our_fault(guarded, upstream, head):
    gateway = await guarded()
    asked = asyncio.Event()

    async def never(reader, writer):
        asked.set()
        await reader.read()

    gateway.route((await upstream(never)).address)
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(head(close=False))
    await asked.wait()
    await gateway.ingress.close(0.01)
    assert [each.status for each in gateway.lines()] == [503]
    writer.close()


async def test_the_log_is_rotated_by_size_and_loses_no_line(guarded, upstream, answering, head):
    gateway = await guarded(max_bytes=2000)
    gateway.route((await upstream(answering(OK))).address)
    for _ in range(10):
        await gateway.send(head())
    gateway.log.flush()
    files = [gateway.path, *gateway.path.parent.glob("access0.log.*")]
    assert len(files) > 1
    assert sum(len(path.read_bytes().splitlines()) for path in files) == 10


async def test_a_body_that_is_too_large_is_refused_with_413(guarded, upstream, answering, head):
    gateway = await guarded(Limits(body_bytes=1000))

    async def takes_all(reader, writer):
        while await reader.read(65536):
            pass

    gateway.route((await upstream(takes_all)).address)
    assert status(await gateway.send(head("Content-Length: 1001", method="POST"))) == 413
    piece = b"190\r\n" + b"x" * 400 + b"\r\n"
    chunked = head("Transfer-Encoding: chunked", method="POST") + piece * 3 + b"0\r\n\r\n"
    assert status(await gateway.send(chunked)) == 413
    gateway.route((await upstream(answering(OK))).address)
    assert status(await gateway.send(head("Content-Length: 1000", method="POST") + b"x" * 1000)) == 200
    assert [(each.status, each.refusal) for each in await gateway.recorded(3)] == [
        (413, "too_large"), (413, "too_large"), (200, ""),
    ]  # fmt: skip


async def test_too_many_or_too_large_headers_are_refused_with_431(guarded, upstream, answering, head):
    gateway = await guarded()
    gateway.route((await upstream(answering(OK))).address)
    assert status(await gateway.send(head(*[f"X-{number}: a" for number in range(101)]))) == 431
    assert status(await gateway.send(head(f"X-Large: {'a' * 40_000}"))) == 431
    assert [each.refusal for each in await gateway.recorded(2)] == ["too_many_headers", "headers_too_large"]


async def test_a_head_that_does_not_come_is_refused_with_408(guarded, upstream, answering):
    gateway = await guarded()
    gateway.route((await upstream(answering(OK))).address)
    assert status(await gateway.send(b"GET /first HTTP/1.1\r\nHost: tt")) == 408
    assert [(each.status, each.refusal) for each in await gateway.recorded(1)] == [(408, "too_slow")]


async def test_a_body_that_trickles_is_refused_with_408(guarded, upstream, answering, head):
    gateway = await guarded(Limits(upload_rate=1_000_000, upload_grace=0.0))
    gateway.route((await upstream(answering(OK))).address)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(head("Content-Length: 100000", method="POST"))

    async def trickle():
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.001)

    trickling = asyncio.create_task(trickle())
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    trickling.cancel()
    writer.close()
    assert status(answer) == 408


async def test_more_at_once_than_an_address_may_is_refused_with_429(guarded, upstream, head):
    gateway = await guarded(Limits(address_requests=2))
    waiting = asyncio.Queue()
    release = asyncio.Event()

    async def slow(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        waiting.put_nowait(None)
        await release.wait()
        writer.write(OK)

    gateway.route((await upstream(slow)).address)
    under_way = [asyncio.create_task(gateway.send(head())) for _ in range(2)]
    for _ in under_way:
        await waiting.get()
    refused = await gateway.send(head())
    assert (status(refused), field(refused, "retry-after")) == (429, "1")
    assert json.loads(refused.partition(b"\r\n\r\n")[2])["code"] == "too_many"
    release.set()
    assert [status(await each) for each in under_way] == [200, 200]
    assert status(await gateway.send(head())) == 200


async def test_more_at_once_than_an_org_may_have_is_refused_with_503(guarded, upstream, head):
    gateway = await guarded(Limits(org_requests=1))
    waiting, release = asyncio.Event(), asyncio.Event()

    async def slow(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        waiting.set()
        await release.wait()
        writer.write(OK)

    gateway.route((await upstream(slow)).address)
    under_way = asyncio.create_task(gateway.send(head()))
    await waiting.wait()
    assert status(await gateway.send(head())) == 503
    release.set()
    assert status(await under_way) == 200


async def test_more_connections_than_an_address_may_have_are_refused_with_429(guarded, upstream, answering, head):
    gateway = await guarded(Limits(address_connections=1))
    gateway.route((await upstream(answering(OK))).address)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(head(close=False))
    await reader.readuntil(b"ok")
    assert status(await gateway.send(b"")) == 429
    writer.close()


async def test_a_hasty_address_is_refused_with_429_and_told_when_to_come_back(guarded, upstream, answering, head):
    gateway = await guarded(Limits(address_rate=0.01, address_burst=2))
    gateway.route((await upstream(answering(OK))).address)
    answers = [await gateway.send(head()) for _ in range(3)]
    assert [status(each) for each in answers] == [200, 200, 429]
    assert 99 <= int(field(answers[2], "retry-after")) <= 100


def test_the_rate_is_kept_in_the_long_run_and_for_each_address_alone():
    gate = Gate(Limits(address_rate=10, address_burst=5))
    let_through = [number for number in range(1000) if not gate.wait("one", number / 100)]
    assert len(let_through) == 5 + 99
    assert gate.wait("another", 10) == 0
    assert 0 < gate.wait("one", 9.99) <= 0.1


def test_addresses_of_one_household_count_as_one():
    assert bucket("2001:db8:1:2:3::4") == bucket("2001:db8:1:2:ffff::1")
    assert bucket("2001:db8:1:2::1") != bucket("2001:db8:1:3::1")
    assert bucket("::ffff:192.0.2.7") == bucket("192.0.2.7")
    assert bucket("192.0.2.7") != bucket("192.0.2.8")


async def test_an_app_in_maintenance_says_so_in_the_readers_language_and_to_programs(
    guarded, upstream, answering, head
):
    gateway = await guarded()
    app = await upstream(answering(OK))
    until = NOW + timedelta(minutes=20)
    gateway.route(app.address, closed=(Closed(name="ttd/first", message="Vi <flytter>.", until=until),))
    page = await gateway.send(head("Accept: text/html", "Accept-Language: nn"))
    assert (status(page), field(page, "retry-after")) == (503, "1200")
    text = page.decode()
    assert 'lang="nn"' in text
    assert "ttd/first er stengd for vedlikehald. Ho er venta tilbake 01.03.2026 13:20." in text
    assert "Vi &lt;flytter&gt;." in text
    problem = json.loads((await gateway.send(head())).partition(b"\r\n\r\n")[2])
    assert problem["code"] == "maintenance"
    assert problem["until"] == "2026-03-01T12:20:00Z"
    assert app.connections == 0
    assert status(await gateway.send(head(target="/first/health"))) == 200
    gateway.route(app.address)
    assert status(await gateway.send(head())) == 200
    lines = [each for each in await gateway.recorded(4) if each.path == "/first"]
    assert [(each.status, each.origin_status, each.refusal) for each in lines] == [
        (503, 0, "maintenance"), (503, 0, "maintenance"), (200, 200, ""),
    ]  # fmt: skip


async def test_a_blocked_address_is_refused_until_its_block_ends(guarded, upstream, answering, head):
    gateway = await guarded()
    app = await upstream(answering(OK))
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    gateway.route(app.address)
    writer.write(head(close=False))
    await reader.readuntil(b"ok")
    gateway.route(app.address, blocked=(Blocked(network="127.0.0.0/24", until=NOW + timedelta(seconds=90)),))
    # Also on the connection that was open before.
    writer.write(head())
    refused = await asyncio.wait_for(reader.read(), 5)
    assert (status(refused), field(refused, "retry-after")) == (429, "90")
    writer.close()
    gateway.route(app.address, blocked=(Blocked(network="127.0.0.1", until=NOW),))
    assert status(await gateway.send(head())) == 200
    gateway.route(app.address, blocked=(Blocked(network="192.0.2.0/24", until=NOW + timedelta(days=1)),))
    assert status(await gateway.send(head())) == 200


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("/a/01815012345/b?x=1", "/a/***********/b"),
        ("/a/0181501234", "/a/0181501234"),
        ("/a/018150123456789", "/a/***********"),
        ("/" + "a" * 600, "/" + "a" * 511),
    ],
)
def test_a_path_is_kept_without_query_and_identity_numbers(target, kept):
    assert mask_path(target) == kept


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("192.0.2.77", "192.0.2.0"),
        ("::ffff:192.0.2.77", "192.0.2.0"),
        ("2001:db8:aaaa:bbbb::1", "2001:db8:aaaa::"),
        ("fe80::1%eth0", "fe80::"),
        ("?", ""),
    ],
)
def test_an_address_is_kept_without_its_last_part(address, kept):
    assert truncate_address(address) == kept
