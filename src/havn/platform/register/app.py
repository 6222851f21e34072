"""The Register API wired together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from havn.guard.callers import Callers
from havn.guard.metering.middleware import metered
from havn.guard.middleware import Authentication
from havn.guard.neighbours import Neighbours
from havn.kit.clock import Clock, system_clock
from havn.kit.web import create_app
from havn.platform.register.api import Api
from havn.platform.register.internal_api import InternalApi
from havn.platform.register.persons import PersonLookup
from havn.platform.register.settings import Settings
from havn.platform.register.store import Store

BASE = "/register/api/v1"


async def build(settings: Settings, *, clock: Clock = system_clock, transport: Any = None) -> Starlette:
    """Connect to the database and wire the API; its lifespan follows revocations and closes the connections.

    `transport` carries calls to other platform APIs in place of the network.
    """
    store = await Store.open(settings.register_database_url)
    neighbours = Neighbours(settings, "register", clock=clock, transport=transport)
    http = neighbours.client("Authentication", 35)
    callers = Callers(http, scheme=settings.scheme, domain=settings.domain, clock=clock)
    meter = neighbours.meter()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with callers.following(), meter.running():
            yield
        await http.close()
        await store.close()

    async def health(request: Request) -> Response:
        return PlainTextResponse("OK")

    async def ready(request: Request) -> Response:
        await store.ready()
        return PlainTextResponse("OK")

    api = Api(store, callers, PersonLookup(store, settings, clock), settings.environment_type, clock)
    internal = InternalApi(store, callers, clock)
    return create_app(
        [
            Route(f"{BASE}/health", health),
            Route(f"{BASE}/health/ready", ready),
            *internal.routes(BASE),
            *api.routes(BASE),
        ],
        name="register",
        lifespan=lifespan,
        middleware=[
            Middleware(Authentication, verifier=callers.users),
            *metered("register", meter, callers.components),
        ],
    )
