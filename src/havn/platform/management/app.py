"""The management API and its pages wired together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Route

from havn.clients.authentication import AuthenticationClient
from havn.clients.register import RegisterClient
from havn.guard.callers import Callers
from havn.guard.middleware import Authentication
from havn.guard.neighbours import Neighbours
from havn.guard.tokens import AudienceRule
from havn.kit.clock import Clock, system_clock
from havn.kit.http import HttpClient
from havn.kit.web import create_app
from havn.platform.management import store
from havn.platform.management.actors import Mandates
from havn.platform.management.catalogue import Catalogue
from havn.platform.management.catalogue_api import CatalogueApi
from havn.platform.management.consumer_api import ConsumerApi
from havn.platform.management.desk import Desk
from havn.platform.management.levels.wiring import Levels, Questions
from havn.platform.management.metering.wiring import Metering
from havn.platform.management.openapi import Descriptions
from havn.platform.management.owner_api import OwnerApi
from havn.platform.management.owners import Owners
from havn.platform.management.pages import app as pages
from havn.platform.management.settings import Settings
from havn.platform.management.store import changes

BASE = "/management/api/v1"


async def build(
    settings: Settings, *, clock: Clock = system_clock, transport: Any = None, outbound: Any = None
) -> Starlette:
    """Connect to the database and wire the API; its lifespan follows revocations and closes the connections.

    `transport` carries calls to other platform APIs and to apps in place of the network, `outbound` those to addresses
    that others chose in place of the proxy.
    """
    owners = Owners.read(settings.orgs_file)
    database = await store.open_database(settings.management_database_url)
    neighbours = Neighbours(settings, "management", clock=clock, transport=transport)
    http = neighbours.client("The platform", 35)
    callers = Callers(http, scheme=settings.scheme, domain=settings.domain, clock=clock)
    mandates = Mandates(RegisterClient(http), neighbours.signer, owners, clock)
    desk = Desk(database, mandates, clock)
    metering = Metering(
        database,
        settings.management_database_url,
        callers.components,
        clock=clock,
        counters_url=settings.management_counters_url,
    )
    levels = Levels(
        database,
        settings.management_database_url,
        clock,
        key=settings.platform_access_key,
        egress_url=settings.egress_url,
        trust=neighbours.trust,
        questions=Questions(mandates, callers.components),
        outbound=outbound,
    )
    catalogue = Catalogue(database, owners, clock, scheme=settings.scheme, domain=settings.domain)
    apps = HttpClient("", name="The app", timeout=5, transport=transport)
    site = pages.build(
        settings,
        desk=desk,
        catalogue=catalogue,
        descriptions=Descriptions(apps, settings.description, clock),
        authentication=AuthenticationClient(http),
        signer=neighbours.signer,
        verifier=callers.accepting(AudienceRule.only(settings.origin)),
        clock=clock,
        more=levels.pages(BASE),
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with callers.following(), levels.running(), metering.running():
            yield
        await apps.close()
        await http.close()
        await database.close()

    async def health(request: Request) -> Response:
        return PlainTextResponse("OK")

    async def ready(request: Request) -> Response:
        await changes.version(database)
        return PlainTextResponse("OK")

    return create_app(
        [
            # The pages have a host of their own, and so cookies of their own; the API is not there.
            Host(settings.host.partition(":")[0], site),
            Route(f"{BASE}/health", health),
            Route(f"{BASE}/health/ready", ready),
            *CatalogueApi(catalogue).routes(BASE),
            *OwnerApi(desk, callers.components).routes(BASE),
            *ConsumerApi(desk, callers.components).routes(BASE),
            *levels.routes(BASE),
            *metering.routes(BASE),
        ],
        name="management",
        lifespan=lifespan,
        middleware=[Middleware(Authentication, verifier=callers.users)],
    )
