"""The Storage API wired together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from havn.clients.authorization import AuthorizationClient
from havn.clients.credentials import Credentials
from havn.clients.register import RegisterClient
from havn.contracts.register import PartyLookup
from havn.guard.callers import Callers
from havn.guard.enforcement import Enforcement
from havn.guard.metering.meter import Meter
from havn.guard.metering.middleware import metered
from havn.guard.middleware import Authentication
from havn.guard.neighbours import Neighbours
from havn.guard.pep import Enforcer
from havn.guard.platform_token import PlatformTokenVerifier
from havn.guard.tokens import TokenVerifier
from havn.kit.blobs import Blobs, open_blobs
from havn.kit.clock import Clock, system_clock
from havn.kit.web import create_app
from havn.platform.storage.access import Access
from havn.platform.storage.applications import Applications
from havn.platform.storage.applications_api import ApplicationsApi
from havn.platform.storage.bodies import RefuseNul
from havn.platform.storage.catalogue import Catalogue
from havn.platform.storage.changes import Changes
from havn.platform.storage.cleanup_api import CleanupApi
from havn.platform.storage.contents import Contents
from havn.platform.storage.data_api import DataApi
from havn.platform.storage.elements import Elements
from havn.platform.storage.events import Events
from havn.platform.storage.housekeeping import Housekeeping
from havn.platform.storage.instances import Instances
from havn.platform.storage.instances_api import InstancesApi
from havn.platform.storage.locks import Locks
from havn.platform.storage.messagebox import MessageBox
from havn.platform.storage.messagebox_api import MessageBoxApi
from havn.platform.storage.process import Processes
from havn.platform.storage.process_api import ProcessApi
from havn.platform.storage.readable import Readable
from havn.platform.storage.replies import Replies
from havn.platform.storage.search import FindParty, Search
from havn.platform.storage.settings import Settings
from havn.platform.storage.signing import Signing
from havn.platform.storage.standing import OpenInstances
from havn.platform.storage.standing_api import StandingApi
from havn.platform.storage.store import Database, open_database

BASE = "/storage/api/v1"


class Ports(msgspec.Struct, frozen=True):
    """What the API works with."""

    database: Database
    blobs: Blobs
    enforcer: Enforcer
    users: TokenVerifier
    components: PlatformTokenVerifier
    find_party: FindParty
    links: str
    """The public address of this API, as self links and pages name it."""
    clock: Clock = system_clock
    max_upload_bytes: int = 2000 * 1024 * 1024
    enforce_locks: bool = True
    meter: Meter | None = None
    """Enforces the Apis that storage offers to consumers; without one they are open to all whom access control lets."""


async def build(settings: Settings, *, clock: Clock = system_clock, transport: Any = None) -> Starlette:
    """Connect to the database and the other platform APIs, and wire the API.

    Its lifespan follows revocations and policy changes, keeps house, and closes the connections. `transport` carries
    calls to other platform APIs in place of the network.
    """
    platform = f"{settings.scheme}://platform.{settings.domain}"
    database = await open_database(settings.storage_database_url, max_size=settings.storage_pool_size)

    neighbours = Neighbours(settings, "storage", clock=clock, transport=transport)
    clients = [
        neighbours.client("Authentication", 35),
        neighbours.client("Authorization", 35),
        neighbours.client("Register", 10),
    ]
    callers = Callers(clients[0], scheme=settings.scheme, domain=settings.domain, clock=clock)
    enforcement = Enforcement(AuthorizationClient(clients[1]), neighbours.signer, clock=clock)
    register = RegisterClient(clients[2])
    meter = neighbours.meter()

    async def find_party(kind: str, number: str) -> int | None:
        who = PartyLookup(ssn=number) if kind == "person" else PartyLookup(org_no=number)
        party = await register.lookup(who, Credentials(platform_token=neighbours.signer.token()))
        return None if party is None else party.party_id

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(database.close)
            for client in clients:
                stack.push_async_callback(client.close)
            await stack.enter_async_context(callers.following())
            await stack.enter_async_context(enforcement.running())
            await stack.enter_async_context(meter.running())
            yield

    ports = Ports(
        database=database,
        blobs=open_blobs(settings.storage_blobs_url),
        enforcer=enforcement.enforcer,
        users=callers.users,
        components=callers.components,
        find_party=find_party,
        links=f"{platform}{BASE}",
        clock=clock,
        max_upload_bytes=settings.storage_max_upload_bytes,
        enforce_locks=settings.storage_enforce_locks,
        meter=meter,
    )
    return wire(ports, running=running())


def wire(ports: Ports, *, running: Any = None) -> Starlette:
    """The application on these ports; `running` is a context held open while it serves."""
    clock = ports.clock
    access = Access(ports.enforcer, ports.components)
    changes = Changes(ports.database, ports.links, enforce_locks=ports.enforce_locks)
    catalogue = Catalogue(ports.database)
    contents = Contents(ports.database, ports.blobs, clock)
    instances = Instances(changes, access, catalogue, clock)
    elements = Elements(changes, access, catalogue, contents, clock, ports.max_upload_bytes)
    readable = Readable(ports.database, access, ports.links)
    search = Search(ports.database, ports.links, ports.enforcer, access, readable, catalogue, ports.find_party)
    processes = Processes(changes, access, clock)
    signing = Signing(changes, access, catalogue, contents, clock)
    box = MessageBox(changes, access, readable, catalogue, clock)
    events, locks = Events(changes, access, clock), Locks(changes, access, clock)
    replies = Replies(access, catalogue)
    housekeeping = Housekeeping(ports.database, contents, clock)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if running is not None:
                await stack.enter_async_context(running)
            await stack.enter_async_context(housekeeping.running())
            yield

    async def health(request: Request) -> Response:
        return PlainTextResponse("OK")

    async def ready(request: Request) -> Response:
        await ports.database.fetchval("select 1")
        return PlainTextResponse("OK")

    routes = [
        *InstancesApi(instances, search, replies).routes(BASE),
        *DataApi(elements, access).routes(BASE),
        *ProcessApi(processes, events, locks, signing, access, replies).routes(BASE),
        *ApplicationsApi(Applications(ports.database, clock), access).routes(BASE),
        *StandingApi(OpenInstances(ports.database, clock), access).routes(BASE),
        *MessageBoxApi(box, instances).routes(BASE),
        *CleanupApi(housekeeping, access).routes(BASE),
        Route(f"{BASE}/health", health),
        Route(f"{BASE}/health/ready", ready),
    ]
    return create_app(
        routes,
        name="storage",
        lifespan=lifespan,
        middleware=[
            Middleware(RefuseNul),
            Middleware(Authentication, verifier=ports.users),
            *metered("storage", ports.meter, ports.components),
        ],
    )
