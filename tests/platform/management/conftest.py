"""The management API beside the platform that it asks: real databases, real HTTP in process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from havn.contracts.management import ACTING_ADDRESS, ACTING_FOR, ACTING_ORG
from havn.platform.management import app as management_app
from havn.platform.management.settings import Settings

DOMAIN = "havn.test"
BASE = "/management/api/v1"
LYSENDE = "LYSENDE FURU AS"
APIS = {
    "apis": [
        {
            "name": "cases",
            "version": "v1",
            "title": {"nb": "Saker", "nn": "Saker", "en": "Cases"},
            "description": {"nb": "Send inn og hent saker.", "en": "Submit and fetch cases."},
            "paths": ["/instances"],
            "plans": [
                {
                    "name": "basic",
                    "title": {"nb": "Basis", "en": "Basic"},
                    "rates": [{"name": "burst", "requests": 10, "seconds": 1}],
                    "quotas": [{"name": "daily", "requests": 1000, "per": "day"}],
                    "concurrency": 4,
                    "days": 365,
                },
                {"name": "trial", "title": {"nb": "Prøve"}, "approval": "auto"},
            ],
        }
    ]
}


class Management:
    """The API as each sort of caller reaches it."""

    def __init__(self, platform: Any, settings: Settings, app: Any) -> None:
        self.platform = platform
        self.settings = settings
        self.app = app

    def deploy(self, org: str = "*") -> Any:
        """The control plane, for an operator of `org`."""
        client = self.platform.client(component="deploy")
        client.headers.update({ACTING_FOR: "kari", ACTING_ADDRESS: "192.0.2.7", ACTING_ORG: org})
        return client

    async def organisation(self, number: str, scope: str, audience: str | None = None) -> Any:
        """A system of an organisation, with a Maskinporten token that was exchanged, for an owner's apps if named."""
        async with self.platform.client() as client:
            foreign = await client.post(
                f"https://login.{DOMAIN}/test-token", json={"organisation": number, "scope": scope}
            )
        async with self.platform.client(foreign.json()) as client:
            params = {"audience": audience} if audience is not None else {}
            token = (await client.get("/authentication/api/v1/exchange/maskinporten", params=params)).json()
        return self.platform.client(token)

    async def consumer(self, name: str = LYSENDE) -> Any:
        """A system of a company that uses Apis."""
        return await self.organisation(self.number(name), "havn:apis/consume")

    async def owner(self) -> Any:
        """A system of the service owner ttd."""
        return await self.organisation("310000000", "altinn:serviceowner havn:apis/manage")

    def number(self, name: str) -> str:
        """A company's organisation number."""
        return str(self.platform.parties[name].number)

    async def publish(self, org: str = "ttd", app: str = "permit", apis: Any = None) -> None:
        """What a deployment of the app declares."""
        async with self.deploy() as client:
            answer = await client.put(f"{BASE}/apps/{org}/{app}/apis", json=APIS if apis is None else apis)
            assert answer.status_code == 200, answer.text

    async def subscribe(self, client: Any, plan: str = "ttd.permit.cases.v1:trial") -> dict[str, Any]:
        """An application of Lysende Furu with a subscription to `plan`."""
        made = await client.post(f"{BASE}/applications", json={"name": "Fagsystem", "owner": self.number(LYSENDE)})
        assert made.status_code == 201, made.text
        asked = await client.post(f"{BASE}/subscriptions", json={"application": made.json()["id"], "plan": plan})
        assert asked.status_code == 201, asked.text
        return dict(asked.json())


async def _description(request: Request) -> Response:
    calls = {
        "/instances": {"post": {"summary": "Make an instance", "responses": {"201": {"description": "Done"}}}},
        "/instances/{id}": {
            "get": {
                "summary": "Read <one>",
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {"200": {"description": "Done"}},
            }
        },
        "/instancesfoo": {"get": {"summary": "Not of this Api", "responses": {}}},
    }
    return JSONResponse({"openapi": "3.1.0", "info": {"title": "Permit", "version": "1"}, "paths": calls})


@pytest.fixture
async def management(
    platform: Any, make_database: Callable[[str], Awaitable[str]], tmp_path: Path
) -> AsyncIterator[Management]:
    settings = Settings(
        domain=DOMAIN,
        platform_url=f"https://platform.{DOMAIN}",
        management_database_url=await make_database("management"),
        orgs_file=str(tmp_path / "orgs.json"),
        platform_access_key=platform.component_key,
    )
    built = await management_app.build(settings, clock=platform.clock, transport=httpx2.ASGITransport(platform.apps))
    platform.apps.by_api["management"] = built
    # The app itself, at the host of its owner.
    platform.apps.by_api["ttd"] = platform.apps.by_api["fjord"] = Starlette(
        routes=[Route("/ttd/permit/v1/customOpenapi.json", _description)]
    )
    async with built.router.lifespan_context(built):
        yield Management(platform, settings, built)


@pytest.fixture
def terms() -> Any:
    """What `publish` declares."""
    return APIS
