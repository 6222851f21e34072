"""One app wired together: its folder and code, the platform's clients, the guard, the routes."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from havn.appfolder import AppFolder, AppId
from havn.clients.authentication import AuthenticationClient
from havn.clients.authorization import AuthorizationClient
from havn.clients.profile import ProfileClient
from havn.clients.register import RegisterClient
from havn.clients.storage import StorageClient
from havn.guard.antiforgery import Antiforgery
from havn.guard.callers import Callers
from havn.guard.enforcement import Enforcement
from havn.guard.metering.meter import Meter
from havn.guard.metering.middleware import Metering
from havn.guard.middleware import Authentication
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit import assets
from havn.kit.clock import Clock, system_clock
from havn.kit.http import HttpClient
from havn.kit.problem import Problem
from havn.kit.trust import open_trust
from havn.kit.web import create_app
from havn.runtime import pages
from havn.runtime.api import (
    configuration,
    data_api,
    home,
    instances_api,
    openapi,
    options_api,
    people,
    process_api,
    session,
    stateless_api,
)
from havn.runtime.context import AppContext, Clients
from havn.runtime.edge import Edge
from havn.runtime.health import health
from havn.runtime.hooks import loader
from havn.runtime.http import Http
from havn.runtime.layout_sets import Layouts
from havn.runtime.models import Models
from havn.runtime.pages import errors
from havn.runtime.reload import Reloader
from havn.runtime.secrets import Secrets
from havn.runtime.settings import RuntimeSettings


def build(settings: RuntimeSettings, *, clock: Clock = system_clock, transport: Any = None) -> Starlette:
    """The ASGI application of the app in `settings.app_folder`.

    Raises `havn.appfolder.AppFolderError` or `havn.runtime.hooks.loader.LoadError` when the app cannot be used.
    `transport` stands in for the network between this process and the platform.
    """
    trust = open_trust(settings.trust_file)

    def http(name: str, timeout: float = 30) -> HttpClient:
        return HttpClient(
            settings.platform_url,
            name=name,
            host=settings.platform_host,
            timeout=timeout,
            trust=trust,
            transport=transport,
        )

    connections = [
        http("Storage", 60),
        http("Register"),
        http("Profile"),
        http("Authentication", 35),
        http("Authorization"),
        http("Authorization", 35),
    ]
    clients = Clients(
        storage=StorageClient(connections[0]),
        register=RegisterClient(connections[1]),
        profile=ProfileClient(connections[2]),
        authentication=AuthenticationClient(connections[3]),
        authorization=AuthorizationClient(connections[4]),
    )
    signer = PlatformTokenSigner(
        issuer=settings.org,
        app=settings.app,
        audience=settings.platform_base,
        key=settings.platform_access_key,
        clock=clock,
    )
    # The stream of changes is a long answer: it must not take the connections that other calls wait for.
    enforcement = Enforcement(AuthorizationClient(connections[5]), signer, clock=clock)
    callers = Callers(connections[3], scheme=settings.scheme, domain=settings.domain, clock=clock, org=settings.org)

    meter = Meter.over(http, signer, org=settings.org, app=settings.app)

    to_proxy = PlatformTokenSigner(
        issuer=settings.org, app=settings.app, audience="egress", key=settings.platform_access_key, clock=clock
    )
    outbound = Http.through(settings.egress_url, to_proxy.token, trust=trust)

    def read() -> AppContext:
        folder = AppFolder.read(
            Path(settings.app_folder), as_=AppId(settings.org, settings.app), environment=settings.environment
        )
        return AppContext(
            settings=settings,
            folder=folder,
            models=Models(folder),
            layouts=Layouts(folder),
            hooks=loader.load(folder.hooks_module),
            clients=clients,
            enforcer=enforcement.enforcer,
            signer=signer,
            http=outbound,
            secrets=Secrets(settings.secrets_dir),
            clock=clock,
        )

    context = read()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(outbound.close)
            for connection in connections:
                stack.push_async_callback(connection.close)
            await stack.enter_async_context(callers.following())
            await stack.enter_async_context(enforcement.running())
            await stack.enter_async_context(meter.running())
            if settings.dev:
                stop = asyncio.Event()
                watching = asyncio.create_task(reloader.watch(context.folder.root, stop))
                stack.push_async_callback(_finish, watching, stop)
            yield

    app = create_app(
        [],
        name=f"app {settings.app_id}",
        lifespan=lifespan,
        middleware=[
            Middleware(Edge, org=settings.org, name=settings.app, release=settings.release),
            Middleware(Authentication, verifier=callers.users),
            Middleware(Metering, meter=meter, components=callers.components, trusted=("platform", settings.org)),
        ],
        exception_handlers={Problem: errors.for_people, HTTPException: errors.for_people},
    )
    app.state.context = context
    app.state.antiforgery = Antiforgery(_antiforgery_key(settings), secure=settings.secure_cookies)
    reloader = Reloader(app, read)
    app.state.reloader = reloader
    app.router.routes.extend([*routes(settings), *(reloader.routes() if settings.dev else [])])
    app.router.routes.append(Route("/{path:path}", home.public_file, name="public_file"))
    return app


def routes(settings: RuntimeSettings) -> list[BaseRoute]:
    """Every route of an app but its public files."""
    first = [Route("/", home.shell, name="home"), *assets.routes()] if settings.frontend_url else pages.routes()
    return [
        Route("/health", health, name="health"),
        *first,
        *session.routes(),
        *people.routes(),
        *configuration.routes(),
        *instances_api.routes(),
        *process_api.routes(),
        *options_api.routes(),
        *data_api.routes(),
        *stateless_api.routes(),
        *openapi.routes(),
    ]


def _antiforgery_key(settings: RuntimeSettings) -> bytes:
    """The same on every replica of a deployment, and known to nobody else."""
    return hmac.digest(settings.platform_access_key.encode(), b"havn antiforgery", hashlib.sha256)


async def _finish(task: asyncio.Task[None], stop: asyncio.Event) -> None:
    stop.set()
    await task
