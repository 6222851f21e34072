"""The control plane as it runs in Kubernetes, on a real PostgreSQL, and a real sign-in provider on a loopback port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pyrage
import pytest
from starlette.applications import Starlette

from havn.clients.estate import EstateClient
from havn.contracts.estate import GrantRequest, Session
from havn.deploy.endpoints import BASE, Endpoint
from havn.deploy.process import build
from havn.deploy.settings import Settings
from havn.kit.http import HttpClient
from havn.kit.serve import serve
from havn.local.environment import free_port
from havn.local.oidc import app as oidc
from havn.local.oidc import settings as oidc_settings
from havn.local.oidc.device import CLIENT_ID
from havn.local.oidc.setup import login_secrets, new_key

ADMIN_KEY = new_key()


@dataclass
class Clock:
    """Time that a test moves on."""

    offset: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


@dataclass
class SignIn:
    """The test sign-in, and its people."""

    url: str
    clock: Clock

    async def confirm(self, user_code: str, person: str | None) -> int:
        """Confirm as a browser does, or refuse; the answer's status."""
        form = {"user_code": user_code, **({"cancel": "yes"} if person is None else {"person": person})}
        async with httpx2.AsyncClient(trust_env=False) as browser:
            return (await browser.post(f"{self.url}/device", data=form)).status_code

    async def people(self) -> list[str]:
        """Numbers of people, as the page offers them."""
        async with httpx2.AsyncClient(trust_env=False) as browser:
            page = (await browser.get(f"{self.url}/device")).text
        return [part.partition('"')[0] for part in page.split('<option value="')[1:]]


@pytest.fixture
async def sign_in() -> AsyncIterator[SignIn]:
    port, clock = free_port(), Clock()
    signing, client = new_key(), new_key()
    secrets = login_secrets(signing_key=signing, client_key=client)
    told = oidc_settings.Settings(
        domain=f"127.0.0.1:{port}",
        environment="local",
        environment_type="test",
        login_signing_key=secrets["login-signing-key"],
        login_client_jwks=secrets["login-client-jwks"],
        scheme="http",
    )
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(await oidc.build(told, clock=clock), port=port, stop=stop))
    await _listening(port)
    yield SignIn(f"http://127.0.0.1:{port}", clock)
    stop.set()
    await serving


async def _listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            return


@dataclass
class Plane:
    """A control plane, and ways to call it."""

    app: Starlette
    settings: Settings
    url: str
    clock: Clock
    sign_in: SignIn
    open: list[HttpClient] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Its table of routes."""
        found: tuple[Endpoint, ...] = self.app.state.endpoints
        return found

    def http(self) -> HttpClient:
        """A client in this process."""
        client = HttpClient("http://console.test", name="console", transport=httpx2.ASGITransport(self.app))
        self.open.append(client)
        return client

    def client(self, token: str | None) -> EstateClient:
        """A client with a token."""
        return EstateClient(self.http(), token)

    async def call(self, method: str, path: str, token: str | None, body: Any = None) -> Any:
        """One request below /api/v1."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        content = None if body is None else msgspec.json.encode(body)
        return await self.http().request(method, f"{BASE}{path}", headers=headers, content=content)

    async def login(self, person: str) -> Session:
        """Sign a test person in."""
        client = self.client(None)
        begun = await client.begin_login()
        assert await self.sign_in.confirm(begun.user_code, person) == 200
        return await client.poll_login(begun.device_code)

    async def holder(self, org: str, *roles: str) -> str:
        """The token of a machine with these roles."""
        admin = await self.admin()
        answer = await self.call(
            "POST", "/ci-tokens", admin, {"name": "test", "org": org, "roles": list(roles), "days": 1}
        )
        return str(answer.json()["token"])

    async def admin(self) -> str:
        """The token of a person who administers everything, by the settings."""
        if "admin" not in self.tokens:
            session = await self.login((await self.sign_in.people())[0])
            assert session.token is not None
            self.tokens["admin"] = session.token
        return self.tokens["admin"]

    async def give(self, subject: str, org: str, role: Any) -> None:
        """Give a role."""
        await self.client(await self.admin()).grant(GrantRequest(subject=subject, org=org, role=role))


@pytest.fixture
async def plane(make_database, sign_in: SignIn, tmp_path: Path) -> AsyncIterator[Plane]:
    identity = tmp_path / "identity"
    identity.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    url = await make_database("deploy")
    settings = Settings(
        deploy_database_url=url,
        identities_file=str(identity),
        registry_url="http://127.0.0.1:1",
        runtime_image=f"havn/runtime@sha256:{'0' * 64}",
        helm="false",
        oidc_issuer=sign_in.url.replace("http://", "http://login."),
        oidc_client_id=CLIENT_ID,
        oidc_address=sign_in.url,
        oidc_scope="openid",
        administrators=await _subject(sign_in),
        work_folder=str(tmp_path / "work"),
        console_url="https://console.example.no",
    )
    app = await build(settings, clock=sign_in.clock)
    async with app.router.lifespan_context(app):
        made = Plane(app, settings, url, sign_in.clock, sign_in)
        yield made
        for client in made.open:
            await client.close()


async def _subject(sign_in: SignIn) -> str:
    """The subject of the first test person, as the provider tells it."""
    async with httpx2.AsyncClient(trust_env=False, base_url=sign_in.url) as http:
        form = {"client_id": CLIENT_ID, "scope": "openid"}
        begun = (await http.post("/device_authorization", data=form)).json()
        await sign_in.confirm(begun["user_code"], (await sign_in.people())[0])
        grant = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": CLIENT_ID}
        tokens = (await http.post("/token", data={**grant, "device_code": begun["device_code"]})).json()
    import base64

    claims = tokens["id_token"].split(".")[1]
    return str(msgspec.json.decode(base64.urlsafe_b64decode(claims + "=="))["sub"])
