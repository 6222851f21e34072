"""The real Traefik with the arguments of the local cluster and the routes of charts/cluster, but without a cluster.

What it records is read by the same reader as our own ingress's log, and what it refuses has the same status.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import yaml

from havn.engines.levels.records import Line, read
from havn.gateway.records.following import Follower, Place
from havn.local.kubernetes import Toolchain

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[3]
DOMAIN = "tt02.example.test"
HOST = f"ttd.apps.{DOMAIN}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def toolchain() -> Toolchain:
    return Toolchain.ensure(ROOT / "toolchain", say=print)


def chart(toolchain: Toolchain, folder: Path, values: dict[str, Any]) -> list[dict[str, Any]]:
    """charts/cluster as Helm renders it."""
    base = {"org": "ttd", "domain": DOMAIN, "image": {"repository": "r", "digest": "sha256:" + "0" * 64}}
    source = folder / "values.json"
    source.write_bytes(msgspec.json.encode(base | values))
    command = [toolchain.program("helm"), "template", "x", ROOT / "charts" / "cluster", "-f", source]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def as_file(objects: list[dict[str, Any]], upstreams: dict[str, str]) -> dict[str, Any]:
    """Middlewares and routes of the cluster, as Traefik's file provider takes them; the app's own route beside them."""
    middlewares: dict[str, Any] = {}
    routers: dict[str, Any] = {
        "ttd-first": {
            "rule": f"Host(`{HOST}`) && (Path(`/first`) || PathPrefix(`/first/`))",
            "middlewares": ["havn-protect", "havn-headers"], "service": "first", "entryPoints": ["https"],
        }
    }  # fmt: skip
    for each in objects:
        name, spec = each["metadata"]["name"], each.get("spec")
        if each["kind"] == "Middleware":
            if "chain" in spec:
                spec = {"chain": {"middlewares": [part["name"] for part in spec["chain"]["middlewares"]]}}
            middlewares[name] = spec
        elif each["kind"] == "IngressRoute" and name != "havn-to-https":
            (rule,) = spec["routes"]
            routers[f"ttd-{name}"] = {
                "rule": rule["match"], "priority": rule["priority"], "service": rule["services"][0]["name"],
                "middlewares": [part["name"] for part in rule.get("middlewares", [])], "entryPoints": ["https"],
            }  # fmt: skip
    services = {name: {"loadBalancer": {"servers": [{"url": url}]}} for name, url in upstreams.items()}
    return {"http": {"routers": routers, "middlewares": middlewares, "services": services}}


def arguments(https: int, log: Path, dynamic: Path, ping: int) -> list[str]:
    """The local cluster's own, but for the provider, the ports, TLS and where the log goes."""
    manifest = resources.files("havn.local.kubernetes").joinpath("manifests", "traefik.yaml").read_text()
    (deployment,) = [each for each in yaml.safe_load_all(manifest) if each["kind"] == "Deployment"]
    given = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    kept = [
        each for each in given
        if not each.startswith("--providers.kubernetes") and ".address=" not in each and ".tls=" not in each
        and "entrypoints.http." not in each
    ]  # fmt: skip
    return [
        *kept, f"--entrypoints.https.address=127.0.0.1:{https}", f"--entrypoints.traefik.address=127.0.0.1:{ping}",
        f"--providers.file.filename={dynamic}", f"--accesslog.filepath={log}",
    ]  # fmt: skip


@dataclass
class Traefik:
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", headers={"Host": HOST}, trust_env=False)

    async def lines(self, count: int) -> list[bytes]:
        """The log once it has so many lines."""
        async with asyncio.timeout(10):
            while self.log.read_bytes().count(b"\n") < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return self.log.read_bytes().splitlines()


class App:
    """An upstream that answers as an app does, and waits where it is told to."""

    def __init__(self) -> None:
        self.begun = asyncio.Queue[None]()
        self.release = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"/wait" in head:
                    self.begun.put_nowait(None)
                    await self.release.wait()
                status = b"500 Oops" if b"/bad" in head else b"200 OK"
                writer.write(
                    b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\nX-Havn-Subscription: 0190-sub\r\n"
                    b"X-Havn-Version: abc123\r\nSet-Cookie: secret=1\r\n\r\nok"
                )
                await writer.drain()
        writer.close()


@pytest.fixture
def unknown(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    environ = {**os.environ, "HAVN_APPS_HOST": HOST, "HAVN_PORT": str(port), "PYTHONPATH": str(ROOT / "src")}
    with (tmp_path / "unknown.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "havn.gateway.ingress.unknown"], env=environ, stdout=log, stderr=log
        )
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.fixture
async def start(toolchain: Toolchain, tmp_path: Path, unknown: str) -> AsyncIterator[Any]:
    """`await start(app, values)`: Traefik before the app, with those values of charts/cluster."""
    began: list[subprocess.Popen[bytes]] = []
    servers: list[asyncio.Server] = []

    async def run(app: App, protection: dict[str, Any]) -> Traefik:
        server = await asyncio.start_server(app.serve, "127.0.0.1", 0)
        servers.append(server)
        upstreams = {"first": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "havn-unknown": unknown}
        dynamic = tmp_path / "dynamic.yaml"
        dynamic.write_text(yaml.safe_dump(as_file(chart(toolchain, tmp_path, {"protection": protection}), upstreams)))
        port, ping, log = free_port(), free_port(), tmp_path / "access.log"
        with (tmp_path / "traefik.log").open("wb") as output:
            process = subprocess.Popen(  # noqa: ASYNC220
                [toolchain.program("traefik"), *arguments(port, log, dynamic, ping)], stdout=output, stderr=output
            )
        began.append(process)
        made = Traefik(port, log, process)
        async with asyncio.timeout(20), httpx2.AsyncClient(trust_env=False) as client:
            for address, wanted in ((f"http://127.0.0.1:{ping}/ping", 200), (f"{unknown}/health", 200)):
                while True:
                    with contextlib.suppress(httpx2.TransportError):
                        if (await client.get(address)).status_code == wanted:
                            break
                    assert process.poll() is None, (tmp_path / "traefik.log").read_text()
                    await asyncio.sleep(0.05)
            # Until its routes are there, Traefik says 404 in its own words.
            nowhere = f"http://127.0.0.1:{port}/nowhere"
            while b'"code"' not in (await client.get(nowhere, headers={"Host": HOST})).content:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        # What was asked until the routes were there is no part of the test.
        log.write_bytes(b"")
        return made

    yield run
    for process in began:
        process.terminate()
        process.wait()
    for server in servers:
        server.close()


async def test_what_traefik_records_is_what_is_read(start):
    traefik = await start(App(), {})
    async with traefik.client() as client:
        answer = await client.get(
            "/first/people?pid=01815012345", headers={"Cookie": "a=secret", "X-Real-IP": "192.0.2.9"}
        )
        assert answer.status_code == 200
        # Recorded, and not for the client.
        assert not {"x-havn-subscription", "x-havn-version"} & set(answer.headers)
        assert (answer.headers["set-cookie"], answer.text) == ("secret=1", "ok")
        assert (await client.get("/first/bad")).status_code == 500
        assert (await client.get("/first/health")).status_code == 200
        assert (await client.get("/other")).status_code == 404
    lines = await traefik.lines(4)
    fields = json.loads(lines[0])
    ours = {"level", "msg", "time", *msgspec.json.decode(msgspec.json.encode(Line(start=""))).keys()}
    assert set(fields) <= ours
    assert fields["RequestPath"] == "/first/people"
    assert b"secret" not in b"".join(lines)
    assert b"01815012345" not in b"".join(lines)
    records = [read(line, DOMAIN) for line in lines]
    assert records[3] is None
    first, bad, probe = records[:3]
    assert first is not None
    assert bad is not None
    assert probe is not None
    assert (first.org, first.app, first.version, first.subscription) == ("ttd", "first", "abc123", "0190-sub")
    assert (first.status, first.passed_on, first.probe) == (200, True, False)
    assert first.total >= first.backend > 0
    assert first.gateway == first.total - first.backend
    assert (bad.status, probe.probe) == (500, True)


async def test_where_answers_are_not_held_the_record_is_kept_and_the_client_sees_what_it_says(start):
    traefik = await start(App(), {"bodyBytes": 0})
    async with traefik.client() as client:
        assert (await client.get("/first")).headers["x-havn-subscription"] == "0190-sub"
    record = read((await traefik.lines(1))[0], DOMAIN)
    assert record is not None
    assert (record.subscription, record.version) == ("0190-sub", "abc123")


async def test_a_log_that_is_rotated_by_its_name_is_followed(start, tmp_path):
    traefik = await start(App(), {})
    follower, place, seen = Follower(traefik.log), Place(), []
    async with traefik.client() as client:
        for number in range(6):
            await client.get(f"/first/{number}")
            if number == 2:
                # As logrotate does it: rename, then tell Traefik.
                await traefik.lines(3)
                traefik.log.rename(tmp_path / "access.log.1")
                await client.get("/first/old-name")
                traefik.process.send_signal(signal.SIGUSR1)
                async with asyncio.timeout(10):
                    while not traefik.log.exists():  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
            while (piece := follower.read(place)) is not None:
                seen += [json.loads(line)["RequestPath"] for line in piece.lines]
                place = piece.place
        await traefik.lines(3)
        while (piece := follower.read(place)) is not None:
            seen += [json.loads(line)["RequestPath"] for line in piece.lines]
            place = piece.place
    assert seen == [
        "/first/0", "/first/1", "/first/2", "/first/old-name", "/first/3", "/first/4", "/first/5",
    ]  # fmt: skip


async def test_what_is_too_much_is_refused(start):
    app = App()
    traefik = await start(app, {"addressRequests": 1, "bodyBytes": 1000, "addressRate": 0, "orgRequests": 0})
    async with traefik.client() as client:
        assert (await client.post("/first", content=b"x" * 1001)).status_code == 413
        assert (await client.get("/first", headers={"X-Large": "x" * 60_000})).status_code == 431
        waiting = asyncio.create_task(client.get("/first/wait"))
        await app.begun.get()
        assert (await client.get("/first")).status_code == 429
        app.release.set()
        assert (await waiting).status_code == 200
        assert (await client.get("/first")).status_code == 200


async def test_a_hasty_address_is_refused(start):
    traefik = await start(App(), {"addressRate": 1, "addressBurst": 2})
    async with traefik.client() as client:
        statuses = [(await client.get("/first")).status_code for _ in range(5)]
    assert statuses[:2] == [200, 200]
    assert 429 in statuses
    records = [read(line, DOMAIN) for line in await traefik.lines(5)]
    refused = [each for each in records if each is not None and each.status == 429]
    assert refused
    assert not any(each.passed_on for each in refused)


async def test_an_app_in_maintenance_says_so_in_the_readers_language_and_counts_as_away(start):
    shut = {"app": "first", "message": "Vi flytter på oss", "until": "2026-12-01T21:00:00Z"}
    traefik = await start(App(), {"maintenance": [shut]})
    async with traefik.client() as client:
        page = await client.get("/first/x", headers={"Accept": "text/html", "Accept-Language": "nn"})
        assert page.status_code == 503
        assert "ttd/first er stengd for vedlikehald. Ho er venta tilbake 01.12.2026 22:00." in page.text
        assert "Vi flytter på oss" in page.text
        problem = (await client.get("/first")).json()
        assert problem["code"] == "maintenance"
        assert (await client.get("/first/health")).text == "ok"
    records = [read(line, DOMAIN) for line in await traefik.lines(3)]
    assert [(each.app, each.status) for each in records if each is not None] == [
        ("first", 503), ("first", 503), ("first", 200),
    ]  # fmt: skip


async def test_a_blocked_address_is_refused(start):
    traefik = await start(App(), {"blocked": ["192.0.2.7", "127.0.0.0/8", "2001:db8:77::/48"]})
    async with traefik.client() as client:
        answer = await client.get("/first")
        assert (answer.status_code, answer.json()["code"]) == (429, "blocked")
        assert answer.headers["retry-after"] == "3600"
