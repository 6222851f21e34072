"""API management before a real app on a real Kubernetes: two replicas behind the real Traefik keep one limit."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, Router

from havn.contracts.management import ACTING_ADDRESS, ACTING_FOR, ACTING_ORG, Application, Key, Subscription
from havn.engines import api_keys
from havn.engines.levels.records import read
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.clock import system_clock
from havn.kit.http import HttpClient
from havn.kit.serve import serve
from havn.local.kubernetes.network import HOST_ADDRESS
from havn.platform.management import app as management_app
from havn.platform.management import store
from havn.platform.management.settings import Settings
from havn.platform.management.store import applications, keys, subscriptions
from havn.platform.secrets import new_key, public_key

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
DOMAIN = "tt02.example.test"
HOST = f"ttd.apps.{DOMAIN}"
PATH = "/ttd/first/api/v1/texts/en"
# A bucket of so many that fills by ten a second.
LIMIT, SECONDS = 600, 60
APIS = {
    "apis": [
        {
            "name": "texts",
            "version": "v1",
            "title": {"nb": "Tekster"},
            "paths": ["/api/v1"],
            "plans": [
                {
                    "name": "basic",
                    "title": {"nb": "Basis"},
                    "rates": [{"name": "steady", "requests": LIMIT, "seconds": SECONDS}],
                    "storeAway": "closed",
                }
            ],
        }
    ]
}


@dataclass
class Management:
    """The real management API on this machine, reached by pods; authentication is there for the keys of its callers."""

    url: str
    port: int
    deploy: str
    database: str
    published: dict[str, list[dict[str, Any]]]

    def admit(self, app: str, key: str) -> None:
        """Publish an app's key, as a deployment does."""
        org, name = app.split("/")
        self.published.setdefault(org, []).append({**public_key(key), "app": name})

    async def declare(self, app: str, apis: Any) -> None:
        """What a deployment of the app declares."""
        signer = PlatformTokenSigner(
            issuer="platform", app="deploy", audience=f"https://platform.{DOMAIN}", key=self.deploy, clock=system_clock
        )
        headers = {
            "PlatformAccessToken": signer.token(), ACTING_FOR: "kari", ACTING_ADDRESS: "192.0.2.7", ACTING_ORG: "ttd",
        }  # fmt: skip
        client = HttpClient(self.url, name="Management")
        answer = await client.request(
            "PUT", f"/management/api/v1/apps/{app}/apis", content=msgspec.json.encode(apis), headers=headers
        )
        await client.close()
        assert answer.status_code == 200, answer.text

    async def subscribe(self, api: str, plan: str) -> tuple[str, str]:
        """The id of a subscription that was approved, and a key."""
        database, now = await store.open_database(self.database), system_clock()
        application = Application(id=str(uuid.uuid4()), name="Fagsystem", owner="310000006", created=now)
        await applications.add(database, application)
        subscription = Subscription(
            id=str(uuid.uuid4()), application=application.id, plan=f"{api}:{plan}", api=api, state="active", created=now
        )
        await subscriptions.add(database, subscription)
        made, salt = api_keys.make(os.urandom(8), os.urandom(32)), os.urandom(16)
        new = Key(prefix=made.prefix, subscription=subscription.id, created=now, state="active")
        await keys.add(database, new, salt, api_keys.digest(made, salt))
        await database.close()
        return subscription.id, made.text


@pytest.fixture
async def management(kubernetes, make_database, tmp_path) -> AsyncIterator[Management]:
    with socket.socket() as probe:
        probe.bind((str(HOST_ADDRESS), 0))
        port = int(probe.getsockname()[1])
    url, deploy, published = f"http://{HOST_ADDRESS}:{port}", new_key(), {}
    published["platform"] = [{**public_key(deploy), "app": "deploy"}]

    async def published_keys(request: Request) -> JSONResponse:
        return JSONResponse({"keys": published.get(request.path_params["org"], [])})

    orgs = tmp_path / "orgs.json"
    orgs.write_text(json.dumps({"orgs": {"ttd": {"name": {"nb": "Testdepartementet"}, "orgnr": "310000000"}}}))
    settings = Settings(
        domain=DOMAIN,
        platform_url=url,
        management_database_url=await make_database("management"),
        orgs_file=str(orgs),
        platform_access_key=new_key(),
    )
    built = await management_app.build(settings)
    authentication = Router([Route("/authentication/api/v1/access-token/{org}/jwks", published_keys)])

    async def dispatch(scope, receive, send):
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["path"].startswith("/management/"):
            await built(scope, receive, send)
        else:
            await authentication(scope, receive, send)

    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(built.router.lifespan_context(built))
        serving = asyncio.create_task(serve(dispatch, host=str(HOST_ADDRESS), port=port, stop=stop))
        yield Management(url, port, deploy, settings.management_database_url, published)
    stop.set()
    await serving


class Clients:
    """Eight, each with a connection of its own to Traefik."""

    def __init__(self, address: str) -> None:
        self.each = [
            httpx2.AsyncClient(base_url=f"https://{address}", headers={"Host": HOST}, verify=False, trust_env=False)
            for _ in range(8)
        ]

    async def press(self, key: str) -> list[httpx2.Response]:
        """All answers, once each of them was refused after it had got through."""
        found: list[httpx2.Response] = []

        async def one(client: httpx2.AsyncClient) -> None:
            while True:
                answer = await client.get(PATH, headers={"X-Api-Key": key})
                found.append(answer)
                # 503 is a machine too busy to ask the management API in time: the plan says closed.
                if answer.status_code not in (200, 503):
                    return

        await asyncio.gather(*(one(client) for client in self.each))
        return found

    async def close(self) -> None:
        for client in self.each:
            await client.aclose()


async def test_two_replicas_behind_traefik_keep_one_limit_and_its_record_knows_whose_it_was(
    management, owner, kubernetes
):
    workload = owner.workload(
        "first", await owner.release("first"), replicas=2, settings={"HAVN_PLATFORM_URL": management.url}
    )
    management.admit("ttd/first", workload.secrets["platform-access-key"])
    await management.declare("ttd/first", APIS)
    values = {
        **owner.cluster.site.values,
        "networkPolicy": {"platformCidrs": [f"{HOST_ADDRESS}/32"], "platformPort": management.port},
    }
    status = await owner.at(values).apply(workload)
    assert (status.settled, status.ready) == (True, 2)
    subscription, key = await management.subscribe("ttd.first.texts.v1", "basic")
    clients = Clients(kubernetes.address)
    refused = [await clients.each[0].get(PATH) for _ in range(4)]
    assert [(each.status_code, each.json()["code"]) for each in refused] == [(401, "key_needed")] * 4
    assert (await clients.each[0].get("/ttd/first/health")).status_code == 200

    begun = time.monotonic()
    answers = await clients.press(key)
    lasted = time.monotonic() - begun
    await clients.close()
    told = Counter(each.status_code for each in answers)
    assert told[429] == len(clients.each), told
    assert 0.95 * LIMIT <= told[200] <= LIMIT + lasted * LIMIT / SECONDS
    assert answers[0].headers["ratelimit-policy"] == f'"steady";q={LIMIT};w={SECONDS}'
    last = next(each for each in answers if each.status_code == 429)
    assert (last.json()["code"], int(last.headers["retry-after"]) > 0) == ("limit_reached", True)
    # The record has the subscription, and the client does not.
    assert not any({"x-havn-subscription", "x-havn-version"} & set(each.headers) for each in answers)
    assert await _recorded(kubernetes, subscription, len(answers)) == told


async def _recorded(kubernetes, subscription: str, count: int) -> Counter[int]:
    """The statuses in Traefik's access log of that subscription's requests, once there are so many."""
    found: Counter[int] = Counter()
    async with asyncio.timeout(20):
        while found.total() < count:
            log = await asyncio.to_thread(kubernetes.kubectl, "-n", "traefik", "logs", "deployment/traefik")
            records = [read(line.encode(), DOMAIN) for line in log.splitlines() if subscription in line]
            found = Counter(each.status for each in records if each is not None and each.app == "first")
    return found
