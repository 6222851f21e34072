"""API management: one app's endpoint behind Traefik with management off, with keys checked, and with limits on.

The app, Traefik (from the toolchain) and the management API on a real PostgreSQL are processes of their own; the load
is one more, on kept-alive connections. The three ways take turns, so that a busy machine is busy for all of them.
`python bench/management.py [--seconds 3] [--turns 3] [--connections 16]` prints the table as Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import psutil
import uvloop
from joserfc.jwk import ECKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from havn.clients.metering import MeteringClient
from havn.contracts.management import Api, Application, Key, Plan, Quota, Rate, Subscription, Title, plan_id
from havn.engines import api_keys
from havn.guard.metering.meter import Management, Meter
from havn.guard.metering.middleware import Metering
from havn.guard.platform_token import PlatformTokenSigner, PlatformTokenVerifier
from havn.kit import db, log, migrations
from havn.kit.clock import system_clock
from havn.kit.http import HttpClient
from havn.kit.serve import run, serve
from havn.kit.web import create_app
from havn.local.environment import free_port
from havn.local.kubernetes.toolchain import Toolchain
from havn.local.postgres import EmbeddedPostgres
from havn.platform.management import store
from havn.platform.management.metering.wiring import Metering as ManagementMetering
from havn.platform.management.store import apis, applications, keys, subscriptions

AUDIENCE = "https://platform.bench.test"
BASE = "/management/api/v1"
ROOT = Path(__file__).resolve().parent.parent
PATH = "/api/v1/items"
WAYS = ("off", "keys", "limits")


class Bench(msgspec.Struct):
    """What the processes are told, as a file."""

    key: str
    database: str
    management: int
    app: int
    api_keys: dict[str, str] = {}


async def management(told: Bench) -> None:
    """The management API's side of metering."""
    public = ECKey.import_key(msgspec.json.decode(told.key)).as_dict(private=False)

    async def published(org: str) -> dict[str, object]:
        return {"keys": [{**public, "use": "sig"}]}

    database = await store.open_database(told.database)
    verifier = PlatformTokenVerifier(audience=AUDIENCE, jwks=published, clock=system_clock)
    metering = ManagementMetering(database, told.database, verifier, clock=system_clock)

    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        async with metering.running():
            yield

    await serve(create_app(metering.routes(BASE), name="management", lifespan=lifespan), port=told.management)


async def app(told: Bench, way: str) -> None:
    """An app's endpoint; with `off` there is no API management in its path at all."""
    signer = PlatformTokenSigner(issuer="ttd", app="bench", audience=AUDIENCE, key=told.key, clock=system_clock)
    clients = [MeteringClient(HttpClient(f"http://127.0.0.1:{told.management}", name="Management")) for _ in range(2)]
    meter = Meter(Management(clients[0], clients[1], signer, org="ttd", app="bench"))

    async def items(request: Request) -> Response:
        return JSONResponse({"items": [{"id": number, "title": "Søknad"} for number in range(20)]})

    @asynccontextmanager
    async def lifespan(application: object) -> AsyncIterator[None]:
        if way == "off":
            yield
            return
        async with meter.running():
            await meter.following.known()
            yield

    inner = create_app([Route(PATH, items), Route("/health", items)], name="app", lifespan=lifespan)
    if way != "off":
        inner.add_middleware(Metering, meter=meter)
    await serve(inner, port=told.app)


async def prepare(told: Bench) -> None:
    """One Api, a plan without limits and one with a rate, a quota and a second rate that are never reached."""
    database, now = await store.open_database(told.database), system_clock()
    api = Api(id="ttd.bench.items.v1", org="ttd", app="bench", name="items", title=Title(nb="Ting"), paths=("/api",))
    await apis.put(database, api, declared=False, now=now)
    limits = {
        "rates": (Rate(name="burst", requests=1_000_000, seconds=1), Rate(name="hour", requests=10**9, seconds=3600)),
        "quotas": (Quota(name="daily", requests=10**9, per="day"),),
    }
    for name, terms in (("keys", {}), ("limits", limits)):
        plan = Plan(id=plan_id(api.id, name), api=api.id, name=name, title=Title(nb=name), **terms)
        await apis.put_plan(database, plan)
        application = Application(id=str(uuid.uuid4()), name=name, owner="310000006", created=now)
        await applications.add(database, application)
        subscription = Subscription(
            id=str(uuid.uuid4()), application=application.id, plan=plan.id, api=api.id, state="active", created=now
        )
        await subscriptions.add(database, subscription)
        made, salt = api_keys.make(os.urandom(8), os.urandom(32)), os.urandom(16)
        new = Key(prefix=made.prefix, subscription=subscription.id, created=now, state="active")
        await keys.add(database, new, salt, api_keys.digest(made, salt))
        told.api_keys[name] = made.text
    await database.close()


async def load(port: int, key: str | None, seconds: float, connections: int) -> list[float]:
    """Latencies in seconds of all requests that were answered 200; ends the program at any other answer."""
    request = f"GET {PATH} HTTP/1.1\r\nHost: bench\r\n" + (f"X-API-Key: {key}\r\n" if key else "") + "\r\n"
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (begun := time.perf_counter()) < end:
            writer.write(request.encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(head.decode("latin-1"))
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            latencies.append(time.perf_counter() - begun)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return latencies


class Turn(msgspec.Struct):
    """What one turn measured: requests a second, p50 and p99 in ms, and the app's processor time in µs a request."""

    rate: float
    p50: float
    p99: float
    micros: float


def turn(port: int, process: psutil.Process, key: str | None, seconds: float, connections: int) -> Turn:
    """One stretch of load, after a short one that is not counted."""
    uvloop.run(load(port, key, 0.5, connections))
    before = process.cpu_times()
    latencies = sorted(uvloop.run(load(port, key, seconds, connections)))
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    count = len(latencies)
    return Turn(
        count / seconds, latencies[count // 2] * 1000, latencies[count * 99 // 100] * 1000, used / count * 1_000_000
    )


def wait_for(port: int, path: str = "/health") -> None:
    """Until something answers there."""
    import http.client

    for _ in range(400):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            if connection.getresponse().status < 500:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"nothing answers on port {port}")


async def schema(server: EmbeddedPostgres) -> str:
    """A database with management's tables."""
    admin = await db.connect(server.url())
    await admin.execute("create database bench")
    await admin.close()
    admin = await db.connect(server.url("bench"))
    await db.provision(admin, "bench", "management", "havn_management", "bench")
    await admin.close()
    url = server.url("bench", "havn_management", "bench")
    owner = await db.connect(url)
    await migrations.migrate(owner, "management", "havn.platform.management.migrations")
    await owner.close()
    return url


def measure(seconds: float, turns: int, connections: int) -> dict[str, list[Turn]]:
    """All turns of each way."""
    found: dict[str, list[Turn]] = {way: [] for way in WAYS}
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="havn-bench-"))
        folder.chmod(0o711)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = EmbeddedPostgres(folder)
        server.start()
        stack.callback(server.stop)
        key = ECKey.generate_key("P-256", {"kid": "ttd-bench", "alg": "ES256"}, auto_kid=False)
        told = Bench(
            key=msgspec.json.encode(key.as_dict(private=True)).decode(),
            database=asyncio.run(schema(server)),
            management=free_port(),
            app=free_port(),
        )
        asyncio.run(prepare(told))
        about = folder / "told.json"

        def begin(*words: str) -> subprocess.Popen[bytes]:
            about.write_bytes(msgspec.json.encode(told))
            command = [sys.executable, __file__, "--told", str(about), *words]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            stack.callback(_end, process)
            return process

        begin("--run", "management")
        wait_for(told.management)
        fronts = {}
        for way in WAYS:
            told.app = free_port()
            process = begin("--run", way)
            wait_for(told.app)
            fronts[way] = (_traefik(stack, folder, way, told.app), psutil.Process(process.pid))
        for _ in range(turns):
            for way, (port, process_) in fronts.items():
                found[way].append(turn(port, process_, told.api_keys.get(way), seconds, connections))
    return found


def _traefik(stack: ExitStack, folder: Path, way: str, upstream: int) -> int:
    port, routes = free_port(), folder / f"{way}.yaml"
    routes.write_text(
        "http:\n"
        "  routers: {app: {rule: 'PathPrefix(`/`)', service: app, entryPoints: [web]}}\n"
        f"  services: {{app: {{loadBalancer: {{servers: [{{url: 'http://127.0.0.1:{upstream}'}}]}}}}}}\n"
    )
    program = str(Toolchain.ensure(ROOT / "toolchain").program("traefik"))
    arguments = [f"--entrypoints.web.address=127.0.0.1:{port}", f"--providers.file.filename={routes}"]
    process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(_end, process)
    wait_for(port)
    return port


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def table(found: dict[str, list[Turn]]) -> str:
    """The median of the turns, as Markdown; ratios are between turns that followed each other."""
    names = {"off": "management off", "keys": "keys checked", "limits": "keys, two rates and a quota"}
    lines = [
        "| Behind Traefik | Requests/s | Of management off | p50 | p99 | App's processor time |",
        "|---|---|---|---|---|---|",
    ]
    for way, turns in found.items():
        ratio = statistics.median(each.rate / base.rate for each, base in zip(turns, found["off"], strict=True))
        middle = {name: statistics.median(getattr(each, name) for each in turns) for name in Turn.__struct_fields__}
        lines.append(
            f"| {names[way]} | {middle['rate']:,.0f} | {ratio:.0%} | {middle['p50']:.1f} ms | {middle['p99']:.1f} ms |"
            f" {middle['micros']:.0f} µs |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure and print; or be one of the processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--told", help=argparse.SUPPRESS)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        log.configure("WARNING")
        told = msgspec.json.decode(Path(options.told).read_bytes(), type=Bench)
        run(lambda: management(told) if options.run == "management" else app(told, options.run))
        return 0
    found = measure(options.seconds, options.turns, options.connections)
    print(table(found))
    print("\nTarget: keys and limits ≥ 80 % of management off.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
