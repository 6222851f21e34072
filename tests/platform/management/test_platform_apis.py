"""The platform's own APIs under API management, over real HTTP: who is counted, and that nobody waits in a circle."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pyrage
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

from havn.contracts.management import ACTING_ADDRESS, ACTING_FOR, ACTING_ORG
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.clock import system_clock
from havn.kit.http import HttpClient, Response
from havn.kit.serve import serve
from havn.local.oidc import app as login_app
from havn.local.oidc import setup
from havn.local.oidc.settings import Settings as LoginSettings
from havn.local.platform_process import Dispatcher
from havn.local.testdata import fixed, load, orgs
from havn.platform.authentication import app as authentication_app
from havn.platform.authentication.settings import Settings as AuthenticationSettings
from havn.platform.management import app as management_app
from havn.platform.management.settings import Settings as ManagementSettings
from havn.platform.profile import app as profile_app
from havn.platform.profile.settings import Settings as ProfileSettings
from havn.platform.register import app as register_app
from havn.platform.register.settings import Settings as RegisterSettings
from havn.platform.secrets import public_key

DOMAIN = "havn.test"
PLATFORM, LOGIN = f"platform.{DOMAIN}", f"login.{DOMAIN}"
AUTHENTICATION, REGISTER, MANAGEMENT = (
    f"/{api}/api/v1" for api in ("authentication", "register", "management")
)  # fmt: skip
EXCHANGE = f"{AUTHENTICATION}/exchange/maskinporten"
LOOKUP = f"{REGISTER}/organizations?query=Lysende"
SCOPES = "altinn:register/partylookup.admin havn:apis/consume"
LYSENDE = "LYSENDE FURU AS"


class Served:
    """Platform APIs and the sign-in on a port of this machine."""

    def __init__(self, url: str, dispatcher: Dispatcher, stack: AsyncExitStack, component: str, made: Any) -> None:
        self.dispatcher = dispatcher
        self.key = component
        self._url = url
        self._stack = stack
        self._management: ManagementSettings = made
        self._clients: dict[str, HttpClient] = {}

    async def add(self, name: str, app: Starlette) -> None:
        """Serve one API."""
        self.dispatcher.add(name, app)
        await self._stack.enter_async_context(app.router.lifespan_context(app))

    async def manage(self) -> None:
        """API management comes, last of all."""
        await self.add("management", await management_app.build(self._management))
        self.dispatcher.ready = True

    async def ask(
        self, method: str, path: str, body: Any = None, *, host: str = PLATFORM, **headers: str | None
    ) -> Response:
        """One request over HTTP; `form` members when the body is for the sign-in."""
        client = self._clients.get(host)
        if client is None:
            client = self._clients[host] = HttpClient(self._url, name="The platform", host=host)
            self._stack.push_async_callback(client.close)
        sent = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        if host == LOGIN and body is not None and path == "/authorize":
            return await client.request(method, path, data=body, headers=sent)
        content = None if body is None else msgspec.json.encode(body)
        return await client.request(method, path, content=content, headers=sent)

    def platform_token(self, component: str, org: str = "platform", key: str | None = None) -> str:
        return PlatformTokenSigner(
            issuer=org, app=component, audience=f"http://{PLATFORM}", key=key or self.key, clock=system_clock
        ).token()

    async def system(self, scope: str = SCOPES, key: str | None = None) -> Response:
        """The answer to a company's system that exchanges its token."""
        number = str(next(party for party in fixed.dataset().parties if party.name == LYSENDE).number)
        foreign = await self.ask("POST", "/test-token", {"organisation": number, "scope": scope}, host=LOGIN)
        return await self.ask("GET", EXCHANGE, authorization=f"Bearer {foreign.json()}", x_api_key=key)

    async def sign_in(self) -> int:
        """A person signs in, as a browser and an app do it; the status of the last answer, which has the token."""
        key = setup.new_key()
        kid = msgspec.json.decode(key)["kid"]
        deploy = self.platform_token("deploy")
        path = f"{AUTHENTICATION}/access-token/ttd/permit/keys/{kid}"
        assert (await self.ask("PUT", path, public_key(key), PlatformAccessToken=deploy)).status_code == 204
        url = f"http://{PLATFORM}{AUTHENTICATION}/authentication?goto=http://ttd.apps.{DOMAIN}/permit/"
        cookies: dict[str, str] = {}
        while (place := urlsplit(url)).netloc in (PLATFORM, LOGIN):
            cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
            answer = await self.ask("GET", f"{place.path}?{place.query}", host=place.netloc, cookie=cookie)
            if answer.status_code == 200:
                sealed = re.search(r'name="request" value="([^"]+)"', answer.text)
                assert sealed is not None, answer.text
                chosen = {"request": sealed[1], "person": fixed.dataset().logins[0].pid}
                answer = await self.ask("POST", "/authorize", chosen, host=LOGIN)
            assert answer.status_code in (302, 303), answer.text
            cookies |= dict(answer.cookies)
            url = answer.headers["location"]
        code = parse_qs(place.query)["code"][0]
        app = self.platform_token("permit", "ttd", key)
        redeemed = await self.ask("POST", f"{AUTHENTICATION}/session/redeem", {"code": code}, PlatformAccessToken=app)
        return redeemed.status_code

    async def publish(self, api: str, paths: list[str], requests: int) -> None:
        """An Api of a platform API with the plan `basic` of so many requests an hour, by key."""
        rate = {"name": "steady", "requests": requests, "seconds": 3600}
        plan = {"name": "basic", "title": {"nb": "Basis"}, "approval": "auto", "rates": [rate]}
        terms = {"name": "open", "version": "v1", "title": {"nb": "Åpent"}, "paths": paths, "plans": [plan]}
        answer = await self.ask(
            "PUT", f"{MANAGEMENT}/apis/platform.{api}.open.v1", terms,
            PlatformAccessToken=self.platform_token("deploy"), **self._operator,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text

    @property
    def _operator(self) -> Mapping[str, str]:
        return {ACTING_FOR: "kari", ACTING_ADDRESS: "192.0.2.7", ACTING_ORG: "*"}

    async def subscribe(self, api: str, token: str) -> str:
        """A key to the plan, as its consumer gets it."""
        bearer = {"authorization": f"Bearer {token}"}
        number = str(next(party for party in fixed.dataset().parties if party.name == LYSENDE).number)
        wanted = {"name": f"System for {api}", "owner": number}
        application = (await self.ask("POST", f"{MANAGEMENT}/applications", wanted, **bearer)).json()["id"]
        asked = {"application": application, "plan": f"platform.{api}.open.v1:basic"}
        subscription = (await self.ask("POST", f"{MANAGEMENT}/subscriptions", asked, **bearer)).json()["id"]
        made = await self.ask("POST", f"{MANAGEMENT}/subscriptions/{subscription}/keys", {}, **bearer)
        assert made.status_code == 201, made.text
        return str(made.json()["key"])

    async def refused(self, method: str, path: str, **headers: str) -> dict[str, Any]:
        """The problem, once the API has heard that it is managed."""
        async with asyncio.timeout(20):
            while (answer := await self.ask(method, path, **headers)).status_code != 401 or (  # noqa: ASYNC110
                answer.json()["code"] != "key_needed"
            ):
                await asyncio.sleep(0.05)
        return dict(answer.json())


@pytest.fixture
async def served(make_database: Callable[[str], Awaitable[str]], tmp_path: Path) -> AsyncIterator[Served]:
    """Authentication, register and profile; API management has not come yet."""
    urls = {api: await make_database(api) for api in ("authentication", "register", "profile")}
    await load.load(urls, clock=system_clock)
    orgs.write(tmp_path / "orgs.json")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    component, client_key = setup.new_key(), setup.new_key()
    login = setup.login_secrets(signing_key=setup.new_key(), client_key=client_key)
    common: dict[str, Any] = {"domain": DOMAIN, "scheme": "http", "platform_url": url}
    own: dict[str, Any] = {**common, "platform_access_key": component}
    dispatcher, stop = Dispatcher(DOMAIN), asyncio.Event()
    serving = asyncio.create_task(serve(dispatcher, port=port, stop=stop))
    async with AsyncExitStack() as stack:
        management = ManagementSettings(
            **own, management_database_url=await make_database("management"), orgs_file=str(tmp_path / "orgs.json")
        )
        made = Served(url, dispatcher, stack, component, management)
        await made.add(
            "authentication",
            await authentication_app.build(
                AuthenticationSettings(
                    **own,
                    environment_type="test",
                    authentication_database_url=urls["authentication"],
                    authentication_key_folder=str(tmp_path / "keys"),
                    authentication_key_identity=str(pyrage.x25519.Identity.generate()),
                    authentication_session_pepper="p" * 40,
                    authentication_providers=setup.providers(
                        scheme="http", domain=DOMAIN, platform_url=url, client_key=client_key
                    ),
                    orgs_file=str(tmp_path / "orgs.json"),
                    platform_jwks=msgspec.json.encode({"keys": [public_key(component)]}).decode(),
                    authentication_algorithm="ES256",
                )
            ),
        )
        register = RegisterSettings(**own, environment_type="test", register_database_url=urls["register"])
        await made.add("register", await register_app.build(register))
        profile = ProfileSettings(**own, profile_database_url=urls["profile"])
        await made.add("profile", await profile_app.build(profile))
        await made.add(
            "login",
            await login_app.build(
                LoginSettings(
                    domain=DOMAIN,
                    scheme="http",
                    environment="local",
                    environment_type="test",
                    login_signing_key=login["login-signing-key"],
                    login_client_jwks=login["login-client-jwks"],
                ),
                clock=system_clock,
            ),
        )
        yield made
        # As the platform process does it: who waits for ended sessions goes first.
    stop.set()
    await serving


async def test_people_sign_in_and_parts_work_together_before_api_management_has_ever_answered(served):
    assert await served.sign_in() == 200
    keys = await served.ask("GET", f"{AUTHENTICATION}/openid/.well-known/openid-configuration/jwks")
    assert keys.status_code == 200
    assert (await served.ask("GET", f"{AUTHENTICATION}/health/ready")).status_code == 200
    assert (await served.ask("GET", f"{REGISTER}/health/ready")).status_code == 200
    # Refused for want of a session, and for nothing else.
    assert (await served.ask("GET", f"{AUTHENTICATION}/refresh")).json()["code"] == "token_missing"
    looked = await served.ask("GET", LOOKUP, PlatformAccessToken=served.platform_token("storage"))
    assert (looked.status_code, looked.json()[0]["name"]) == (200, LYSENDE)


async def test_consumers_of_register_and_authentication_need_keys_and_nobody_else_does(served):
    await served.manage()
    token = (await served.system()).json()
    bearer = {"authorization": f"Bearer {token}"}
    assert (await served.ask("GET", LOOKUP, **bearer)).status_code == 200
    # All of both: what the platform lives by is left out by itself.
    for api in ("authentication", "register"):
        await served.publish(api, ["/"], 3)
    assert "X-Api-Key" in (await served.refused("GET", LOOKUP, **bearer))["detail"]
    await served.refused("GET", EXCHANGE, **bearer)

    # Management asks authentication and register who this is, and both ask management what is managed.
    keys = {api: await served.subscribe(api, token) for api in ("authentication", "register")}
    looked = [await served.ask("GET", LOOKUP, **bearer, x_api_key=keys["register"]) for _ in range(4)]
    assert [each.status_code for each in looked] == [200, 200, 200, 429]
    assert looked[0].headers["ratelimit-policy"] == '"steady";q=3;w=3600'
    assert looked[0].headers["x-havn-subscription"]
    exchanged = [await served.system(key=keys["authentication"]) for _ in range(4)]
    assert [each.status_code for each in exchanged] == [200, 200, 200, 429]
    other = await served.ask("GET", LOOKUP, **bearer, x_api_key=keys["authentication"])
    assert other.json()["code"] == "key_for_other_api"

    # Used up for consumers; the platform and people do not notice. Nor do they when API management goes away.
    for away in (False, True):
        if away:
            served.dispatcher.add("management", PlainTextResponse("away", 503))
        for _ in range(4):
            looked_up = await served.ask("GET", LOOKUP, PlatformAccessToken=served.platform_token("storage"))
            assert looked_up.status_code == 200
        assert await served.sign_in() == 200
        for path in ("access-token/platform/jwks", "revocations", "health"):
            assert (await served.ask("GET", f"{AUTHENTICATION}/{path}")).status_code == 200
    assert (await served.ask("GET", LOOKUP, **bearer)).json()["code"] == "key_needed"
