"""An app is shut, and a client kept out of a real cluster, by commands; seen through the real Traefik."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pyrage
import pytest

from havn.clients.estate import EstateClient
from havn.clusters.kubernetes import shut
from havn.contracts.estate import CiToken, ClusterRequest, EnvironmentRequest
from havn.deploy.access import Operator
from havn.deploy.image.transfer import Place, copy
from havn.deploy.logins.access import CI, new_token
from havn.deploy.logins.store import LoginStore
from havn.deploy.process import build
from havn.deploy.registry.remote import RemoteRegistry
from havn.deploy.settings import Settings
from havn.kit import db
from havn.kit.http import HttpClient
from havn.kit.serve import serve
from havn.local.environment import free_port
from havn.local.kubernetes.network import HOST_ADDRESS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
BIN = Path(sys.executable).with_name("havn")
DOMAIN = "tt02.example.test"
# What the app itself says: it sends people to the sign-in.
APP = (302, "")
OBJECTS = ("get", "ingressroutes,middlewares", "-l", "app.kubernetes.io/component=shut")


@dataclass
class Plane:
    """A control plane that listens, the command line, and a client that asks the cluster's ingress."""

    url: str
    token: str
    database: str
    ingress: str
    estate: EstateClient

    async def havn(self, *arguments: str) -> str:
        """Run a command; its standard output."""
        environ = {**os.environ, "HAVN_CONSOLE": self.url, "HAVN_TOKEN": self.token, "NO_COLOR": "1"}
        run = await asyncio.create_subprocess_exec(
            str(BIN), *arguments, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await run.communicate()
        assert run.returncode == 0, (out + err).decode()
        return out.decode()

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        """GET a path at the org's host, through Traefik over TLS."""
        async with httpx2.AsyncClient(verify=False, trust_env=False) as client:
            return await client.get(f"{self.ingress}{path}", headers={"Host": f"ttd.apps.{DOMAIN}", **headers})

    async def answers(self, path: str, status: int, code: str = "") -> httpx2.Response:
        """The answer once it is this."""
        answer = await self.get(path)
        with suppress(TimeoutError):
            async with asyncio.timeout(60):
                while answer.status_code != status or code not in answer.text:
                    await asyncio.sleep(0.1)
                    answer = await self.get(path)
        assert (answer.status_code, code in answer.text) == (status, True), answer.text
        return answer

    async def bootstrap(self, kubernetes) -> None:
        """Add the cluster, or set it up again."""
        config = json.loads(kubernetes.kubeconfig.read_text())
        await self.estate.add_cluster(
            ClusterRequest(
                org="ttd",
                environment="tt02",
                server=f"https://{kubernetes.address}:6443",
                authority=Path(config["clusters"][0]["cluster"]["certificate-authority"]).read_text(),
                token=config["users"][0]["user"]["token"],
            )
        )
        async with asyncio.timeout(200):
            while (found := await self.estate.cluster("tt02", "ttd")).status == "bootstrapping":  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        assert found.status == "ready", found.reason


@pytest.fixture
async def plane(
    make_database, kubernetes, owner, image_registry, base_image, toolchain, tmp_path
) -> AsyncIterator[Plane]:
    before = await owner.helm.history("havn")
    digest, _ = await base_image.registry.manifest(base_image.repository, "test")
    client = HttpClient(image_registry.url, name="The registry", timeout=60)
    await copy(base_image, digest.digest, Place(RemoteRegistry(client), base_image.repository))
    await client.close()
    identity = tmp_path / "identity"
    identity.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    database, port = await make_database("deploy"), free_port()
    settings = Settings(
        deploy_database_url=database,
        identities_file=str(identity),
        registry_url=image_registry.url,
        registry_name=image_registry.address,
        runtime_image=f"{base_image.repository}@{digest.digest}",
        helm=str(toolchain.program("helm")),
        work_folder=str(tmp_path / "work"),
        console_url=f"http://127.0.0.1:{port}",
    )
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(await build(settings), port=port, stop=stop))
    http = HttpClient(f"http://127.0.0.1:{port}", name="console")
    token = await _token(database)
    made = Plane(
        f"http://127.0.0.1:{port}", token, database, f"https://{kubernetes.address}", EstateClient(http, token)
    )
    await _until(lambda: _listens(port))
    yield made
    await http.close()
    stop.set()
    await serving
    await shut.clear(owner.cluster.kube)
    # Other tests go on with what was there.
    if before and before[-1].status == "deployed":
        await owner.helm.rollback("havn", before[-1].revision)
    else:
        await owner.helm.uninstall("havn")


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _until(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await check():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _token(database: str) -> str:
    """A token that administers everything."""
    store = await LoginStore.open(database)
    token, kept = new_token(CI)
    now = datetime.now(UTC)
    info = CiToken(
        id="first", name="first", grants=[], created=now, created_by="test", expires=now + timedelta(hours=1),
        last_used=None, revoked=None,
    )  # fmt: skip
    await store.add_token(kept, info, "*", ["administer"], Operator("test", ""), now)
    await store.close()
    return token


async def _desire(database: str, release: str) -> None:
    """Have the rows say that the app is deployed, as it is."""
    connection = await db.connect(database)
    await connection.execute("set search_path to deploy")
    number = await connection.fetchval(
        "insert into deployment (environment, org, app, revision, kind, release, replicas, status, requested_by,"
        " requested, finished) values ('tt02', 'ttd', 'first', 1, 'deploy', $1, 1, 'succeeded', 'test', now(), now())"
        " returning id",
        release,
    )
    await connection.execute(
        "insert into desired (environment, org, app, revision, release, replicas, rollout)"
        " values ('tt02', 'ttd', 'first', 1, $1, 1, $2)",
        release, number,
    )  # fmt: skip
    await connection.close()


async def test_an_app_is_shut_and_a_client_kept_out_by_commands_within_seconds(plane, owner, kubernetes):
    release = await owner.release("first")
    await plane.estate.put_org("ttd", "Testdepartementet")
    await plane.estate.put_environment("tt02", EnvironmentRequest(type="test", domain=DOMAIN))
    await plane.bootstrap(kubernetes)
    await owner.cluster.apply(owner.workload("first", release))
    await _desire(plane.database, release)
    await plane.answers("/first/", *APP)

    # Shut, in the reader's language and for programs; a rollout still sees its health.
    await plane.havn("maintenance", "on", "ttd/first", "--env", "tt02", "--message", "Vi flytter på oss `&&`")
    problem = await plane.answers("/first/", 503, "maintenance")
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.headers["retry-after"] == "300"
    assert problem.json()["message"] == "Vi flytter på oss `&&`"
    page = await plane.get("/ttd/first/x", **{"Accept": "text/html", "Accept-Language": "nn"})
    assert page.status_code == 503
    assert "ttd/first er stengd for vedlikehald" in page.text
    assert "Vi flytter på oss `&amp;&amp;`" in page.text
    assert (await plane.get("/first/health")).status_code == 200
    assert (await plane.get("/firsts")).json()["code"] == "unknown_app"
    [listed] = json.loads(await plane.havn("maintenance", "list", "--env", "tt02", "--json"))
    assert (listed["app"], listed["inForce"]) == ("first", True)

    # Kept out of everything, also of what is in maintenance.
    blocked = await plane.havn(
        "block", "add", str(HOST_ADDRESS), "--env", "tt02", "--for", "1h", "--reason", "Skraper", "--json"
    )
    refused = await plane.answers("/first/health", 429, "blocked")
    assert refused.headers["retry-after"] == "3600"

    # Setting the cluster up again leaves it in force, and puts back what is gone.
    kubernetes.kubectl("delete", "ingressroute", "havn-kept-out")
    await plane.answers("/first/health", 200)
    there = kubernetes.kubectl("get", "ingressroute", "havn-closed-first", "-o", "jsonpath={.metadata.uid}")
    await plane.bootstrap(kubernetes)
    await plane.answers("/first/health", 429, "blocked")
    assert kubernetes.kubectl("get", "ingressroute", "havn-closed-first", "-o", "jsonpath={.metadata.uid}") == there

    await plane.havn("block", "remove", json.loads(blocked)["id"], "--env", "tt02")
    await plane.answers("/first/health", 200)
    assert (await plane.get("/first/")).json()["code"] == "maintenance"
    await plane.havn("maintenance", "off", "ttd/first", "--env", "tt02")
    await plane.answers("/first/", *APP)
    assert "No resources" in kubernetes.kubectl(*OBJECTS) or not kubernetes.kubectl(*OBJECTS).strip()

    # With an end, it is over by itself.
    until = (datetime.now(UTC) + timedelta(seconds=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
    await plane.havn("maintenance", "on", "ttd/first", "--env", "tt02", "--until", until)
    await plane.answers("/first/", 503, "maintenance")
    await plane.answers("/first/", *APP)
    told = json.loads(await plane.havn("audit", "--json"))
    told = told["entries"] if isinstance(told, dict) else told
    acts = {(each["action"], each["who"]) for each in told}
    assert {("maintenance_off", "expiry"), ("block", "CI token first"), ("unblock", "CI token first")} <= acts, acts
