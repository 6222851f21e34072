"""Over a real socket: contents are streamed, not gathered, and a connection that breaks leaves nothing."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator

import psutil
import pytest

from havn.clients.credentials import Credentials
from havn.clients.storage import StorageClient
from havn.kit.http import HttpClient
from havn.kit.serve import serve

MiB = 1024 * 1024


@pytest.fixture
async def address(world) -> AsyncIterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(world.app, port=port, stop=stop))
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            break
    yield f"http://127.0.0.1:{port}"
    stop.set()
    await serving


async def test_a_large_file_goes_in_and_out_in_pieces(world, address):
    instance = await world.instance()
    http = HttpClient(address, name="Storage", timeout=60)
    storage = StorageClient(http)
    piece, count = bytes(range(256)) * 4096, 200
    sent, received = hashlib.sha256(), hashlib.sha256()

    async def content() -> AsyncIterator[bytes]:
        for _ in range(count):
            sent.update(piece)
            yield piece

    process = psutil.Process()
    before = process.memory_info().rss
    most = before
    credentials = Credentials(world.user())
    element = await storage.add_data(
        instance["id"], "vedlegg", content(), credentials, content_type="application/zip", filename="stor fil.zip"
    )
    async with storage.open_data(instance["id"], element.id, credentials) as download:
        assert download.content_type == "application/zip"
        assert download.version == 1
        assert download.size == count * MiB
        async for chunk in download.chunks:
            received.update(chunk)
            most = max(most, process.memory_info().rss)
    await http.close()
    assert received.hexdigest() == sent.hexdigest() == element.content_hash
    # Client and server both live in this process; together they never hold a sizeable part of the file.
    assert most - before < 100 * MiB


async def test_a_connection_that_breaks_in_the_middle_leaves_nothing(world, address, blob_folder):
    instance = await world.instance()
    host, port = address.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /storage/api/v1/instances/{instance['id']}/data?dataType=vedlegg HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {world.user()}\r\nContent-Type: text/plain\r\nContent-Length: 3000000\r\n\r\n"
    )
    writer.write(head.encode() + b"x" * 2_500_000)
    await writer.drain()
    async with asyncio.timeout(10):
        while not world.blob_paths(blob_folder):  # noqa: ASYNC110 - it happens on disk
            await asyncio.sleep(0.01)
    writer.close()
    async with asyncio.timeout(10):
        while world.blob_paths(blob_folder):  # noqa: ASYNC110 - it happens on disk
            await asyncio.sleep(0.01)
    assert (await world.get(instance))["data"] == []


async def test_an_announced_length_beyond_the_limit_is_refused_before_it_is_sent(world, address):
    instance = await world.instance()
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /storage/api/v1/instances/{instance['id']}/data?dataType=vedlegg HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {world.user()}\r\nContent-Type: text/plain\r\nContent-Length: 99000000000\r\n\r\n"
    )
    writer.write(head.encode() + b"x" * 1000)
    await writer.drain()
    async with asyncio.timeout(10):
        assert b" 413 " in await reader.readline()
    writer.close()
