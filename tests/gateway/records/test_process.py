"""The sender as a process of its own, with a receiver on a real socket."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from havn.contracts.levels import Accepted, Batch

ROOT = Path(__file__).resolve().parents[3]
LINE = (
    b'{"StartUTC":"2026-03-01T12:00:00Z","Duration":5,"OriginDuration":3,"Overhead":2,"OriginStatus":200,'
    b'"DownstreamStatus":200,"RequestHost":"ttd.apps.havn.test","RequestPath":"/first","RouterName":"r"}\n'
)


def environ(tmp_path: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "HAVN_DOMAIN": "havn.test",
        "HAVN_RECORDS_LOG": str(tmp_path / "access.log"), "HAVN_RECORDS_FOLDER": str(tmp_path / "spool"),
        "HAVN_RECORDS_SECONDS": "0.05", "HAVN_RECORDS_SOURCE": "gw1", "HAVN_PLATFORM_URL": "http://127.0.0.1:9", **more,
    }  # fmt: skip


async def test_it_delivers_with_its_secret_from_a_file_and_stops_when_told(tmp_path):
    got: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        got.put_nowait((head, await reader.readexactly(length)))
        body = msgspec.json.encode(Accepted(new=True))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "records-token").write_text("havnrec_secret\n")
    (tmp_path / "access.log").write_bytes(LINE * 3)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "havn.gateway.records",
        env=environ(
            tmp_path, HAVN_SECRETS_DIR=str(tmp_path / "secrets"),
            HAVN_PLATFORM_URL=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
        ),
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            head, body = await got.get()
        assert head.startswith(b"POST /management/api/v1/levels/batches HTTP/1.1\r\n")
        assert b"\r\nhost: platform.havn.test\r\n" in head.lower()
        assert b"\r\nx-havn-sender: havnrec_secret\r\n" in head.lower()
        (count,) = msgspec.json.decode(body, type=Batch).counts
        assert (count.org, count.app, count.good) == ("ttd", "first", 3)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        server.close()


@pytest.mark.parametrize("more", [{}, {"HAVN_RECORDS_TOKEN": "x", "HAVN_PLATFORM_ACCESS_KEY": "y"}])
def test_it_says_which_setting_is_missing_or_too_much(tmp_path, more):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "havn.gateway.records"], env=environ(tmp_path, **more), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.strip() == "Give one of HAVN_RECORDS_TOKEN and HAVN_PLATFORM_ACCESS_KEY."
