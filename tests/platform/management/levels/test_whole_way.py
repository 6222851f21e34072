"""From a request at our own ingress to the report: real sockets, the real log, the real sender, a real database."""

from __future__ import annotations

import asyncio

from havn.gateway.ingress.records import AccessLog
from havn.gateway.ingress.routes import Route, Table
from havn.gateway.ingress.server import Ingress
from havn.gateway.ingress.shut import Closed

HOST = "ttd.apps.havn.test"


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    status = head.partition(b"/permit/")[2][:3]
    writer.write(
        b"HTTP/1.1 %b X\r\nContent-Length: 0\r\nX-Havn-Version: r1\r\nX-Havn-Subscription: s1\r\n\r\n" % status
    )
    await writer.drain()
    writer.close()


async def test_what_people_were_answered_is_what_the_report_says(levels, platform, tmp_path):
    log = AccessLog(tmp_path / "access.log")
    ingress = Ingress(access_log=log, clock=lambda: int(platform.clock.now.timestamp()) * 1_000_000_000)
    port = await ingress.listen("127.0.0.1", 0)
    server = await asyncio.start_server(answers, "127.0.0.1", 0)
    upstream = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    route = Route(host=HOST, prefix="/permit", upstreams=(upstream,), name="ttd/permit")

    async def ask(path: str) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return int(answer.split(b" ")[1])

    ingress.replace(Table(1, (route,)))
    wanted = [200] * 6 + [302, 404, 500]
    assert [await ask(f"/permit/{status}") for status in wanted] == wanted
    assert await ask("/elsewhere") == 404
    ingress.replace(Table(2, (route,), (Closed(name="ttd/permit"),)))
    assert await ask("/permit/200") == 503
    await ingress.close(1)
    log.close()
    server.close()
    await levels.sender(tmp_path / "access.log").turn()
    report = await levels.client.report("ttd", "2026-11", levels.operator)
    (row,) = report.apps
    counts = row.counts
    assert (counts.good, counts.bad, counts.excluded, counts.refused) == (7, 2, 1, 1)
    assert row.availability == 77.7778
    found = await levels.client.figures(
        {"org": "ttd", "month": "2026-11", "version": "r1", "subscription": "s1"}, levels.operator
    )
    assert (found.figures[0].counts.good, found.figures[0].counts.bad) == (7, 1)
