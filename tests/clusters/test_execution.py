"""A command in a pod when the API server does not do its part, as a server that speaks WebSocket itself."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from havn.clusters.kubernetes.execution import execute
from havn.clusters.kubernetes.kube import Absent, Kube
from havn.clusters.port import ClusterError, Ended, Output

ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CLOSE = b"\x88\x02" + struct.pack("!H", 1000)


def frame(channel: int, data: bytes) -> bytes:
    return bytes((0x82, len(data) + 1, channel)) + data


@pytest.fixture
def answering(tmp_path) -> Callable[..., object]:
    """`async with answering(b"…") as kube`: an API server that upgrades, sends this, and hangs up."""

    @asynccontextmanager
    async def run(sent: bytes, status: bytes = b"101 Switching Protocols") -> AsyncIterator[Kube]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            key = next(
                line.partition(b":")[2].strip()
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"sec-websocket-key:")
            )
            accept = base64.b64encode(hashlib.sha1(key + ACCEPT, usedforsecurity=False).digest())
            lines = [b"HTTP/1.1 " + status]
            if status.startswith(b"101"):
                lines += [b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: " + accept,
                          b"Sec-WebSocket-Protocol: v4.channel.k8s.io"]  # fmt: skip
            else:
                lines += [b"Content-Length: 0", b"Connection: close"]
            writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + sent)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": url}}],
            "users": [{"name": "it", "user": {"token": "t"}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        }  # fmt: skip
        (tmp_path / "kubeconfig").write_bytes(msgspec.json.encode(config))
        kube = Kube(tmp_path / "kubeconfig")
        async with server:
            yield kube
            await kube.close()

    return run


async def told(kube: Kube) -> list[Output | Ended]:
    return [each async for each in execute(kube, "first-1", "app", ["true"])]


async def test_what_is_written_and_the_end_are_told(answering):
    end = b'{"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "7"}]}}'
    async with answering(frame(1, b"out") + frame(2, b"err") + frame(3, end) + CLOSE) as kube:
        assert await told(kube) == [Output("stdout", b"out"), Output("stderr", b"err"), Ended(7)]


async def test_a_command_that_could_not_be_run_is_an_error_with_its_reason(answering):
    end = b'{"status": "Failure", "message": "no such file", "details": {"causes": []}}'
    async with answering(frame(3, end) + CLOSE) as kube:
        with pytest.raises(ClusterError, match="The command could not be run: no such file"):
            await told(kube)


@pytest.mark.parametrize("rest", [CLOSE, b"", b"\xff\xff nonsense"], ids=["closed", "hung up", "nonsense"])
async def test_a_connection_that_ends_before_the_command_is_an_error_and_nobody_waits(answering, rest):
    async with answering(frame(1, b"out") + rest) as kube:
        with pytest.raises(ClusterError, match="The connection to first-1 was lost"):
            await told(kube)


async def test_a_pod_that_is_gone_and_a_refusal_are_told(answering):
    async with answering(b"", b"404 Not Found") as kube:
        with pytest.raises(Absent, match="no pod first-1"):
            await told(kube)
    async with answering(b"", b"403 Forbidden") as kube:
        with pytest.raises(ClusterError, match="answered 403"):
            await told(kube)
