"""charts/platform on a real Kubernetes, from a real registry and on a real PostgreSQL: used, disturbed, removed."""

from __future__ import annotations

import asyncio
import importlib.resources
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import yaml
from joserfc import jwk, jwt

from havn.appfolder import AppFolder, AppId
from havn.cli.new import write_app
from havn.cli.platform_certificates import certificate_secrets
from havn.cli.platform_certificates import certificates as renew_certificates
from havn.cli.platform_secrets import secrets as write_secrets
from havn.clusters.kubernetes import Helm
from havn.clusters.port import ClusterError
from havn.deploy.authority.keeper import TAKEN_UP
from havn.deploy.authority.release import ReleaseAuthority
from havn.deploy.publishing import Publisher
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.clock import system_clock
from havn.kit.http import HttpClient, Response
from havn.kit.tls import LOOK_EVERY
from havn.local.kubernetes import LocalKubernetes, addons
from havn.local.kubernetes.network import HOST_ADDRESS
from havn.local.testdata import fixed
from havn.platform import APIS
from havn.platform.secrets import new_key

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[2]
DOMAIN = "at22.example.test"
ISSUER = "https://issuer.example.test"
RELEASE = "at22"
# The ports of parts whose pods listen on others than 8080.
PORTS = {"egress": (3128, 3129)}
# What each of them answers in plain HTTP, and the certificate that it shows to whoever connects.
LOOK = """
import json, socket, ssl, sys
found = []
for component, address, port in json.load(sys.stdin):
    try:
        plain = socket.create_connection((address, port), timeout=5)
        shown = ssl.get_server_certificate((address, port), timeout=5)
    except ConnectionRefusedError:
        continue  # on its way out
    try:
        plain.sendall(b'GET /health HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
        said = plain.recv(100).decode('latin-1')
    except OSError as error:
        said = str(error)
    found.append([component, said, shown])
print(json.dumps(found))
"""
ORGS = msgspec.json.decode((importlib.resources.files("havn.local.testdata") / "orgs.json").read_bytes())["orgs"]


@dataclass
class Platform:
    """A release of the chart, and how it is reached from outside."""

    kubernetes: LocalKubernetes
    helm: Helm
    program: Path
    values: dict[str, Any]
    keys: dict[str, dict[str, str]]
    folder: Path
    """The folders that are its volumes, by their names."""

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

    async def look(self) -> list[tuple[str, str, str]]:
        """Of each port of each pod: the component, what it answers in plain HTTP, and the certificate that it shows."""
        columns = "custom-columns=:metadata.labels.app\\.kubernetes\\.io/component,:status.podIP"
        selector = f"app.kubernetes.io/instance={RELEASE}"
        pods = [
            line.split()
            for line in self.kubernetes.kubectl(
                "get", "pods", "-l", selector, "--field-selector=status.phase=Running", "-o", columns
            ).splitlines()
        ]
        wanted = [(name, address, port) for name, address in filter(None, pods) for port in PORTS.get(name, (8080,))]
        # From the node, which NetworkPolicy lets in.
        command = ["nsenter", f"--net=/run/netns/{self.kubernetes.layout.namespace}", sys.executable, "-c", LOOK]
        done = await asyncio.to_thread(
            subprocess.run, command, input=msgspec.json.encode(wanted), capture_output=True, check=True
        )
        found = msgspec.json.decode(done.stdout, type=list[tuple[str, str, str]])
        assert {component for component, _, _ in found} == {
            *(api.name for api in APIS), "login", "deploy", "egress", "unknown",
        }  # fmt: skip
        return found

    async def certify(self, items: list[dict[str, Any]]) -> None:
        """Put these Secrets into the cluster, and wait until every port shows its new certificate, and no other."""
        text = msgspec.json.encode({"apiVersion": "v1", "kind": "List", "items": items}).decode()
        await asyncio.to_thread(self.kubernetes.kubectl, "apply", "-f", "-", text=text)
        # The kubelet looks at once then; by itself it does within a minute or so. Pods on their way out need none.
        await asyncio.to_thread(
            self.kubernetes.kubectl, "annotate", "pods", "-l", f"app.kubernetes.io/instance={RELEASE}",
            f"havn/certificates={datetime.now(UTC).isoformat()}", "--overwrite", check=False,
        )  # fmt: skip
        wanted = {item["metadata"]["name"]: item["stringData"].get("tls.crt") for item in items}
        async with asyncio.timeout(120):
            while any(shown != wanted[f"{RELEASE}-{name}-tls"] for name, _, shown in await self.look()):
                pass


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


async def answered_for(seconds: float, answers: list[Response]) -> None:
    """Go on under load for so long: what clients of the pods, Traefik too, may take to see another authority."""
    until, count = asyncio.get_running_loop().time() + seconds, 0
    while asyncio.get_running_loop().time() < until or len(answers) == count:
        count = count or len(answers)
        await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def platform(
    kubernetes, toolchain, database, image_registry, platform_image, make_volume, tmp_path_factory
) -> Platform:
    """The release, installed as docs/how-to/install-the-platform.md tells."""
    server, port = database
    folder = tmp_path_factory.mktemp("platform")
    for name in ("keys", "contents", "authorities"):
        make_volume(f"{RELEASE}-{name}", folder / name)
    out = folder / "secrets.json"
    write_secrets(
        environment=RELEASE, domain=DOMAIN, database=f"postgresql://{HOST_ADDRESS}:{port}/{RELEASE}",
        control_plane_database=f"postgresql://{HOST_ADDRESS}:{port}/control", test_sign_in=True, out=out,
    )  # fmt: skip
    # An issuer beside the test sign-in, whose tokens are exchanged; it is somewhere on the internet.
    made = msgspec.json.decode(out.read_bytes())
    own = next(each["stringData"] for each in made["items"] if each["metadata"]["name"] == f"{RELEASE}-authentication")
    providers = msgspec.json.decode(own["authentication-providers"])
    providers["exchange"]["elsewhere"] = {"kind": "maskinporten", "issuer": ISSUER, "algorithms": ["ES256"]}
    own["authentication-providers"] = msgspec.json.encode(providers).decode()
    out.write_bytes(msgspec.json.encode(made))
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
        "apis": {
            "storage": {"replicas": 2, "resources": small},
            # In the place of the authorities that the image knows.
            "authentication": {
                "claims": [{"name": "known", "claim": f"{RELEASE}-authorities", "mountPath": "/etc/ssl/certs"}]
            },
        },
        "signingKeys": {"existingClaim": f"{RELEASE}-keys"},
        "blobs": {"url": "file:///mnt/blobs", "existingClaim": f"{RELEASE}-contents"},
        "orgs": ORGS,
        "migrations": {"adminSecret": f"{RELEASE}-database-admin"},
        "testSignIn": {"enabled": True, "resources": small},
        "unknown": {"replicas": 1},
        "egress": {
            "enabled": True,
            "replicas": 1,
            "resources": small,
            "policy": {
                "authentication": {"version": 1, "mode": "enforce", "allow": [{"host": urlsplit(ISSUER).hostname}]}
            },
            "nameservers": ["203.0.113.53"],
            "allowedRanges": ["203.0.113.0/24"],
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
    release = Platform(kubernetes, Helm(program, kubernetes.kubeconfig), program, values, keys, folder)
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


@pytest.mark.parametrize(
    ("host", "path", "code", "title"),
    [
        ("platform", "/storages/api/v1/instances", "unknown_address", "Sida finst ikkje"),
        ("platform", "/", "unknown_address", "Sida finst ikkje"),
        ("nowhere", "/health", "unknown_host", "Adressa finst ikkje"),
    ],
)
async def test_where_nothing_is_people_get_a_page_in_their_language_and_programs_a_problem(
    platform, host, path, code, title
):
    async with platform.client(host) as http:
        problem = await http.request("GET", path)
        assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json")
        assert problem.json()["code"] == code
        page = await http.request("GET", path, headers={"accept": "text/html", "accept-language": "nn"})
        assert page.status_code == 404
        assert f"<h1>{title}</h1>" in page.text


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
                **platform.values["apis"],
                "storage": {**platform.values["apis"]["storage"], "environmentVariables": {"HAVN_LOG_LEVEL": "INFO"}},
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


async def test_the_platform_reaches_who_is_outside_through_its_api_proxy_over_tls(platform, beyond):
    shutil.copy(beyond / "authority.pem", platform.folder / "authorities" / "ca-certificates.crt")
    key = jwk.ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"})
    told = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys-of-the-issuer"}
    (beyond / ".well-known-oauth-authorization-server.json").write_bytes(msgspec.json.encode(told))
    keys = {"keys": [{**key.as_dict(private=False), "kid": "1"}]}
    (beyond / "keys-of-the-issuer.json").write_bytes(msgspec.json.encode(keys))
    now = int(time.time())
    claims = {
        "iss": ISSUER, "iat": now, "exp": now + 100, "jti": "1", "scope": "altinn:serviceowner",
        "consumer": {"authority": "iso6523-actorid-upis", "ID": f"0192:{ORGS['ttd']['orgnr']}"},
    }  # fmt: skip
    token = jwt.encode({"alg": "ES256", "kid": "1"}, claims, key)
    async with platform.client("platform") as http:
        path, bearer = "/authentication/api/v1/exchange/elsewhere", {"authorization": f"Bearer {token}"}
        answer = await http.request("GET", path, headers=bearer)
    # Nobody but the issuer outside has the key that the token was signed with.
    assert answer.status_code == 200, answer.text
    assert answer.text.count(".") == 2
    said = platform.kubernetes.kubectl("logs", f"deployment/{RELEASE}-egress", "--tail=20")
    lines = [msgspec.json.decode(line) for line in said.splitlines() if '"event":"egress"' in line]
    seen = {(each["app"], each["kind"], each["host"], each["result"]) for each in lines}
    assert seen == {("authentication", "connect", urlsplit(ISSUER).hostname, "allow")}


async def test_no_pod_answers_in_plain_http(platform):
    for component, said, shown in await platform.look():
        assert "HTTP/" not in said, component
        assert "BEGIN CERTIFICATE" in shown


async def test_no_request_fails_while_certificates_and_their_authority_are_changed(platform, tmp_path):
    token, kubectl = await platform.sign_in(), platform.kubernetes.kubectl
    pods = ("get", "pods", "-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "custom-columns=:metadata.uid")
    before = set(kubectl(*pods).split())
    (tmp_path / "authority.json").write_text(kubectl("get", "secret", f"{RELEASE}-authority", "-o", "json"))
    renew_certificates(
        release=RELEASE, authority=tmp_path / "authority.json", out=tmp_path / "new.json", change_authority=True
    )
    items = msgspec.json.decode((tmp_path / "new.json").read_bytes())["items"]
    kept = next(each["stringData"] for each in items if each["metadata"]["name"] == f"{RELEASE}-authority")
    authority = ReleaseAuthority.read(kept)
    async with platform.client("platform") as http, load(http, "/storage/api/v1/applications", token) as answers:
        # Another authority is believed, ...
        await platform.certify(items)
        await answered_for(LOOK_EVERY, answers)
        # ... signs, ...
        authority = authority.advance(RELEASE, authority.since + TAKEN_UP)
        await platform.certify(certificate_secrets(RELEASE, authority, datetime.now(UTC)))
        # ... and is alone.
        authority = authority.advance(RELEASE, authority.since + TAKEN_UP)
        assert not authority.changing()
        await platform.certify(certificate_secrets(RELEASE, authority, datetime.now(UTC)))
        assert await platform.sign_in()
    failed = {(answer.status_code, answer.text[:200]) for answer in answers if answer.status_code != 200}
    assert failed == set()
    # Nothing was started anew for it.
    assert set(kubectl(*pods).split()) <= before


async def test_a_part_with_a_strangers_certificate_is_believed_by_nobody(platform):
    kubectl, now = platform.kubernetes.kubectl, datetime.now(UTC)
    name = f"{RELEASE}-profile-tls"
    selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=profile"
    known = kubectl("get", "secret", name, "-o", "json")
    stranger = certificate_secrets(RELEASE, ReleaseAuthority.new("stranger", now), now)
    wrong = next(each for each in stranger if each["metadata"]["name"] == name)

    async def start_with(secret: str) -> None:
        await asyncio.to_thread(kubectl, "replace", "-f", "-", text=secret)
        # Until it is gone, and the connections to it.
        await asyncio.to_thread(kubectl, "delete", "pods", "-l", selector, "--timeout=60s")
        await asyncio.to_thread(kubectl, "rollout", "status", f"deployment/{RELEASE}-profile", "--timeout=120s")

    await start_with(msgspec.json.encode(wrong).decode())
    async with platform.client("platform") as http:
        path = "/profile/api/v1/health"
        while (await http.request("GET", path)).status_code not in (500, 502):
            pass
        with pytest.raises(AssertionError, match="assert 503 in"):
            await platform.sign_in()
        clean = msgspec.json.decode(known)
        clean["metadata"] = {"name": name}
        await start_with(msgspec.json.encode(clean).decode())
        while (await http.request("GET", path)).status_code != 200:
            pass
    # Traefik follows at once, and its node, by which the other parts reach it, within a moment.
    async with asyncio.timeout(30):
        while not await signed_in(platform):
            pass


async def signed_in(platform) -> bool:
    try:
        return bool(await platform.sign_in())
    except AssertionError as refused:
        if "upstream_unavailable" not in str(refused):
            raise
        return False


async def test_a_certificate_that_is_missing_is_told_before_anything_is_changed(platform):
    kubectl, name = platform.kubernetes.kubectl, f"{RELEASE}-login-tls"
    known = kubectl("get", "secret", name, "-o", "json")
    kubectl("delete", "secret", name)
    with pytest.raises(ClusterError, match=f"there is no Secret {name}. .* `havn platform certificates --release"):
        await platform.upgrade()
    clean = msgspec.json.decode(known)
    clean["metadata"] = {"name": name}
    kubectl("apply", "-f", "-", text=msgspec.json.encode(clean).decode())


async def test_no_request_fails_while_a_release_in_clear_makes_way_for_one_over_tls(platform):
    """As docs/how-to/install-the-platform.md tells; the release over TLS is the one that is there already."""
    shared = {
        # No more than the requests need.
        "apis": {
            **{
                name: {"existingSecret": f"{RELEASE}-{name}"}
                for name in ("authentication", "authorization", "storage", "management")
            },
            **dict.fromkeys(("register", "profile")),
        },
        "tls": {"enabled": False},
        **{part: {"enabled": False} for part in ("testSignIn", "controlPlane", "egress", "unknown")},
    }
    routed, unrouted = ({"ingress": {"enabled": on}, "migrations": {"enabled": False}} for on in (True, False))
    token, path = await platform.sign_in(), "/storage/api/v1/applications"
    async with platform.client("platform") as http:
        await platform.upgrade(shared | routed, "clear")
        await platform.upgrade(unrouted)
        async with load(http, path, token) as answers:
            await answered_for(1, answers)
            # The routes lead to both releases, then to the one over TLS alone; then the other is taken away.
            await platform.upgrade(routed)
            await answered_for(1, answers)
            await platform.upgrade(shared | unrouted, "clear")
            await answered_for(1, answers)
            await platform.helm.uninstall("clear")
            await answered_for(1, answers)
    failed = {(answer.status_code, answer.text[:200]) for answer in answers if answer.status_code != 200}
    assert failed == set()
    assert len(answers) > 20


async def replicas(platform: Platform, component: str, wanted: Callable[[int], bool]) -> float:
    """Wait until the number of pods, all of them ready, is as wanted; returns how many seconds it took."""
    kubectl, begun = platform.kubernetes.kubectl, time.monotonic()
    selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}"
    counts = "jsonpath={.status.replicas} {.status.readyReplicas}"
    try:
        async with asyncio.timeout(120):
            while True:
                there, ready = (
                    await asyncio.to_thread(kubectl, "get", "deployment", f"{RELEASE}-{component}", "-o", counts)
                ).split()
                pods = await asyncio.to_thread(kubectl, "get", "pods", "-l", selector, "-o", "name")
                if wanted(int(ready)) and int(there) == int(ready) == len(pods.split()):
                    return time.monotonic() - begun
                await asyncio.sleep(0.5)
    except TimeoutError:
        raise AssertionError(kubectl("describe", "hpa", f"{RELEASE}-{component}")) from None


async def test_an_api_scales_up_under_load_and_down_again_and_no_request_fails(platform, kubernetes, k6):
    await asyncio.to_thread(addons.install_metrics, kubernetes)
    await asyncio.to_thread(addons.wait_for, kubernetes, "kube-system", "metrics-server")
    at_once = {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 15}]}
    follows = {
        "enabled": True, "minReplicas": 1, "maxReplicas": 3, "targetCPUUtilizationPercentage": 60,
        "behavior": {"scaleUp": at_once, "scaleDown": at_once},
    }  # fmt: skip
    resources = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
    apis = {**platform.values["apis"], "profile": {"autoscaling": follows, "resources": resources}}
    await platform.upgrade({"apis": apis, "migrations": {"enabled": False}})
    bearer = {"authorization": f"Bearer {await platform.sign_in()}"}
    asked = (kubernetes.address, f"platform.{DOMAIN}", ["/profile/api/v1/users/current"])
    load = k6(*asked, rate=60, headers=bearer)
    assert await replicas(platform, "profile", lambda ready: ready >= 2) < 60
    made, failed = await asyncio.to_thread(load.end)
    assert made > 100
    assert failed == 0
    # A trickle goes on while it shrinks: pods end without a request being lost.
    load = k6(*asked, rate=3, headers=bearer)
    await replicas(platform, "profile", lambda ready: ready == 1)
    made, failed = await asyncio.to_thread(load.end)
    assert made > 0
    assert failed == 0


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
    kinds = (
        "deployments,services,ingressroutes,serverstransports,networkpolicies,hpa,pdb,serviceaccounts,configmaps,jobs"
    )
    assert platform.kubernetes.kubectl("get", kinds, "-l", selector, "-o", "name").strip() == ""
    platform.kubernetes.kubectl("wait", "--for=delete", "pods", "-l", selector, "--timeout=120s")
