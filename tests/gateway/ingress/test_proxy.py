"""The reverse proxy, with real connections on both sides."""

import asyncio
import json

import pytest

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_a_request_reaches_the_app_with_our_forwarded_fields_and_none_from_outside(
    gateway, upstream, answering, head
):
    seen: list[bytes] = []
    gateway.route((await upstream(answering(OK, seen))).address)
    answer = await gateway.send(
        head(
            "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Host: evil", "X-Forwarded-Proto: https", "X-Forwarded-User: root",
            "Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6", "X-Original-URL: /admin", "Proxy: evil", "Accept: x/y",
            "Keep-Alive: 3", "Connection: X-Forwarded-For, Host", host="ttd.apps.havn.localhost:8000",
            target="/first/a?b=c%20d",
        )
    )  # fmt: skip
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nok")
    lines = seen[0].lower().decode().split("\r\n")
    assert lines[0] == "get /first/a?b=c%20d http/1.1"
    assert sorted(line for line in lines[1:] if line) == [
        "accept: x/y",
        "host: ttd.apps.havn.localhost:8000",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: ttd.apps.havn.localhost:8000",
        "x-forwarded-port: 8000",
        "x-forwarded-proto: http",
    ]


async def test_connections_are_kept_on_both_sides(gateway, upstream, answering, head):
    app = await upstream(answering(OK))
    gateway.route(app.address)
    async with gateway.connect() as (reader, writer):
        for _ in range(3):
            writer.write(head(close=False))
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
    assert app.connections == 1


async def test_pipelined_requests_are_answered_in_order(gateway, upstream, answering, head):
    seen: list[bytes] = []
    gateway.route((await upstream(answering(OK, seen))).address)
    answer = await gateway.send(head(target="/first/1", close=False) + head(target="/first/2"))
    assert answer.count(b"HTTP/1.1 200") == 2
    assert [request.split(b" ")[1] for request in seen] == [b"/first/1", b"/first/2"]


async def test_a_chunked_upload_is_undone_and_made_anew(gateway, upstream, answering, head):
    seen: list[bytes] = []
    gateway.route((await upstream(answering(OK, seen))).address)
    await gateway.send(
        head("Transfer-Encoding: chunked", method="POST") + b"3;ext=1\r\nabc\r\n0\r\nX-Smuggled: 1\r\n\r\n"
    )
    assert seen[0].endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert b"ext" not in seen[0]
    assert b"Smuggled" not in seen[0]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /first HTTP/1.1\r\nHost: ttd.apps.havn.localhost\r\nContent-Length: 4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /first/admin HTTP/1.1\r\nHost: ttd.apps.havn.localhost\r\n\r\n",
        b"POST /first HTTP/1.1\r\nHost: ttd.apps.havn.localhost\r\nTransfer-Encoding: chunked\r\n"
        b"Transfer-Encoding: x\r\n\r\n",
        b"GET /first HTTP/1.1\r\nHost: ttd.apps.havn.localhost\r\nX: y\r\n z\r\n\r\n",
        b"GET http://ttd.apps.havn.localhost/first HTTP/1.1\r\nHost: ttd.apps.havn.localhost\r\n\r\n",
        b"CONNECT 10.0.0.1:22 HTTP/1.1\r\nHost: ttd.apps.havn.localhost\r\n\r\n",
        b"GET //ttd.apps.havn.localhost@evil/ HTTP/1.1\r\nHost: ttd.apps.havn.localhost\r\nHost: evil\r\n\r\n",
        b"GET /first HTTP/1.1\nHost: ttd.apps.havn.localhost\n\n" + b"x" * 40_000,
        b"GET /first HTTP/1.1\r\nHost: ttd.apps.havn.localhost\r\nX: " + b"y" * 40_000 + b"\r\n\r\n",
    ],
)
async def test_a_smuggling_attempt_is_refused_and_reaches_nobody(gateway, upstream, answering, request_bytes):
    seen: list[bytes] = []
    gateway.route((await upstream(answering(OK, seen))).address)
    answer = await gateway.send(request_bytes)
    assert answer.split(b" ")[1] in {b"400", b"431", b"501"}
    assert b"connection: close" in answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert seen == []


async def test_a_broken_chunk_in_the_middle_is_400_and_ends_the_connection_behind(gateway, upstream, head):
    ended = asyncio.Event()

    async def talk(reader, writer):
        await reader.read()
        ended.set()

    gateway.route((await upstream(talk)).address)
    answer = await gateway.send(head("Transfer-Encoding: chunked", method="POST") + b"3\r\nabcd\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    await asyncio.wait_for(ended.wait(), 5)


async def test_server_sent_events_pass_one_by_one(gateway, upstream, head):
    go = asyncio.Event()

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"9\r\ndata: 1\n\n\r\n")
        await go.wait()
        writer.write(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")

    gateway.route((await upstream(talk)).address)
    async with gateway.connect() as (reader, writer):
        writer.write(head())
        await asyncio.wait_for(reader.readuntil(b"data: 1\n\n"), 5)
        # The second has not been sent yet: the first did not wait for it.
        go.set()
        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"data: 2\n\n\r\n0\r\n\r\n")


async def test_the_app_learns_at_once_that_the_client_has_left(gateway, upstream, head):
    left = asyncio.Event()

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await reader.read()
        left.set()

    gateway.route((await upstream(talk)).address)
    async with gateway.connect() as (reader, writer):
        writer.write(head())
        await reader.readuntil(b"x")
    await asyncio.wait_for(left.wait(), 5)


async def test_a_websocket_becomes_a_tunnel(gateway, upstream, head):
    seen: list[bytes] = []

    async def talk(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        while data := await reader.read(100):
            writer.write(data.upper())

    gateway.route((await upstream(talk)).address)
    async with gateway.connect() as (reader, writer):
        writer.write(head("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: x", close=False))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.write(b"hello")
        assert await asyncio.wait_for(reader.readexactly(5), 5) == b"HELLO"
    assert b"upgrade: websocket" in seen[0]
    assert b"sec-websocket-key: x" in seen[0]


async def test_an_upgrade_to_http_2_is_not_passed_on(gateway, upstream, answering, head):
    seen: list[bytes] = []
    gateway.route((await upstream(answering(OK, seen))).address)
    await gateway.send(head("Upgrade: h2c", "HTTP2-Settings: AAMAAABk", "Connection: Upgrade, HTTP2-Settings"))
    assert b"upgrade" not in seen[0].lower()
    assert b"http2" not in seen[0].lower()


async def test_a_switch_of_protocol_that_nobody_asked_for_is_502(gateway, upstream, answering, head):
    gateway.route((await upstream(answering(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"))).address)
    assert (await gateway.send(head())).startswith(b"HTTP/1.1 502 ")


async def test_an_interim_answer_is_passed_on(gateway, upstream, head):
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(3) == b"abc"
        writer.write(OK)

    gateway.route((await upstream(talk)).address)
    async with gateway.connect() as (reader, writer):
        writer.write(head("Expect: 100-continue", "Content-Length: 3", method="POST"))
        await asyncio.wait_for(reader.readuntil(b"100 Continue\r\n\r\n"), 5)
        writer.write(b"abc")
        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"ok")


async def test_an_early_answer_reaches_a_client_that_is_still_sending(gateway, upstream, head):
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")

    gateway.route((await upstream(talk)).address)
    async with gateway.connect() as (reader, writer):
        writer.write(head("Content-Length: 1000000", method="POST", close=False))
        writer.write(b"x" * 1000)
        answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b"big")
    assert b"connection: close" in answer


async def test_another_replica_is_tried_when_one_does_not_take_the_connection(gateway, upstream, answering, head):
    app = await upstream(answering(OK))
    gone = await upstream(answering(OK))
    gone.server.close()
    await gone.server.wait_closed()
    gateway.route(gone.address, app.address)
    for method in ("GET", "POST"):
        assert (await gateway.send(head("Content-Length: 0", method=method))).endswith(b"ok")


async def test_a_post_is_never_sent_twice(gateway, upstream, head):
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")

    first, second = await upstream(talk), await upstream(talk)
    gateway.route(first.address, second.address)
    answer = await gateway.send(head("Content-Length: 0", "Accept: application/json", method="POST"))
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert first.connections + second.connections == 1
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "broke_off"


async def test_a_get_is_tried_at_the_next_replica_when_one_dies_before_answering(gateway, upstream, answering, head):
    async def dies(reader, writer):
        await reader.readuntil(b"\r\n\r\n")

    gateway.route((await upstream(dies)).address, (await upstream(answering(OK))).address)
    assert (await gateway.send(head())).endswith(b"ok")


async def test_an_answer_cut_short_is_cut_short_for_the_client_too(gateway, upstream, head):
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe")

    gateway.route((await upstream(talk)).address)
    async with gateway.connect() as (reader, writer):
        writer.write(head())
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5)


@pytest.mark.parametrize(
    "response", [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"?\r\n\r\n"]
)
async def test_an_answer_that_cannot_be_read_is_502(gateway, upstream, answering, head, response):
    gateway.route((await upstream(answering(response))).address)
    assert (await gateway.send(head())).startswith(b"HTTP/1.1 502 ")


async def test_an_app_that_does_not_answer_in_time_is_504(gateway, upstream, head):
    async def talk(reader, writer):
        await reader.read()

    gateway.route((await upstream(talk)).address)
    assert (await gateway.send(head())).startswith(b"HTTP/1.1 504 ")


async def test_a_client_that_sends_too_slowly_is_told_so(gateway, upstream, answering, head):
    gateway.route((await upstream(answering(OK))).address)
    assert (await gateway.send(b"GET /first HTT")).startswith(b"HTTP/1.1 408 ")
    stalled = await gateway.send(head("Content-Length: 5", method="POST") + b"ab")
    assert stalled.startswith(b"HTTP/1.1 408 ")


async def test_pages_say_what_is_wrong_to_people_and_to_programs(gateway, upstream, head):
    gateway.route()
    away = await gateway.send(head("Accept: text/html,*/*", "Accept-Language: nn-NO,en;q=0.5"))
    assert away.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 2" in away
    assert '<html lang="nn">' in away.decode()
    assert "ttd/first køyrer ikkje akkurat no" in away.decode()
    missing = await gateway.send(head(target="/other"))
    assert missing.startswith(b"HTTP/1.1 404 ")
    document = json.loads(missing.partition(b"\r\n\r\n")[2])
    assert (document["status"], document["code"]) == (404, "unknown_app")
    nowhere = await gateway.send(head("Accept: text/html", host="<script>.localhost"))
    assert nowhere.startswith(b"HTTP/1.1 400 ")
    elsewhere = await gateway.send(head(host="other.localhost"))
    assert json.loads(elsewhere.partition(b"\r\n\r\n")[2])["code"] == "unknown_host"


async def test_host_is_compared_without_case_port_and_final_dot(gateway, upstream, answering, head):
    gateway.route((await upstream(answering(OK))).address)
    for host in ("TTD.apps.havn.localhost", "ttd.apps.havn.localhost.", "ttd.apps.havn.localhost:8000"):
        assert (await gateway.send(head(host=host))).endswith(b"ok")


async def test_an_answer_to_head_has_no_body(gateway, upstream, answering, head):
    gateway.route((await upstream(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"))).address)
    answer = await gateway.send(head(method="HEAD"))
    assert b"content-length: 99" in answer.lower()
    assert answer.endswith(b"\r\n\r\n")


async def test_a_large_download_waits_for_a_slow_reader(gateway, upstream, head):
    size = 20_000_000
    sent = 0

    async def talk(reader, writer):
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while sent < size:
            writer.write(b"x" * 100_000)
            sent += 100_000
            await writer.drain()

    gateway.route((await upstream(talk)).address)
    async with gateway.connect() as (reader, writer):
        writer.write(head())
        await reader.readuntil(b"\r\n\r\n")
        # Nobody reads: what is under way is bounded by buffers on the way, far below the whole.
        for _ in range(50):
            await asyncio.sleep(0)
        assert sent < size
        received = 0
        while piece := await asyncio.wait_for(reader.read(1_000_000), 10):
            received += len(piece)
    assert received == size


async def test_a_changed_table_holds_from_the_next_request_and_the_old_app_is_drained(
    gateway, upstream, answering, head
):
    finish = asyncio.Event()
    under_way = asyncio.Event()

    async def slow(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        under_way.set()
        await finish.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold")

    old, new = await upstream(slow), await upstream(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew"))
    gateway.route(old.address)
    first = asyncio.create_task(gateway.send(head()))
    await under_way.wait()
    gateway.route(new.address)
    assert (await gateway.send(head())).endswith(b"new")
    assert not await gateway.ingress.drained([old.address], 0.05)
    draining = asyncio.create_task(gateway.ingress.drained([old.address], 5))
    finish.set()
    assert await draining
    assert (await first).endswith(b"old")
