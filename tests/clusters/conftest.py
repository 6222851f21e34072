"""A real Kubernetes on this machine, with Traefik as a pod, a real registry beside it, and apps made by `havn new`."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pyrage
import pytest

from havn.appfolder.ids import AppId
from havn.clusters.kubernetes import Front, Helm, Kube, KubernetesCluster
from havn.clusters.kubernetes import Site as ClusterSite
from havn.clusters.port import Workload
from havn.deploy.authority.certificates import authority, leaf
from havn.deploy.authority.keeper import Keeper
from havn.deploy.authority.store import AuthorityStore
from havn.deploy.authority.tending import ClusterIssuer
from havn.deploy.image import base
from havn.deploy.image.delivery import Delivery
from havn.deploy.image.transfer import Place, copy
from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.registry.remote import RemoteRegistry
from havn.deploy.sealing import Sealer
from havn.kit.http import HttpClient
from havn.kit.problem import Problem
from havn.local.kubernetes import LocalKubernetes, Toolchain, addons
from havn.local.kubernetes.network import HOST_ADDRESS
from havn.local.postgres import EmbeddedPostgres
from havn.platform.secrets import new_key

_suite_spec = importlib.util.spec_from_file_location("cluster_suite", Path(__file__).with_name("suite.py"))
assert _suite_spec is not None
assert _suite_spec.loader is not None
suite = sys.modules.setdefault("cluster_suite", importlib.util.module_from_spec(_suite_spec))
_suite_spec.loader.exec_module(suite)

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = "tt02.example.test"
KEY = new_key()
_VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}, labels: {{volume: {name}}}}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteMany]
  storageClassName: ""
  hostPath: {{path: {path}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}}}
spec:
  accessModes: [ReadWriteMany]
  storageClassName: ""
  resources: {{requests: {{storage: 1Gi}}}}
  selector: {{matchLabels: {{volume: {name}}}}}
"""


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    return Toolchain.ensure(ROOT / "toolchain", say=print)


@pytest.fixture(scope="session")
def kubernetes(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKubernetes]:
    """A cluster with DNS, metrics and Traefik."""
    folder = tmp_path_factory.mktemp("kubernetes")
    cluster = LocalKubernetes.create(f"t{os.getpid()}", folder / "cluster", toolchain)
    try:
        addons.load_images(cluster)
        addons.install_dns(cluster)
        addons.install_traefik(cluster)
        addons.wait_for(cluster, "kube-system", "coredns")
        addons.wait_for(cluster, "traefik", "traefik")
        yield cluster
    finally:
        cluster.destroy()


@dataclass
class ImageRegistry:
    """A real registry; `address` is its name for the cluster's nodes."""

    url: str
    address: str
    process: subprocess.Popen[bytes]
    data: Path
    """Its folder."""

    def content(self, digest: str) -> Path:
        """The file of a blob."""
        name = digest.removeprefix("sha256:")
        return self.data / "docker/registry/v2/blobs/sha256" / name[:2] / name / "data"


@pytest.fixture(scope="session")
def image_registry(kubernetes, toolchain, tmp_path_factory) -> Iterator[ImageRegistry]:
    folder = tmp_path_factory.mktemp("images")
    with socket.socket() as probe:
        probe.bind((str(HOST_ADDRESS), 0))
        port = probe.getsockname()[1]
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f"http: {{addr: {HOST_ADDRESS}:{port}}}\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([toolchain.program("registry"), "serve", config], stdout=log, stderr=log)
    while True:
        try:
            socket.create_connection((str(HOST_ADDRESS), port), timeout=1).close()
            break
        except OSError:
            assert process.poll() is None, (folder / "log").read_text()
    yield ImageRegistry(f"http://{HOST_ADDRESS}:{port}", kubernetes.trust_registry(port), process, folder / "data")
    process.terminate()
    process.wait()


@pytest.fixture(scope="session")
def base_image(tmp_path_factory) -> Place:
    """The runtime's base image, of this checkout."""
    registry = LayoutRegistry(tmp_path_factory.mktemp("base"))
    cache = Path(os.environ.get("HAVN_IMAGE_CACHE") or Path.home() / ".cache/havn/images")
    asyncio.run(base.build("runtime", registry=registry, repository="havn/runtime", cache=cache, tag="test"))
    return Place(registry, "havn/runtime")


@pytest.fixture(scope="session")
def pushed(image_registry, base_image) -> str:
    """The runtime image in the registry, by digest."""

    async def push() -> str:
        digest, _ = await base_image.registry.manifest(base_image.repository, "test")
        client = HttpClient(image_registry.url, name="The registry", timeout=60)
        await copy(base_image, digest.digest, Place(RemoteRegistry(client), base_image.repository))
        await client.close()
        return f"{base_image.repository}@{digest.digest}"

    return asyncio.run(push())


@pytest.fixture(scope="session")
def database() -> Iterator[tuple[EmbeddedPostgres, int]]:
    """A PostgreSQL that the cluster's pods reach over TCP."""
    folder = Path(tempfile.mkdtemp(prefix="havn-test-"))
    folder.chmod(0o711)
    with socket.socket() as probe:
        probe.bind((str(HOST_ADDRESS), 0))
        port = probe.getsockname()[1]
    server = EmbeddedPostgres(folder, durable=False, listen=(str(HOST_ADDRESS), port))
    server.start()
    yield server, port
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def platform_image(kubernetes, image_registry, toolchain, tmp_path_factory) -> dict[str, str]:
    """The platform's image of this checkout, in the registry, as the chart takes it."""
    local = LayoutRegistry(tmp_path_factory.mktemp("platform-image"))
    cache = Path(os.environ.get("HAVN_IMAGE_CACHE") or Path.home() / ".cache/havn/images")

    async def make() -> str:
        tools = base.Tools(toolchain.program("helm"), ROOT / "charts")
        made = await base.build("platform", registry=local, repository="havn/platform", cache=cache, tools=tools)
        client = HttpClient(image_registry.url, name="The registry", timeout=60)
        await copy(Place(local, "havn/platform"), made.digest, Place(RemoteRegistry(client), "havn/platform"))
        await client.close()
        return made.digest

    return {"repository": f"{image_registry.address}/havn/platform", "digest": asyncio.run(make())}


@pytest.fixture(scope="session")
def make_volume(kubernetes) -> Callable[[str, Path], None]:
    """`make_volume(name, folder)`: a new folder of this machine that the platform's pods may claim by the name."""

    def make(name: str, folder: Path) -> None:
        folder.mkdir()
        os.chown(folder, 1000, 3000)
        kubernetes.kubectl("apply", "-f", "-", text=_VOLUME.format(name=name, path=folder))

    return make


# For each file: others may have taken it away, or changed it.
@pytest.fixture(scope="module")
def bootstrapped(kubernetes, image_registry, base_image, toolchain) -> None:
    """charts/cluster for the org ttd in the cluster."""
    asyncio.run(bootstrap(kubernetes, image_registry, base_image, toolchain))


async def bootstrap(kubernetes, image_registry, base_image, toolchain) -> None:
    digest, _ = await base_image.registry.manifest(base_image.repository, "test")
    client = HttpClient(image_registry.url, name="The registry", timeout=60)
    target = RemoteRegistry(client)
    delivery = Delivery(
        releases=target, base=base_image, base_digest=digest.digest, target=target, address=image_registry.address
    )
    image = await delivery.base()
    await client.close()
    helm = Helm(toolchain.program("helm"), kubernetes.kubeconfig)
    values = {"org": "ttd", "domain": DOMAIN, "image": {"repository": image.repository, "digest": image.digest}}
    await helm.upgrade("havn", ROOT / "charts" / "cluster", values)
    addons.wait_for(kubernetes, "default", "havn-unknown")
    front = Front(f"https://{kubernetes.address}", f"ttd.apps.{DOMAIN}", verify=False)
    assert await front.leads_nowhere("no-app", known=False) is None
    await front.close()


_K6 = """
import http from "k6/http";
export const options = {
  scenarios: {steady: {executor: "constant-arrival-rate", rate: Number(__ENV.RATE), timeUnit: "1s", duration: "10m",
                       preAllocatedVUs: 20, gracefulStop: "5s"}},
  insecureSkipTLSVerify: true, discardResponseBodies: true, hosts: {[__ENV.HOST]: __ENV.ADDRESS},
};
const paths = JSON.parse(__ENV.PATHS);
const asked = {headers: JSON.parse(__ENV.HEADERS)};
export default () => { http.get(`https://${__ENV.HOST}${paths[Math.floor(Math.random() * paths.length)]}`, asked); };
"""


class Load:
    """k6, until it is told to end; then what it has seen."""

    def __init__(self, program: Path, folder: Path, environ: dict[str, str]) -> None:
        self._summary = folder / "summary.json"
        (folder / "load.js").write_text(_K6)
        command = [
            program, "run", "--quiet", "--no-usage-report", f"--summary-export={self._summary}", folder / "load.js",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, env={**environ, "HOME": str(folder), "PATH": "/usr/bin:/bin"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def end(self) -> tuple[int, int]:
        """How many requests were made, and how many of them failed."""
        self._process.terminate()
        self._process.wait()
        metrics = msgspec.json.decode(self._summary.read_bytes())["metrics"]
        # k6 calls a rate's hits passes: here those are the failures.
        return metrics["http_reqs"]["count"], metrics["http_req_failed"]["passes"]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def k6(toolchain, tmp_path_factory) -> Iterator[Callable[..., Load]]:
    """`k6(address, host, paths, rate=…, headers=…)`: load on an ingress over TLS, in requests a second."""
    begun: list[Load] = []

    def begin(
        address: str, host: str, paths: list[str], *, rate: int, headers: dict[str, str] | None = None
    ) -> Load:  # fmt: skip
        told = {
            "RATE": str(rate), "HOST": host, "ADDRESS": address, "PATHS": msgspec.json.encode(paths).decode(),
            "HEADERS": msgspec.json.encode(headers or {}).decode(),
        }  # fmt: skip
        begun.append(Load(toolchain.program("k6"), tmp_path_factory.mktemp("k6"), told))
        return begun[-1]

    yield begin
    for load in begun:
        load.kill()


@dataclass
class Owner:
    """An org, its cluster, and how its apps are built and reached."""

    org: str
    kubernetes: LocalKubernetes
    folder: Path
    registry: LayoutRegistry
    cluster: KubernetesCluster
    delivery: Delivery
    helm: Helm

    def at(self, values: dict[str, object]) -> KubernetesCluster:
        """The cluster with other values for its apps; shares the connections of `cluster`."""
        site = msgspec.structs.replace(self.cluster.site, values=values)
        return KubernetesCluster(site, self.cluster.kube, self.helm, self.delivery, self.cluster._front)

    async def release(self, app: str, version: int = 1, hooks: str | None = None) -> str:
        """A release of `app` with this version in its texts and these hooks."""
        return await suite.release(self.folder, self.registry, AppId(self.org, app), version, hooks)

    def workload(self, app: str, release: str, replicas: int = 1, settings: dict[str, str] | None = None, **more):
        return Workload(
            app=app,
            release=release,
            replicas=replicas,
            settings={
                "HAVN_DOMAIN": DOMAIN,
                "HAVN_SCHEME": "https",
                "HAVN_ENVIRONMENT": "tt02",
                "HAVN_ENVIRONMENT_TYPE": "test",
                "HAVN_PLATFORM_URL": suite.platform_without_apis(str(HOST_ADDRESS)),
                **(settings or {}),
            },
            secrets={"platform-access-key": KEY if settings is None else new_key()},
            ready_within=more.get("ready_within", 60),
        )

    async def ask(self, path: str):
        """GET a path at the org's host, through Traefik over TLS."""
        host = f"{self.org}.apps.{DOMAIN}"
        http = HttpClient(f"https://{self.kubernetes.address}", name="Traefik", host=host, verify=False)
        try:
            reply = await http.request("GET", path)
        except Problem as problem:
            return suite.Reply(0, str(problem))
        finally:
            await http.close()
        return suite.Reply(reply.status_code, reply.text)


@pytest.fixture
async def owner(kubernetes, bootstrapped, image_registry, base_image, toolchain, tmp_path) -> AsyncIterator[Owner]:
    """The org ttd, with nothing in its cluster."""
    digest, _ = await base_image.registry.manifest(base_image.repository, "test")
    client = HttpClient(image_registry.url, name="The registry", timeout=60)
    registry = LayoutRegistry(tmp_path / "registry")
    delivery = Delivery(
        releases=registry,
        base=base_image,
        base_digest=digest.digest,
        target=RemoteRegistry(client),
        address=image_registry.address,
    )
    platform = urlsplit(suite.platform_without_apis(str(HOST_ADDRESS)))
    values = {
        "ingress": {"middlewares": ["havn-protect", "havn-headers", "havn-retry"]},
        "networkPolicy": {"platformCidrs": [f"{HOST_ADDRESS}/32"], "platformPort": platform.port},
    }
    site = ClusterSite(org="ttd", environment="tt02", chart=ROOT / "charts" / "app", values=values)
    kube = Kube(kubernetes.kubeconfig)
    helm = Helm(toolchain.program("helm"), kubernetes.kubeconfig)
    front = Front(f"https://{kubernetes.address}", f"ttd.apps.{DOMAIN}", verify=False)
    cluster = KubernetesCluster(site, kube, helm, delivery, front)
    yield Owner("ttd", kubernetes, tmp_path, registry, cluster, delivery, helm)
    for status in await cluster.apps():
        await cluster.remove(status.app)
    await cluster.close()
    await client.close()


class Identities:
    """The key that an authority's private key is sealed with."""

    def __init__(self) -> None:
        self.kept = [str(pyrage.x25519.Identity.generate())]

    def all(self) -> list[str]:
        return self.kept


class Time:
    """The time of the control plane, behind that of the cluster: no certificate may be of tomorrow."""

    def __init__(self) -> None:
        self.behind = timedelta(days=21, minutes=40)

    def __call__(self) -> datetime:
        return datetime.now(UTC) - self.behind


@dataclass
class Certified:
    """A cluster with an authority of its own, and the time that both go by."""

    cluster: KubernetesCluster
    keeper: Keeper
    issuer: ClusterIssuer
    time: Time


@pytest.fixture
async def certified(owner, make_database) -> AsyncIterator[Certified]:
    store, time = await AuthorityStore.open(await make_database("deploy")), Time()
    keeper = Keeper(store, Sealer(Identities()), time)
    issuer = ClusterIssuer(keeper, "tt02", "ttd")
    known = owner.cluster
    cluster = KubernetesCluster(
        known.site, known.kube, owner.helm, owner.delivery, known._front, issuer=issuer, clock=time
    )
    yield Certified(cluster, keeper, issuer, time)
    await store.close()


_OUTSIDE = "havn-beyond"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _certify(folder: Path) -> None:
    """A certificate for the servers outside, with its key, and the authority that has signed it."""
    now, day = datetime.now(UTC), timedelta(days=1)
    signer = authority("outside", now, day)
    made = leaf(signer, [f"{host}.example.test" for host in ("api", "issuer")], now, day)
    (folder / "authority.pem").write_text(signer.certificate)
    (folder / "server.pem").write_text(made.certificate + made.key)


@pytest.fixture
def beyond(kubernetes, tmp_path) -> Iterator[Path]:
    """The world outside, in a network namespace beside the cluster's; its folder.

    Servers are at 203.0.113.10 (443 and 8080), the platform's public keys at 203.0.113.20:8080, DNS at 203.0.113.53.
    """
    inside = kubernetes.layout.namespace
    _run("ip", "netns", "add", _OUTSIDE)
    world = None
    try:
        _run("ip", "-n", inside, "link", "add", "beyond", "type", "veth", "peer", "name", "eth0", "netns", _OUTSIDE)
        _run("ip", "-n", inside, "addr", "add", "203.0.113.1/24", "dev", "beyond")
        _run("ip", "-n", inside, "link", "set", "beyond", "up")
        for address in ("203.0.113.10", "203.0.113.20", "203.0.113.53"):
            _run("ip", "-n", _OUTSIDE, "addr", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            _run("ip", "-n", _OUTSIDE, "link", "set", link, "up")
        _run("ip", "-n", _OUTSIDE, "route", "add", "default", "via", "203.0.113.1")
        _certify(tmp_path)
        world = subprocess.Popen(
            ["ip", "netns", "exec", _OUTSIDE, sys.executable, Path(__file__).with_name("world.py"), tmp_path],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert world.stdout is not None
        assert world.stdout.readline() == "ready\n"
        yield tmp_path
    finally:
        if world is not None:
            world.kill()
            world.communicate()
        _run("ip", "netns", "del", _OUTSIDE)
