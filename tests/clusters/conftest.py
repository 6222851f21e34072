"""A real Kubernetes on this machine, with Traefik as a pod, a real registry beside it, and apps made by `havn new`."""

from __future__ import annotations

import asyncio
import importlib.resources
import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from havn.appfolder.ids import AppId
from havn.clusters.kubernetes import Front, Helm, Kube, KubernetesCluster
from havn.clusters.kubernetes import Site as ClusterSite
from havn.clusters.port import Workload
from havn.deploy.image import base
from havn.deploy.image.delivery import Delivery
from havn.deploy.image.transfer import Place
from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.registry.remote import RemoteRegistry
from havn.deploy.release.build import build
from havn.deploy.release.signing import SigningKey
from havn.kit.http import HttpClient
from havn.kit.problem import Problem
from havn.local.kubernetes import LocalKubernetes, Toolchain, addons
from havn.local.kubernetes.network import HOST_ADDRESS
from havn.platform.secrets import new_key

_suite_spec = importlib.util.spec_from_file_location("cluster_suite", Path(__file__).with_name("suite.py"))
assert _suite_spec is not None
assert _suite_spec.loader is not None
suite = sys.modules.setdefault("cluster_suite", importlib.util.module_from_spec(_suite_spec))
_suite_spec.loader.exec_module(suite)

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = "tt02.example.test"
KEY = new_key()


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
    yield ImageRegistry(f"http://{HOST_ADDRESS}:{port}", kubernetes.trust_registry(port), process)
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
        """The cluster with other values for its apps; shares the connection of `cluster`."""
        site = msgspec.structs.replace(self.cluster.site, values=values)
        return KubernetesCluster(site, self.cluster.kube, self.helm, self.delivery)

    async def release(self, app: str, version: int = 1, hooks: str | None = None) -> str:
        """A release of `app` with this version in its texts and these hooks."""
        source = self.folder / "apps" / f"{app}-{version}-{hooks is not None}"
        template = Path(str(importlib.resources.files("havn.cli") / "template" / "App"))
        words = {"[ORG]": self.org, "[APP]": app, "[TITLE]": f"Version {version}"}
        for path in template.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                target = source / path.relative_to(template)
                target.parent.mkdir(parents=True, exist_ok=True)
                text = path.read_text()
                for word, value in words.items():
                    text = text.replace(word, value)
                target.write_text(text)
        if hooks is not None:
            (source / "logic" / "hooks.py").write_text(hooks)
        built = await build(
            source,
            AppId(self.org, app),
            registry=self.registry,
            key=SigningKey(SigningKey.generate()),
            cache=self.folder / "cache",
        )
        return built.release.digest

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
                "HAVN_PLATFORM_URL": "http://127.0.0.1:9",
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
    values = {"ingress": {"middlewares": ["havn-protect", "havn-headers", "havn-retry"]}}
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
