"""The Authentication API wired together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from havn.clients.profile import ProfileClient
from havn.clients.register import RegisterClient
from havn.guard.metering.meter import Meter
from havn.guard.metering.middleware import metered
from havn.guard.platform_token import PlatformTokenSigner, PlatformTokenVerifier
from havn.guard.tokens import AudienceRule, TokenVerifier
from havn.kit import assets
from havn.kit.clock import Clock, system_clock
from havn.kit.http import HttpClient, ProxiedTransport
from havn.kit.problem import Problem
from havn.kit.trust import open_trust
from havn.kit.web import create_app
from havn.platform.authentication import pages
from havn.platform.authentication.access_keys import AccessKeys
from havn.platform.authentication.browser_api import BrowserApi
from havn.platform.authentication.exchange import Exchange
from havn.platform.authentication.limits import RateLimit
from havn.platform.authentication.revocations import RevocationList
from havn.platform.authentication.sessions import Sessions
from havn.platform.authentication.settings import Settings, read_orgs, read_providers
from havn.platform.authentication.sign_in import SignIn
from havn.platform.authentication.sign_out import SignOut
from havn.platform.authentication.signing_keys import KeyFolder, KeyRing
from havn.platform.authentication.store import Store
from havn.platform.authentication.token_api import TokenApi
from havn.platform.authentication.tokens import Tokens
from havn.platform.authentication.upstream import Remote, Upstream
from havn.platform.authentication.users import Users

BASE = "/authentication/api/v1"
_SWEEP_SECONDS = 60
# The audience of our tokens for the API proxy.
_EGRESS = "egress"
_log = structlog.get_logger("authentication")


def key_ring(settings: Settings, store: Store, clock: Clock) -> KeyRing:
    """The signing keys as `settings` say where they are."""
    return KeyRing(
        store,
        KeyFolder(Path(settings.authentication_key_folder), settings.authentication_key_identity),
        algorithm=settings.authentication_algorithm,
        wait=timedelta(hours=settings.authentication_key_wait_hours),
        age=timedelta(days=settings.authentication_key_days),
        clock=clock,
    )


async def build(settings: Settings, *, clock: Clock = system_clock, transport: Any = None) -> Starlette:
    """Connect, make the first signing key if there is none, and wire the API.

    Its lifespan sweeps what has run out and closes the connections. `transport` carries calls to other platform APIs
    and to identity providers in place of the network. Raises `SettingsError`.
    """
    providers, orgs = read_providers(settings.authentication_providers), read_orgs(settings.orgs_file)
    store = await Store.open(settings.authentication_database_url)
    keys = key_ring(settings, store, clock)
    await keys.ensure()
    clients: list[HttpClient] = []
    trust = open_trust(settings.trust_file)

    def make_signer(audience: str) -> PlatformTokenSigner:
        key = settings.platform_access_key
        return PlatformTokenSigner(issuer="platform", app="authentication", audience=audience, key=key, clock=clock)

    def make_client(address: str, name: str, host: str | None) -> HttpClient:
        carrier = transport
        if carrier is None and host is None and settings.egress_url is not None:
            # Addresses that others chose are reached through the API proxy; those with a Host of their own are ours.
            carrier = ProxiedTransport(settings.egress_url, make_signer(_EGRESS).token, trust=trust)
        client = HttpClient(address, name=name, host=host, trust=trust, transport=carrier)
        clients.append(client)
        return client

    host = f"platform.{settings.domain}"
    signer = make_signer(settings.platform_origin)

    def platform_client(name: str, timeout: float) -> HttpClient:
        return HttpClient(
            settings.platform_url, name=name, host=host, timeout=timeout, trust=trust, transport=transport
        )

    meter = Meter.over(platform_client, signer, org="platform", app="authentication")
    users = Users(
        ProfileClient(make_client(settings.platform_url, "Profile", host)),
        RegisterClient(make_client(settings.platform_url, "Register", host)),
        signer,
    )
    upstreams = {
        key: Upstream(
            key, provider, redirect_uri=f"{settings.base}/upstream/callback", make_client=make_client, clock=clock
        )
        for key, provider in providers.sign_in.items()
    }
    remotes = {
        key: Remote(
            issuer.issuer,
            issuer.address,
            name=f"The token issuer {key}",
            make_client=make_client,
            clock=clock,
            oauth=issuer.kind == "maskinporten",
        )
        for key, issuer in providers.exchange.items()
    }
    access_keys = AccessKeys(store, settings.platform_jwks, clock)

    async def component_keys(org: str) -> dict[str, Any]:
        return {"keys": await access_keys.of(org)}

    # Sessions are looked up at each use here, so no list of ended ones is needed beside.
    verifier = TokenVerifier(
        issuer=settings.issuer,
        audiences=AudienceRule.platform(scheme=settings.scheme, domain=settings.domain),
        jwks=keys.jwks,
        clock=clock,
    )
    components = PlatformTokenVerifier(audience=settings.platform_origin, jwks=component_keys, clock=clock)
    sessions = Sessions(settings, clock)
    sign_in = SignIn(settings, providers, upstreams, store, sessions, users, keys, clock)
    sign_out = SignOut(settings, upstreams, store, sessions, sign_in, clock)
    stopping = asyncio.Event()

    def limit(kind: str, calls: int) -> RateLimit:
        return RateLimit(store, clock, kind=kind, limit=calls)

    browser = BrowserApi(settings, sign_in, sign_out, limit("sign-in", settings.authentication_sign_in_limit), clock)
    programs = TokenApi(
        settings,
        RevocationList(store, clock, stopping),
        sign_in,
        Tokens(settings, store, sessions, keys, clock),
        Exchange(settings, providers.exchange, remotes, orgs, users, sessions, keys, clock),
        keys,
        access_keys,
        verifier,
        components,
        exchange_limit=limit("exchange", settings.authentication_exchange_limit),
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(store, keys, clock))
        async with meter.running():
            yield
            stopping.set()
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
        for client in clients:
            await client.close()
        await store.close()

    async def health(request: Request) -> Response:
        return PlainTextResponse("OK")

    async def ready(request: Request) -> Response:
        await store.ready()
        if not (await keys.jwks())["keys"]:
            raise Problem(503, "There is no signing key.", code="no_signing_key")
        return PlainTextResponse("OK")

    app = create_app(
        [
            Route(f"{BASE}/health", health),
            Route(f"{BASE}/health/ready", ready),
            *browser.routes(BASE),
            *programs.routes(BASE),
            Mount(pages.BASE, routes=assets.routes()),
        ],
        name="authentication",
        lifespan=lifespan,
        middleware=metered("authentication", meter, components),
    )
    # Whoever drains this process lets those go first who wait for ended sessions.
    app.state.stopping = stopping
    return app


async def _sweep(store: Store, keys: KeyRing, clock: Clock) -> None:
    while True:
        try:
            await store.sweep(clock())
            await keys.ensure()
        except Problem as problem:
            # Next minute again; readiness tells that the database is away.
            _log.warning("sweep_failed", code=problem.code)
        await asyncio.sleep(_SWEEP_SECONDS)
