"""The management API on a real database, and processes that enforce what it says; time goes when it is told to."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import msgspec
import pytest
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from havn.clients.metering import MeteringClient
from havn.contracts.management import Api, Application, Key, Plan, Quota, Rate, Subscription, Title, api_id, plan_id
from havn.engines import api_keys
from havn.guard.metering.meter import Management, Meter
from havn.guard.metering.middleware import Metering
from havn.guard.platform_token import PlatformTokenSigner, PlatformTokenVerifier
from havn.kit.http import HttpClient
from havn.kit.web import create_app
from havn.platform.management import store
from havn.platform.management.metering.rates import MemoryRates, RateStore
from havn.platform.management.metering.wiring import Metering as ManagementMetering
from havn.platform.management.store import Database, apis, applications, keys, subscriptions

BASE = "/management/api/v1"
AUDIENCE = "https://platform.havn.test"
ORG, APP = "ttd", "permit"


class Time:
    """One time for all: the clock on the wall, one that never jumps, and the counter store's."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)
        self.seconds = 1000.0

    def wall(self) -> datetime:
        return self.now

    def timestamp(self) -> float:
        return self.now.timestamp()

    def monotonic(self) -> float:
        return self.seconds

    def micros(self) -> int:
        return int(self.seconds * 1_000_000)

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


class Tokens:
    """Keys of callers, and the verifier that knows them."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self._keys: dict[str, ECKey] = {}
        self.verifier = PlatformTokenVerifier(audience=AUDIENCE, jwks=self._published, clock=time.wall)

    def private(self, org: str, app: str) -> str:
        kid = f"{org}-{app}"
        key = self._keys.setdefault(kid, ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256"}, auto_kid=False))
        return msgspec.json.encode(key.as_dict(private=True)).decode()

    def signer(self, org: str, app: str, clock: Any = None) -> PlatformTokenSigner:
        key = self.private(org, app)
        return PlatformTokenSigner(issuer=org, app=app, audience=AUDIENCE, key=key, clock=clock or self._time.wall)

    async def _published(self, org: str) -> dict[str, Any]:
        own = [key for kid, key in self._keys.items() if kid.startswith(f"{org}-")]
        return {"keys": [{**key.as_dict(private=False), "use": "sig"} for key in own]}


class Replica:
    """One process's worth of enforcement before an app that tells what reached it."""

    def __init__(self, meter: Meter, app: ASGIApp) -> None:
        self.meter = meter
        self.app = app
        self._http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://app")

    async def get(self, path: str = "/permit/api/v1/x", key: str | None = None, **headers: str) -> httpx2.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["x-api-key"] = key
        return await self._http.get(path, headers=sent)

    async def burst(self, count: int, key: str) -> list[int]:
        """That many requests, one after another."""
        return [(await self.get(key=key)).status_code for _ in range(count)]


class Rig:
    """The management API, and what is in it."""

    def __init__(self, database: Database, time: Time, tokens: Tokens, metering: ManagementMetering) -> None:
        self.database = database
        self.time = time
        self.tokens = tokens
        self.metering = metering
        self.away = False
        self.asked: list[str] = []
        self.stack = AsyncExitStack()
        self._inner = create_app(metering.routes(BASE), name="management")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.away:
            raise httpx2.ConnectError("away")
        self.asked.append(scope["path"].removeprefix(BASE))
        await self._inner(scope, receive, send)

    @property
    def served(self) -> ASGIApp:
        return self._inner

    async def api(
        self, *, paths: tuple[str, ...] = ("/api/v1",), name: str = "cases", app: str = APP, **more: Any
    ) -> Api:
        version = more.pop("version", "v1")
        made = Api(id=api_id(ORG, app, name, version), org=ORG, app=app, name=name, version=version,
                   title=Title(nb="Saker"), paths=paths, **more)  # fmt: skip
        await apis.put(self.database, made, declared=False, now=self.time.now)
        return made

    async def plan(self, api: Api, name: str = "basic", **terms: Any) -> Plan:
        made = Plan(id=plan_id(api.id, name), api=api.id, name=name, title=Title(nb=name), **terms)
        await apis.put_plan(self.database, made)
        return made

    async def subscription(self, plan: Plan, owner: str = "310000006", **more: Any) -> Subscription:
        application = Application(id=str(uuid.uuid4()), name=str(uuid.uuid4()), owner=owner, created=self.time.now)
        await applications.add(self.database, application)
        made = Subscription(
            id=str(uuid.uuid4()), application=application.id, plan=plan.id, api=plan.api, created=self.time.now,
            **({"state": "active"} | more),
        )  # fmt: skip
        await subscriptions.add(self.database, made)
        return made

    async def key(self, subscription: Subscription, **more: Any) -> str:
        parsed, salt = api_keys.make(os.urandom(8), os.urandom(32)), os.urandom(16)
        new = Key(prefix=parsed.prefix, subscription=subscription.id, created=self.time.now, state="active", **more)
        await keys.add(self.database, new, salt, api_keys.digest(parsed, salt))
        return parsed.text

    async def managed_key(self, **terms: Any) -> str:
        """A key to a plan of these terms."""
        return await self.key(await self.subscription(await self.plan(await self.api(), **terms)))

    async def replica(self, *, settle: bool = True, hear: bool = True, org: str = ORG, app: str = APP) -> Replica:
        """A process that enforces; its background work is done when the test says so, by `settle` or `hear`."""
        http = HttpClient("http://platform", name="Management", transport=httpx2.ASGITransport(self))
        client = MeteringClient(http)
        management = Management(client, client, self.tokens.signer(org, app), org=org, app=app)
        meter = Meter(management, monotonic=self.time.monotonic, tick_seconds=3600)
        made = Replica(meter, self.guarded(meter))
        if settle:
            await self.stack.enter_async_context(meter.portions.running())
        if hear:
            await self.hear(made)
        return made

    def guarded(self, meter: Meter) -> ASGIApp:
        async def tell(request: Request) -> JSONResponse:
            names = sorted({name for name, _ in request.headers.items()})
            headers = {"x-havn-subscription": "forged", "x-own": "1"}
            told = {"headers": names, "subscription": request.scope.get("havn.subscription")}
            return JSONResponse(told, headers=headers)

        inner = Starlette(
            routes=[Route("/{path:path}", tell, methods=["GET", "POST"])],
            middleware=[
                Middleware(
                    Metering,
                    meter=meter,
                    components=self.tokens.verifier,
                    trusted=("platform", ORG),
                    prefix="/permit",
                    clock=self.time.timestamp,
                )
            ],
        )

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["havn.principal_from_cookie"] = any(name == b"x-test-browser" for name, _ in scope["headers"])
            await inner(scope, receive, send)

        return app

    async def hear(self, *replicas: Replica) -> None:
        """The stream says what the last change is, and what is managed is read anew."""
        for replica in replicas:
            following = replica.meter.following
            following.hear(await store.changes.version(self.database))
            await following.read()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def make_rig(
    make_database: Callable[[str], Awaitable[str]], time: Time
) -> AsyncIterator[Callable[..., Awaitable[Rig]]]:
    async with AsyncExitStack() as stack:

        async def make(rates: RateStore | None = None) -> Rig:
            url = await make_database("management")
            database = await store.open_database(url)
            stack.push_async_callback(database.close)
            tokens = Tokens(time)
            metering = ManagementMetering(
                database, url, tokens.verifier, clock=time.wall, rates=rates or MemoryRates(time.micros)
            )
            made = Rig(database, time, tokens, metering)
            stack.push_async_callback(made.stack.aclose)
            return made

        yield make


@pytest.fixture
async def rig(make_rig: Callable[..., Awaitable[Rig]]) -> Rig:
    return await make_rig()


@pytest.fixture
def rate() -> Callable[..., Rate]:
    return lambda requests=10, seconds=60, name="steady", **more: Rate(
        name=name, requests=requests, seconds=seconds, **more
    )


@pytest.fixture
def quota() -> Callable[..., Quota]:
    return lambda requests=10, per="day", name="daily", **more: Quota(name=name, requests=requests, per=per, **more)
