"""Authentication, register, profile and the test identity provider together: real databases, real HTTP in process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pyrage
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from havn.guard.platform_token import PlatformTokenSigner
from havn.local.oidc import app as login_app
from havn.local.oidc import setup
from havn.local.oidc.settings import Settings as LoginSettings
from havn.local.testdata import fixed, load, orgs
from havn.platform.authentication import app as authentication_app
from havn.platform.authentication.settings import Settings as AuthenticationSettings
from havn.platform.profile import app as profile_app
from havn.platform.profile.settings import Settings as ProfileSettings
from havn.platform.register import app as register_app
from havn.platform.register.settings import Settings as RegisterSettings

MakeDatabase = Callable[[str], Awaitable[str]]

DOMAIN = "havn.test"
PLATFORM = f"https://platform.{DOMAIN}"
LOGIN = f"https://login.{DOMAIN}"


class Now:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **time: float) -> None:
        self.now += timedelta(**time)


_NO_SUCH_API = PlainTextResponse("There is no such platform API.", 404)


class Apps:
    """One ASGI application for all hosts, as the platform process is."""

    def __init__(self) -> None:
        self.by_api: dict[str, ASGIApp] = {}
        self.login: ASGIApp | None = None
        self.away: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = next(value for name, value in scope["headers"] if name == b"host")
        # The pages of API management have a host of their own, as the sign-in has.
        own = {b"login": "login", b"api": "management"}.get(host.partition(b".")[0])
        name = own or scope["path"].split("/")[1]
        if name in self.away:
            raise httpx2.ConnectError("away")
        app = self.login if name == "login" else self.by_api.get(name, _NO_SUCH_API)
        assert app is not None
        await app(scope, receive, send)


class Platform:
    """What a test may hold of it."""

    def __init__(self, apps: Apps, clock: Now, keys: dict[str, str], settings: AuthenticationSettings) -> None:
        self.apps = apps
        self.clock = clock
        self.settings = settings
        self._keys = keys
        self.people = {login.name: login for login in fixed.dataset().logins}
        self.parties = {party.name: party for party in fixed.dataset().parties}

    def browser(self, **options: Any) -> httpx2.AsyncClient:
        """A browser with its own cookies, on the platform's host."""
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.apps, raise_app_exceptions=False),
            base_url=PLATFORM,
            headers={"accept": "text/html", "accept-language": "en"},
            **options,
        )

    def client(self, token: str | None = None, *, component: str | None = None, app: str | None = None) -> Any:
        """A program: with a user's token, as a component of the platform, or as an app `org/app`."""
        headers = {}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        if component is not None:
            headers["PlatformAccessToken"] = self.signer("platform", component).token()
        if app is not None:
            headers["PlatformAccessToken"] = self.signer(*app.split("/")).token()
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.apps, raise_app_exceptions=False), base_url=PLATFORM, headers=headers
        )

    @property
    def login_key(self) -> str:
        """The provider's private key, for a provider gone bad."""
        return self._keys["login"]

    @property
    def component_key(self) -> str:
        """The private key of the platform's components, which here share one."""
        return self._keys["component"]

    def signer(self, org: str, app: str) -> PlatformTokenSigner:
        key = self._keys["component" if org == "platform" else f"{org}/{app}"]
        return PlatformTokenSigner(issuer=org, app=app, audience=PLATFORM, key=key, clock=self.clock)

    async def deploy(self, app: str) -> None:
        """Give an app a key, as deploy does."""
        key = self._keys.setdefault(app, setup.new_key())
        members = msgspec.json.decode(key, type=dict[str, Any])
        public = {name: value for name, value in members.items() if name != "d"}
        org, name = app.split("/")
        path = f"/authentication/api/v1/access-token/{org}/{name}/keys/{members['kid']}"
        async with self.client(component="deploy") as client:
            assert (await client.put(path, json=public)).status_code == 204

    async def choose(self, browser: httpx2.AsyncClient, location: str, person: str, level: str = "substantial") -> str:
        """Go to the provider's page and choose a person; returns where it sends the browser."""
        page = await browser.get(location)
        assert page.status_code == 200, page.text
        sealed = page.text.split('name="request" value="')[1].split('"')[0]
        answer = await browser.post(
            f"{LOGIN}/authorize",
            data={"request": sealed, "person": self.people[person].pid, "level": f"idporten-loa-{level}"},
        )
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def sign_in(
        self, browser: httpx2.AsyncClient, person: str, goto: str, level: str = "substantial"
    ) -> httpx2.Response:
        """The whole way, up to the redirect to the app's host."""
        begun = await browser.get("/authentication/api/v1/authentication", params={"goto": goto})
        assert begun.status_code == 302, begun.text
        back = await self.choose(browser, begun.headers["location"], person, level)
        return await browser.get(back)

    async def token(self, person: str, *, app: str = "ttd/skjema", level: str = "substantial") -> str:
        """A person's token for an app's owner, made by signing in."""
        org, name = app.split("/")
        if app not in self._keys:
            await self.deploy(app)
        async with self.browser() as browser:
            answer = await self.sign_in(browser, person, f"https://{org}.apps.{DOMAIN}/{name}/", level)
            assert answer.status_code == 302, answer.text
            code = httpx2.URL(answer.headers["location"]).params["code"]
        async with self.client(app=app) as client:
            redeemed = await client.post("/authentication/api/v1/session/redeem", json={"code": code})
            assert redeemed.status_code == 200, redeemed.text
            return str(redeemed.json()["token"])


@pytest.fixture
async def platform(make_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Platform]:
    """The three APIs with the fixed test data, and the provider."""
    clock, apps = Now(), Apps()
    urls = {api: await make_database(api) for api in ("authentication", "register", "profile")}
    await load.load(urls, clock=clock)
    orgs.write(tmp_path / "orgs.json")
    component, client_key = setup.new_key(), setup.new_key()
    members = msgspec.json.decode(component, type=dict[str, Any])
    public = {name: value for name, value in members.items() if name != "d"}
    login = setup.login_secrets(signing_key=setup.new_key(), client_key=client_key)
    settings = AuthenticationSettings(
        domain=DOMAIN,
        environment_type="test",
        platform_url=PLATFORM,
        authentication_database_url=urls["authentication"],
        authentication_key_folder=str(tmp_path / "keys"),
        authentication_key_identity=str(pyrage.x25519.Identity.generate()),
        authentication_session_pepper="p" * 40,
        authentication_providers=setup.providers(
            scheme="https", domain=DOMAIN, platform_url=PLATFORM, client_key=client_key
        ),
        orgs_file=str(tmp_path / "orgs.json"),
        platform_access_key=component,
        platform_jwks=msgspec.json.encode({"keys": [public]}).decode(),
        authentication_algorithm="ES256",
    )
    transport = httpx2.ASGITransport(apps)
    async with AsyncExitStack() as stack:
        built = {
            "authentication": await authentication_app.build(settings, clock=clock, transport=transport),
            "register": await register_app.build(
                RegisterSettings(
                    domain=DOMAIN,
                    environment_type="test",
                    platform_url=PLATFORM,
                    register_database_url=urls["register"],
                    platform_access_key=component,
                ),
                clock=clock,
                transport=transport,
            ),
            "profile": await profile_app.build(
                ProfileSettings(
                    domain=DOMAIN,
                    platform_url=PLATFORM,
                    profile_database_url=urls["profile"],
                    platform_access_key=component,
                ),
                clock=clock,
                transport=transport,
            ),
        }
        apps.by_api.update(built)
        apps.login = await login_app.build(
            LoginSettings(
                domain=DOMAIN,
                environment="local",
                environment_type="test",
                login_signing_key=login["login-signing-key"],
                login_client_jwks=login["login-client-jwks"],
            ),
            clock=clock,
        )
        for app in built.values():
            await stack.enter_async_context(app.router.lifespan_context(app))
        yield Platform(apps, clock, {"component": component, "login": login["login-signing-key"]}, settings)
