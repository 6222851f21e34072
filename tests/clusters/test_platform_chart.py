"""charts/platform on a real Kubernetes, from a real registry and on a real PostgreSQL: used, disturbed, removed."""

from __future__ import annotations

import asyncio
import importlib.resources
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import yaml

from havn.appfolder import AppFolder, AppId
from havn.cli.new import write_app
from havn.cli.platform_secrets import secrets as write_secrets
from havn.clusters.kubernetes import Helm
from havn.clusters.port import ClusterError
from havn.deploy.publishing import Publisher
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.clock import system_clock
from havn.kit.http import HttpClient, Response
from havn.local.kubernetes import LocalKubernetes
from havn.local.kubernetes.network import HOST_ADDRESS
from havn.local.testdata import fixed
from havn.platform import APIS
from havn.platform.secrets import new_key

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[2]
DOMAIN = "at22.example.test"
RELEASE = "at22"
ORGS = msgspec.json.decode((importlib.resources.files("havn.local.testdata") / "orgs.json").read_bytes())["orgs"]


@dataclass
class Platform:
    """A release of the chart, and how it is reached from outside."""

    kubernetes: LocalKubernetes
    helm: Helm
    program: Path
    values: dict[str, Any]
    keys: dict[str, dict[str, str]]

    async def upgrade(self, changes: dict[str, Any] | None = None, release: str = RELEASE) -> None:
        """Install or change it, and wait until every Deployment is as asked for."""
        await asyncio.to_thread(self._helm, release, {**self.values, **(changes or {})})
        selector = f"app.kubernetes.io/instance={release}"
        names = self.kubernetes.kubectl("get", "deployments", "-l", selector, "-o", "name").split()
        assert names
        for name in names:
            self.kubernetes.kubectl("rollout", "status", name, "--timeout=300s")

    def _helm(self, release: str, values: dict[str, Any]) -> None:
        # As an operator runs it: three Jobs, one after the other, may take their time on a busy machine.
        command = [
            self.program, "upgrade", release, ROOT / "charts" / "platform", "--install", "--values=-", "--timeout=5m",
            f"--kubeconfig={self.kubernetes.kubeconfig}",
        ]  # fmt: skip
        done = subprocess.run(command, input=msgspec.json.encode(values), capture_output=True, check=False)
        if done.returncode != 0:
            raise ClusterError(done.stderr.decode())

    @asynccontextmanager
    async def client(self, host: str) -> AsyncIterator[HttpClient]:
        """To `host`.DOMAIN through Traefik, over TLS."""
        client = HttpClient(
            f"https://{self.kubernetes.address}", name="Traefik", host=f"{host}.{DOMAIN}", verify=False, timeout=30
        )
        try:
            yield client
        finally:
            await client.close()

    def signer(self, issuer: str, app: str, key: str) -> PlatformTokenSigner:
        """Of platform access tokens."""
        return PlatformTokenSigner(
            issuer=issuer, app=app, audience=f"https://platform.{DOMAIN}", key=key, clock=system_clock
        )

    def deploy(self, http: HttpClient) -> Publisher:
        """The component `deploy`, by the key that was made for it."""
        return Publisher(http, self.signer("platform", "deploy", self.keys["deploy"]["platform-access-key"]))

    async def sign_in(self) -> str:
        """A test person's token for the apps of ttd, got as a browser and the app get it."""
        key = new_key()
        async with self.client("platform") as platform, self.client("login") as login:
            await self.deploy(platform).admit("ttd", "first", key)
            hosts = {f"platform.{DOMAIN}": platform, f"login.{DOMAIN}": login}
            url = f"https://platform.{DOMAIN}/authentication/api/v1/authentication?goto=https://ttd.apps.{DOMAIN}/ttd/first/"
            while (place := urlsplit(url)).netloc in hosts:
                answer = await hosts[place.netloc].request("GET", f"{place.path}?{place.query}")
                if answer.status_code == 200:
                    sealed = re.search(r'name="request" value="([^"]+)"', answer.text)
                    assert sealed is not None, answer.text[:2000]
                    chosen = {"request": sealed[1], "person": fixed.dataset().logins[0].pid}
                    answer = await login.request("POST", "/authorize", data=chosen)
                assert answer.status_code in (302, 303), answer.text[:2000]
                url = answer.headers["location"]
            assert place.netloc == f"ttd.apps.{DOMAIN}"
            code = parse_qs(place.query)["code"][0]
            redeemed = await platform.request(
                "POST",
                "/authentication/api/v1/session/redeem",
                content=msgspec.json.encode({"code": code}),
                headers={"PlatformAccessToken": self.signer("ttd", "first", key).token()},
            )
            assert redeemed.status_code == 200, redeemed.text
            token: str = redeemed.json()["token"]
            return token


@asynccontextmanager
async def load(client: HttpClient, path: str, token: str) -> AsyncIterator[list[Response]]:
    """Four readers that ask without pause while the block lasts; every answer is kept."""
    answers: list[Response] = []
    ended = asyncio.Event()

    async def read() -> None:
        while not ended.is_set():
            answers.append(await client.request("GET", path, headers={"authorization": f"Bearer {token}"}))

    readers = [asyncio.create_task(read()) for _ in range(4)]
    try:
        yield answers
    finally:
        ended.set()
        await asyncio.gather(*readers)


@pytest.fixture(scope="module")
def platform(
    kubernetes, toolchain, database, image_registry, platform_image, make_volume, tmp_path_factory
) -> Platform:
    """The release, installed as docs/how-to/install-the-platform.md tells."""
    server, port = database
    folder = tmp_path_factory.mktemp("platform")
    for name in ("keys", "contents"):
        make_volume(f"{RELEASE}-{name}", folder / name)
    out = folder / "secrets.json"
    write_secrets(
        environment=RELEASE, domain=DOMAIN, database=f"postgresql://{HOST_ADDRESS}:{port}/{RELEASE}",
        control_plane_database=f"postgresql://{HOST_ADDRESS}:{port}/control", test_sign_in=True, out=out,
    )  # fmt: skip
    kubernetes.kubectl("apply", "-f", str(out))
    admin = {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{RELEASE}-database-admin"},
        "stringData": {"database-admin-url": server.url()},
    }  # fmt: skip
    kubernetes.kubectl("apply", "-f", "-", text=msgspec.json.encode(admin).decode())
    small = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
    values = {
        "domain": DOMAIN,
        "environment": RELEASE,
        "image": platform_image,
        "defaults": {"autoscaling": {"enabled": False}, "replicas": 1, "resources": small},
        "apis": {"storage": {"replicas": 2, "resources": small}},
        "signingKeys": {"existingClaim": f"{RELEASE}-keys"},
        "blobs": {"url": "file:///mnt/blobs", "existingClaim": f"{RELEASE}-contents"},
        "orgs": ORGS,
        "migrations": {"adminSecret": f"{RELEASE}-database-admin"},
        "testSignIn": {"enabled": True, "resources": small},
        "egress": {
            "enabled": True,
            "replicas": 1,
            "resources": small,
            "policy": {"authentication": {"version": 1, "mode": "enforce", "allow": [{"host": "idporten.example.no"}]}},
        },
        "controlPlane": {
            "enabled": True,
            "replicas": 1,
            "adminSecret": f"{RELEASE}-database-admin",
            "resources": small,
            "environmentVariables": {
                "HAVN_REGISTRY_URL": image_registry.url,
                "HAVN_RUNTIME_IMAGE": f"havn/platform@{platform_image['digest']}",
            },
        },
        "networkPolicy": {"databaseCidrs": [f"{HOST_ADDRESS}/32"], "databasePort": port},
    }
    items = msgspec.json.decode(out.read_bytes())["items"]
    keys = {item["metadata"]["name"].removeprefix(f"{RELEASE}-"): item["stringData"] for item in items}
    program = toolchain.program("helm")
    release = Platform(kubernetes, Helm(program, kubernetes.kubeconfig), program, values, keys)
    try:
        asyncio.run(release.upgrade())
    except BaseException:
        print(kubernetes.kubectl("get", "pods,jobs", "-o", "wide", check=False))  # noqa: T201
        for name in kubernetes.kubectl("get", "pods", "-o", "name", check=False).split():
            print(name, kubernetes.kubectl("logs", name, "--tail=4", check=False))  # noqa: T201
        raise
    yield release
    asyncio.run(release.helm.uninstall(RELEASE))


def test_kubernetes_takes_every_object_to_the_letter(platform, toolchain):
    values = platform.values
    command = [str(toolchain.program("helm")), "template", "dry", str(ROOT / "charts" / "platform"), "--values=-"]
    text = subprocess.run(command, input=msgspec.json.encode(values), capture_output=True, check=True).stdout.decode()
    # Strict: an unknown or repeated field is an error, which is what kubeconform would say too.
    said = platform.kubernetes.kubectl(
        "apply", "--dry-run=server", "--validate=strict", "--server-side", "-f", "-", text=text
    )
    assert len(said.splitlines()) == len([each for each in yaml.safe_load_all(text) if each])


async def test_a_person_signs_in_and_every_api_answers_through_traefik(platform):
    token = await platform.sign_in()
    bearer = {"authorization": f"Bearer {token}"}
    async with platform.client("platform") as http:
        me = await http.request("GET", "/profile/api/v1/users/current", headers=bearer)
        assert me.status_code == 200, me.text
        # The party is the register's, which profile has asked.
        assert me.json()["party"]["name"]
        for api in APIS:
            assert (await http.request("GET", api.ready_path)).status_code == 200
        assert (await http.request("GET", "/storages/api/v1/health")).status_code == 404
    async with platform.client("console") as http:
        assert (await http.request("GET", "/api/v1/health")).status_code == 200


async def test_a_component_publishes_an_app_that_people_then_find(platform, tmp_path):
    source = tmp_path / "App"
    write_app(source, AppId("ttd", "first"), title="First")
    async with platform.client("platform") as http:
        await platform.deploy(http).publish(AppFolder.read(source), None)
        bearer = {"authorization": f"Bearer {await platform.sign_in()}"}
        found = await http.request("GET", "/storage/api/v1/applications/ttd/first", headers=bearer)
        assert (found.status_code, found.json()["id"]) == (200, "ttd/first")


async def test_no_request_fails_while_a_pod_goes_away_and_while_the_release_is_upgraded(platform):
    token = await platform.sign_in()
    kubectl = platform.kubernetes.kubectl
    selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=storage"
    async with platform.client("platform") as http:
        path = "/storage/api/v1/applications"
        async with load(http, path, token) as answers:
            pod = kubectl("get", "pods", "-l", selector, "-o", "name").split()[0]
            await asyncio.to_thread(kubectl, "delete", pod, "--timeout=60s")
            await asyncio.to_thread(kubectl, "rollout", "status", f"deployment/{RELEASE}-storage", "--timeout=60s")
            before = len(answers)
            apis = {
                "storage": {**platform.values["apis"]["storage"], "environmentVariables": {"HAVN_LOG_LEVEL": "INFO"}}
            }
            await platform.upgrade({"apis": apis})
    failed = {(answer.status_code, answer.text[:200]) for answer in answers if answer.status_code != 200}
    assert before > 20
    assert failed == set()


async def test_a_migration_that_fails_changes_nothing_else_tells_why_and_the_next_upgrade_works(platform):
    kubectl = platform.kubernetes.kubectl
    wrong = {"HAVN_LOG_LEVEL": "DEBUG"}
    url = f"postgresql://postgres:wrong@{HOST_ADDRESS}:{platform.values['networkPolicy']['databasePort']}/postgres"
    kubectl("create", "secret", "generic", "wrong-admin", f"--from-literal=database-admin-url={url}")
    generations = ("get", "deployments", "-o", "custom-columns=:metadata.name,:metadata.generation")
    before = kubectl(*generations)
    with pytest.raises(ClusterError, match="pre-upgrade"):
        await platform.upgrade(
            {
                "migrations": {"adminSecret": "wrong-admin", "backoffLimit": 0},
                "defaults": {**platform.values["defaults"], "environmentVariables": wrong},
            }
        )
    assert "The schema authentication was not migrated" in kubectl("logs", f"job/{RELEASE}-migrations")
    assert kubectl(*generations) == before
    await platform.upgrade()


def test_migrations_ran_and_left_no_pod(platform):
    left = platform.kubernetes.kubectl("get", "jobs,networkpolicies", "-o", "name")
    assert "migrations" not in left


def test_a_pod_reaches_neither_the_internet_nor_another_releases_database(platform):
    attempt = (
        "import socket,sys\n"
        "for host, port in ((sys.argv[1], int(sys.argv[2])), ('203.0.113.10', 443), (sys.argv[3], 6443)):\n"
        "    s = socket.socket(); s.settimeout(2)\n"
        "    try: s.connect((host, port)); print('reached', flush=True)\n"
        "    except OSError: print('refused', flush=True)\n"
    )
    said = platform.kubernetes.kubectl(
        "exec", f"deployment/{RELEASE}-storage", "--", "/usr/bin/python3", "-c", attempt,
        str(HOST_ADDRESS), str(platform.values["networkPolicy"]["databasePort"]), platform.kubernetes.address,
    )  # fmt: skip
    assert said.split() == ["reached", "refused", "refused"]


async def test_uninstalling_leaves_nothing(platform):
    await platform.helm.uninstall(RELEASE)
    selector = f"app.kubernetes.io/instance={RELEASE}"
    kinds = "deployments,services,ingressroutes,networkpolicies,hpa,pdb,serviceaccounts,configmaps,jobs"
    assert platform.kubernetes.kubectl("get", kinds, "-l", selector, "-o", "name").strip() == ""
    platform.kubernetes.kubectl("wait", "--for=delete", "pods", "-l", selector, "--timeout=120s")
