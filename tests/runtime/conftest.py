"""A running app before a real platform: every platform API in this process, over real PostgreSQL, over real HTTP.

Nothing of ours is replaced: a test signs a person in at the provider, deploys an app folder, and calls the app as a
browser or an end-user system does.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pyrage
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from havn.appfolder import AppFolder, AppId
from havn.clients.applications import ApplicationsClient
from havn.clients.authorization import AuthorizationClient
from havn.clients.credentials import Credentials
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.http import HttpClient
from havn.local.oidc import app as login_app
from havn.local.oidc import setup
from havn.local.oidc.settings import Settings as LoginSettings
from havn.local.testdata import fixed, load, orgs
from havn.platform.authentication import app as authentication_app
from havn.platform.authentication.settings import Settings as AuthenticationSettings
from havn.platform.authorization import app as authorization_app
from havn.platform.authorization.settings import AuthorizationSettings
from havn.platform.profile import app as profile_app
from havn.platform.profile.settings import Settings as ProfileSettings
from havn.platform.register import app as register_app
from havn.platform.register.settings import Settings as RegisterSettings
from havn.platform.storage import app as storage_app
from havn.platform.storage.settings import Settings as StorageSettings
from havn.runtime import app as runtime_app
from havn.runtime.settings import RuntimeSettings

_spec = importlib.util.spec_from_file_location("runtime_folders", Path(__file__).with_name("folders.py"))
assert _spec is not None
assert _spec.loader is not None
folders = sys.modules.setdefault("runtime_folders", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(folders)

MakeDatabase = Callable[[str], Awaitable[str]]
DOMAIN = "havn.test"
PLATFORM = f"https://platform.{DOMAIN}"
LOGIN = f"https://login.{DOMAIN}"
APIS = ("authentication", "register", "profile", "authorization", "storage")


class Now:
    """A clock that moves when told, and by a microsecond whenever asked."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    def forward(self, **time: float) -> None:
        self.now += timedelta(**time)


_NO_SUCH_API = PlainTextResponse("There is no such platform API.", 404)


class Hosts:
    """One ASGI application for all hosts: platform, provider, and each owner's apps."""

    def __init__(self) -> None:
        self.apis: dict[str, ASGIApp] = {}
        self.apps: dict[str, ASGIApp] = {}
        self.login: ASGIApp | None = None
        self.lost: list[Callable[[Scope], str | None]] = []
        """Asked for each call to the platform: `before` or `after` breaks the connection there."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = next(value for name, value in scope["headers"] if name == b"host").decode()
        first = scope["path"].split("/")[1]
        if host.startswith("login."):
            assert self.login is not None
            await self.login(scope, receive, send)
        elif ".apps." in host:
            org = host.partition(".")[0]
            name = scope["path"].split("/")[2] if first == org else first
            await self.apps[f"{org}/{name}"](scope, receive, send)
        else:
            fates = [fate(scope) for fate in self.lost]
            if "before" in fates:
                raise httpx2.ConnectError("killed")
            await self.apis.get(first, _NO_SUCH_API)(scope, receive, send)
            if "after" in fates:
                raise httpx2.ReadError("killed")


class Client(httpx2.AsyncClient):
    """A caller of one app, its address as base."""


class App:
    """A deployed app."""

    def __init__(self, stage: Stage, app: Starlette, settings: RuntimeSettings) -> None:
        self.stage = stage
        self.asgi = app
        self.settings = settings
        self.id = settings.app_id
        self.base = f"https://{settings.org}.apps.{DOMAIN}/{settings.app}"

    async def client(self, person: str | None = None, *, level: str = "substantial", prefix: str = "") -> Client:
        """A program with that person's token, or with none."""
        headers = {}
        if person is not None:
            headers["authorization"] = f"Bearer {await self.stage.token(person, self.id, level=level)}"
        base = f"https://{self.settings.org}.apps.{DOMAIN}{prefix}/{self.settings.app}/"
        return Client(transport=self.stage.transport(), base_url=base, headers=headers)

    async def browser(self, person: str) -> Client:
        """A browser in which that person has signed in by opening the app."""
        client = Client(transport=self.stage.transport(), base_url=f"{self.base}/")
        answer = await client.get("api/authentication/logout")
        assert answer.status_code == 302
        code = await self.stage.code(person, self.id)
        answer = await client.get(
            "api/authentication/session", params={"code": code, "goto": f"{self.base}/api/v1/footer"}
        )
        assert answer.status_code == 302, answer.text
        return client

    def party(self, name: str) -> int:
        """The id of a party by name."""
        return self.stage.party(name)


class Stage:
    """The platform with the fixed test data."""

    def __init__(self, hosts: Hosts, clock: Now, component: str, tmp: Path) -> None:
        self.hosts = hosts
        self.clock = clock
        self.tmp = tmp
        self._component = component
        self._keys: dict[str, str] = {}
        self._stack = AsyncExitStack()
        self._people = {login.name: login for login in fixed.dataset().logins}
        self._parties = {party.name: party for party in fixed.dataset().parties}

    def transport(self) -> httpx2.ASGITransport:
        return httpx2.ASGITransport(self.hosts, raise_app_exceptions=False)

    def network(self) -> httpx2.ASGITransport:
        """Between our own processes: a broken connection is an exception, as it is on a real one."""
        return httpx2.ASGITransport(self.hosts)

    def party(self, name: str) -> int:
        return int(self._party(name).id)

    def number(self, name: str) -> str:
        return str(self._party(name).number)

    def _party(self, name: str) -> Any:
        login = self._people.get(name)
        if login is not None:
            return next(party for party in self._parties.values() if party.number == login.pid)
        return self._parties[name.upper()]

    def signer(self, org: str, app: str) -> PlatformTokenSigner:
        key = self._component if org == "platform" else self._keys[f"{org}/{app}"]
        return PlatformTokenSigner(issuer=org, app=app, audience=PLATFORM, key=key, clock=self.clock)

    async def deploy(self, folder: Path, *, as_: str | None = None, **settings: Any) -> App:
        """What the control plane does: publish key, policy and metadata; then start the app."""
        read = AppFolder.read(folder, as_=AppId.parse(as_) if as_ else None, environment="development")
        key = self._keys.setdefault(read.id, setup.new_key())
        members = msgspec.json.decode(key, type=dict[str, Any])
        public = {name: value for name, value in members.items() if name != "d"}
        credentials = Credentials(platform_token=self.signer("platform", "deploy").token())
        http = HttpClient(PLATFORM, name="platform", transport=self.transport())
        path = f"/authentication/api/v1/access-token/{read.org}/{read.app}/keys/{members['kid']}"
        answer = await http.request(
            "PUT",
            path,
            content=json.dumps(public),
            headers={**credentials.headers(), "content-type": "application/json"},
        )
        assert answer.status_code == 204, answer.text
        await AuthorizationClient(http).publish_policy(read.org, read.app, read.policy_xml, credentials)
        await ApplicationsClient(http).publish_application(read.metadata, credentials)
        await http.close()
        made = RuntimeSettings(
            domain=DOMAIN,
            platform_url=PLATFORM,
            app_folder=str(folder),
            org=read.org,
            app=read.app,
            platform_access_key=key,
            lock_seconds=1,
            **settings,
        )
        app = runtime_app.build(made, clock=self.clock, transport=self.network())
        await self._stack.enter_async_context(app.router.lifespan_context(app))
        self.hosts.apps[read.id] = app
        return App(self, app, made)

    async def code(self, person: str, app: str, *, level: str = "substantial") -> str:
        """The one-time code with which signing in at the app's host ends."""
        org, name = app.split("/")
        async with httpx2.AsyncClient(
            transport=self.transport(), base_url=PLATFORM, headers={"accept": "text/html"}
        ) as browser:
            goto = f"https://{org}.apps.{DOMAIN}/{name}/"
            begun = await browser.get("/authentication/api/v1/authentication", params={"goto": goto})
            page = await browser.get(begun.headers["location"])
            sealed = page.text.split('name="request" value="')[1].split('"')[0]
            chosen = await browser.post(
                f"{LOGIN}/authorize",
                data={"request": sealed, "person": self._people[person].pid, "level": f"idporten-loa-{level}"},
            )
            answer = await browser.get(chosen.headers["location"])
            assert answer.status_code == 302, answer.text
            return str(httpx2.URL(answer.headers["location"]).params["code"])

    async def token(self, person: str, app: str, *, level: str = "substantial") -> str:
        """A person's token for an owner's apps."""
        code = await self.code(person, app, level=level)
        org, name = app.split("/")
        headers = self.signer(org, name).headers()
        async with httpx2.AsyncClient(transport=self.transport(), base_url=PLATFORM, headers=headers) as client:
            answer = await client.post("/authentication/api/v1/session/redeem", json={"code": code})
            assert answer.status_code == 200, answer.text
            return str(answer.json()["token"])

    async def close(self) -> None:
        await self._stack.aclose()


@pytest.fixture
async def stage(make_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Stage]:
    clock, hosts = Now(), Hosts()
    urls = {api: await make_database(api) for api in APIS}
    await load.load(urls, clock=clock)
    orgs.write(tmp_path / "orgs.json")
    component, client_key = setup.new_key(), setup.new_key()
    members = msgspec.json.decode(component, type=dict[str, Any])
    public = {name: value for name, value in members.items() if name != "d"}
    login = setup.login_secrets(signing_key=setup.new_key(), client_key=client_key)
    transport = httpx2.ASGITransport(hosts)
    common = {"domain": DOMAIN, "platform_url": PLATFORM}
    async with AsyncExitStack() as stack:

        async def serve(name: str, app: Starlette) -> None:
            hosts.apis[name] = app
            await stack.enter_async_context(app.router.lifespan_context(app))

        authentication = AuthenticationSettings(
            **common,
            environment_type="test",
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
        hosts.login = await login_app.build(
            LoginSettings(
                domain=DOMAIN,
                environment="local",
                environment_type="test",
                login_signing_key=login["login-signing-key"],
                login_client_jwks=login["login-client-jwks"],
            ),
            clock=clock,
        )
        ports = {"clock": clock, "transport": transport}
        await serve("authentication", await authentication_app.build(authentication, **ports))
        register = RegisterSettings(
            **common, environment_type="test", register_database_url=urls["register"], platform_access_key=component
        )
        await serve("register", await register_app.build(register, **ports))
        profile = ProfileSettings(**common, profile_database_url=urls["profile"], platform_access_key=component)
        await serve("profile", await profile_app.build(profile, **ports))
        authorization = AuthorizationSettings(
            **common, authorization_database_url=urls["authorization"], platform_access_key=component
        )
        await serve("authorization", await authorization_app.build(authorization, **ports))
        storage = StorageSettings(
            **common,
            storage_database_url=urls["storage"],
            storage_blobs_url=f"file://{tmp_path / 'blobs'}",
            platform_access_key=component,
        )
        (tmp_path / "blobs").mkdir()
        await serve("storage", await storage_app.build(storage, **ports))
        made = Stage(hosts, clock, component, tmp_path)
        yield made
        await made.close()


@pytest.fixture
def builder(tmp_path: Path) -> Any:
    """Writes an app folder; see `folders.py`."""
    return folders.Builder(tmp_path / "app")


@pytest.fixture
async def app(stage: Stage, builder: Any) -> App:
    """The builder's app as it stands, deployed."""
    return await stage.deploy(builder.write())


@pytest.fixture
def ops() -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A PATCH body that sets paths."""

    def body(values: Mapping[str, Any], *, ignored: list[str] | None = None) -> dict[str, Any]:
        patch = [{"op": "add", "path": path, "value": value} for path, value in values.items()]
        return {"patch": patch, "ignoredValidators": ignored or []}

    return body
