"""Decisions a second: over HTTP at the authorization API, and inside an asking process on its snapshot of facts.

The API runs as it does in production, on PostgreSQL and with register over HTTP; the load comes from a second process
on loopback. `python bench/authorization.py` prints the table as Markdown.
"""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
import uvloop
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from havn.contracts.authorization import AttributePair, PolicyFacts, SubjectFacts, SubjectRef
from havn.contracts.register import Organization, PartyType, Person
from havn.guard.facts import FactCache
from havn.guard.pep import Enforcer, Resource
from havn.guard.platform_token import PlatformTokenSigner
from havn.guard.principal import from_claims
from havn.guard.snapshot import SnapshotDecisionPoint
from havn.kit import db, migrations
from havn.kit.clock import system_clock
from havn.kit.serve import serve
from havn.local.postgres import EmbeddedPostgres
from havn.platform.authorization import app as authorization
from havn.platform.authorization.settings import AuthorizationSettings
from havn.platform.authorization.store import Stores
from havn.platform.register import app as register
from havn.platform.register import store as register_store
from havn.platform.register.settings import Settings as RegisterSettings

sys.path.insert(0, str(Path(__file__).parent / "xacml"))

import cases

POLICY = Path(__file__).parent.parent / "examples/apps/tilskudd/App/config/authorization/policy.xml"
ORG, APP, LARGE = "fjord", "tilskudd", "large"
DOMAIN = "havn.localhost:8000"
PLATFORM = f"http://platform.{DOMAIN}"
BASE = "/authorization/api/v1"
SECONDS = 4
ACTION = "urn:oasis:names:tc:xacml:1.0:action:action-id"
PERSON, COMPANY = 501, 5101


def large_policy() -> bytes:
    """A thousand rules about one app; the manager, who asks, is named by the last."""
    rules = [
        cases.rule(
            n, "Permit", cases.roles(f"role{n}"), [cases.place(ORG, LARGE, f"Task_{n % 50}")],
            cases.actions("write" if n % 2 else "sign"),
        )
        for n in range(999)
    ]  # fmt: skip
    rules.append(cases.rule(999, "Permit", cases.roles("dagl"), [cases.place(ORG, LARGE)], cases.actions("read")))
    return bytes(cases.policy(rules))


# --- In process -----------------------------------------------------------------------------------------------------


class Facts:
    """A manager's facts, as the authorization API would give them."""

    def fresh(self) -> bool:
        return True

    async def policy(self, org: str, app: str) -> PolicyFacts:
        return PolicyFacts(org, app, 1, app, large_policy() if app == LARGE else POLICY.read_bytes())

    async def subject_facts(self, subject: SubjectRef, parties: list[int], token: str | None) -> list[SubjectFacts]:
        return [SubjectFacts(party, [AttributePair("urn:altinn:rolecode", "dagl")], [], 300_000) for party in parties]


async def in_process() -> list[tuple[str, str]]:
    point = SnapshotDecisionPoint(FactCache(Facts(), Facts(), clock=system_clock), clock=system_clock)
    enforcer = Enforcer(point)
    claims = {"urn:altinn:userid": "1501", "urn:altinn:partyid": PERSON, "urn:altinn:authlevel": 3, "sid": "s"}
    caller = from_claims(claims, token="t")
    one = Resource(ORG, APP, COMPANY, f"{COMPANY}/{0:032d}", "Task_1")
    await enforcer.decide(caller, one, ["read"])
    singles = await timed(lambda: enforcer.decide(caller, one, ["read"]))
    other = Resource(ORG, LARGE, COMPANY, f"{COMPANY}/{0:032d}", "Task_1")
    await enforcer.decide(caller, other, ["read"])
    larger = await timed(lambda: enforcer.decide(caller, other, ["read"]))
    many = [Resource(ORG, APP, COMPANY, f"{COMPANY}/{number:032d}", f"Task_{number % 5}") for number in range(1000)]
    actions = ["read", "write", "delete", "sign"]
    await enforcer.decide_many(caller, many, actions)
    multis = await timed(lambda: enforcer.decide_many(caller, many, actions))
    fresh: list[float] = []
    for _ in range(200):
        # A new point: policy compiled, facts fetched, nothing remembered.
        empty = Enforcer(SnapshotDecisionPoint(FactCache(Facts(), Facts(), clock=system_clock), clock=system_clock))
        started = time.perf_counter()
        await empty.decide(caller, one, ["read"])
        fresh.append(time.perf_counter() - started)
    return [
        ("in process, one action on one instance", line(singles, 1)),
        ("in process, the same under a policy with 1,000 rules", line(larger, 1)),
        ("in process, 4 actions on 1,000 instances in 5 tasks", line(multis, 4000)),
        ("in process, first decision: policy compiled, facts at hand", line(fresh, 1)),
    ]


async def timed(action: Any) -> list[float]:
    found: list[float] = []
    end = time.perf_counter() + SECONDS / 2
    while time.perf_counter() < end:
        started = time.perf_counter()
        await action()
        found.append(time.perf_counter() - started)
    return found


def line(times: list[float], decisions: int) -> str:
    times = sorted(times)
    rate = len(times) / sum(times)
    p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
    return f"{rate:,.0f}/s | {rate * decisions:,.0f}/s | {p50 * 1e3:.3f} | {p99 * 1e3:.3f}"


# --- Over HTTP ------------------------------------------------------------------------------------------------------


def request(instances: int, app: str) -> bytes:
    def attributes(pairs: dict[str, str]) -> list[dict[str, str]]:
        return [{"AttributeId": name, "Value": value} for name, value in pairs.items()]

    places = [
        {
            "Id": f"r{number}",
            "Attribute": attributes(
                {
                    "urn:altinn:org": ORG,
                    "urn:altinn:app": app,
                    "urn:altinn:partyid": str(COMPANY),
                    "urn:altinn:instance-id": f"{COMPANY}/{number:032d}",
                    "urn:altinn:task": f"Task_{number % 5}",
                }
            ),
        }
        for number in range(1, instances + 1)
    ]
    whole: dict[str, Any] = {
        "AccessSubject": [{"Id": "s1", "Attribute": attributes({"urn:altinn:userid": "1501"})}],
        "Action": [{"Id": "a1", "Attribute": [{"AttributeId": ACTION, "Value": "read", "IncludeInResult": True}]}],
        "Resource": places,
    }
    if instances > 1:
        whole["MultiRequests"] = {"RequestReference": [{"ReferenceId": ["s1", "a1", place["Id"]]} for place in places]}
    return msgspec.json.encode({"Request": whole})


async def load(url: str, token: str, instances: int, clients: int, app: str) -> dict[str, Any]:
    """Keep-alive connections, each asking as fast as it is answered."""
    parts = urlsplit(url)
    body = request(instances, app)
    head = (
        f"POST {BASE}/decision HTTP/1.1\r\nHost: platform.{DOMAIN}\r\nContent-Type: application/json\r\n"
        f"PlatformAccessToken: {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    times: list[float] = []
    end = time.perf_counter() + SECONDS

    async def work() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while time.perf_counter() < end:
            started = time.perf_counter()
            writer.write(head + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in answer[:20]:
                raise RuntimeError(answer.decode())
            length = next(
                int(row.split(b":")[1]) for row in answer.split(b"\r\n") if row.lower().startswith(b"content-length")
            )
            content = await reader.readexactly(length)
            times.append(time.perf_counter() - started)
            assert content.count(b'"Permit"') == instances
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(clients)))
    times.sort()
    return {
        "rate": len(times) / (time.perf_counter() - begun),
        "p50": statistics.median(times) * 1e3,
        "p99": times[int(len(times) * 0.99)] * 1e3,
    }


async def over_http() -> list[tuple[str, str]]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    key = ECKey.generate_key("P-256", {"kid": "k", "alg": "ES256", "use": "sig"}, auto_kid=False)
    private = msgspec.json.encode(key.as_dict(private=True)).decode()

    async def keys(_: Any) -> JSONResponse:
        return JSONResponse({"keys": [key.as_dict(private=False)]})

    async def revocations(_: Any) -> JSONResponse:
        await asyncio.sleep(1)
        return JSONResponse({"next": 0, "revoked": []})

    parts: dict[str, Any] = {
        "authentication": Starlette(
            routes=[
                Route("/authentication/api/v1/access-token/{org}/jwks", keys),
                Route("/authentication/api/v1/revocations", revocations),
            ]
        )
    }

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        # What this platform has not got is not found, as with any other.
        part = parts.get(scope["path"].split("/")[1], JSONResponse({"title": "Not Found"}, 404))
        await part(scope, receive, send)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    stop = asyncio.Event()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        postgres = EmbeddedPostgres(Path(folder) / "pg", durable=False)
        postgres.start()
        try:
            databases = {api: await prepare(postgres, api) for api in ("register", "authorization")}
            await fill(databases)
            serving = asyncio.create_task(serve(dispatch, port=port, stop=stop))
            common = {"domain": DOMAIN, "scheme": "http", "platform_url": url}
            async with AsyncExitStack() as stack:
                parts["register"] = await register.build(
                    RegisterSettings(
                        **common,
                        environment_type="test",
                        register_database_url=databases["register"],
                        platform_access_key=private,
                    )
                )
                parts["authorization"] = await authorization.build(
                    AuthorizationSettings(
                        **common,
                        authorization_database_url=databases["authorization"],
                        platform_access_key=private,
                    )
                )
                for name in ("register", "authorization"):
                    await stack.enter_async_context(parts[name].router.lifespan_context(parts[name]))
                signer = PlatformTokenSigner(
                    issuer="platform", app="storage", audience=PLATFORM, key=private, clock=system_clock
                )
                await asyncio.sleep(1)
                rows = []
                for title, instances, clients, app in (
                    ("over HTTP, one decision, 1 client", 1, 1, APP),
                    ("over HTTP, one decision, 16 clients", 1, 16, APP),
                    ("over HTTP, one decision under a policy with 1,000 rules, 1 client", 1, 1, LARGE),
                    ("over HTTP, one decision under a policy with 1,000 rules, 16 clients", 1, 16, LARGE),
                    ("over HTTP, 1,000 decisions in one call, 1 client", 1000, 1, APP),
                ):
                    child = await asyncio.create_subprocess_exec(
                        sys.executable, __file__, "load", url, signer.token(), str(instances), str(clients), app,
                        stdout=asyncio.subprocess.PIPE,
                    )  # fmt: skip
                    out, _ = await child.communicate()
                    found = json.loads(out)
                    decisions = found["rate"] * instances
                    rows.append(
                        (
                            title,
                            f"{found['rate']:,.0f}/s | {decisions:,.0f}/s | {found['p50']:.3f} | {found['p99']:.3f}",
                        )
                    )
                stop.set()
                await serving
                return rows
        finally:
            postgres.stop()


async def prepare(postgres: EmbeddedPostgres, api: str) -> str:
    admin = await db.connect(postgres.url())
    await admin.execute(f"create database {api}_bench")
    await admin.close()
    admin = await db.connect(postgres.url(f"{api}_bench"))
    await db.provision(admin, f"{api}_bench", api, f"havn_{api}", "bench")
    await admin.close()
    url = postgres.url(f"{api}_bench", f"havn_{api}", "bench")
    owner = await db.connect(url)
    await migrations.migrate(owner, api, f"havn.platform.{api}.migrations")
    await owner.close()
    return url


async def fill(databases: dict[str, str]) -> None:
    def uuid(party: int) -> str:
        return f"00000000-0000-4000-8000-{party:012d}"

    store = await register_store.Store.open(databases["register"])
    person = register_store.NewParty(
        id=PERSON, uuid=uuid(PERSON), type=PartyType.PERSON, external_urn="urn:p", number=None, name="Kari",
        user_id=1501, username="kari", person=Person(ssn="", name="Kari", first_name="Kari", last_name="Test"),
    )  # fmt: skip
    company = register_store.NewParty(
        id=COMPANY, uuid=uuid(COMPANY), type=PartyType.ORGANISATION, external_urn="urn:o", number="310000001",
        name="Bakeriet", unit_type="AS",
        organization=Organization(org_number="310000001", name="Bakeriet", unit_type="AS"),
    )  # fmt: skip
    role = register_store.NewRole(from_party=uuid(COMPANY), to_party=uuid(PERSON), code="dagl", source="ccr")
    await store.import_all("bench", "1", [person, company], [role], datetime.now(UTC))
    await store.close()
    stores = await Stores.open(databases["authorization"])
    for app, xml in ((APP, POLICY.read_bytes()), (LARGE, large_policy())):
        await stores.policies.publish(ORG, app, xml, app, by="bench", release=None)
    await stores.close()


async def measure() -> list[tuple[str, str]]:
    return [*await in_process(), *await over_http()]


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] == "load":
        print(json.dumps(uvloop.run(load(*sys.argv[2:4], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6]))))
        return
    print("| What is asked | Calls | Decisions | p50 ms | p99 ms |\n|---|---|---|---|---|")
    for title, figures in uvloop.run(measure()):
        print(f"| {title} | {figures} |")


if __name__ == "__main__":
    main()
