"""The stage of what is measured on a Kubernetes: one with Traefik, a real registry beside it, and an org's cluster."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from havn.appfolder.ids import AppId
from havn.cli.new import write_app
from havn.clusters.kubernetes import Front, Helm, Kube, KubernetesCluster, Site
from havn.clusters.port import Workload
from havn.deploy.image import base
from havn.deploy.image.delivery import Delivery
from havn.deploy.image.transfer import Place
from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.registry.remote import RemoteRegistry
from havn.deploy.release.build import build
from havn.deploy.release.signing import SigningKey
from havn.kit.http import HttpClient
from havn.local.kubernetes import LocalKubernetes, Toolchain, addons
from havn.platform.secrets import new_key

ROOT = Path(__file__).resolve().parent.parent
DOMAIN = "bench.example.test"
HOST = f"ttd.apps.{DOMAIN}"


@dataclass
class Machine:
    """A cluster, and a registry that its nodes trust."""

    kubernetes: LocalKubernetes
    tools: Toolchain
    registry: str
    """Its URL."""
    stored: Path
    """Where the registry keeps what it was sent."""


@contextmanager
def machine() -> Iterator[Machine | None]:
    """Make them, and take them away; None where that cannot be, which is said."""
    if os.geteuid() != 0:
        print("A cluster on this machine needs root: this measurement is left out.")
        yield None
        return
    tools = Toolchain.ensure(ROOT / "toolchain", say=lambda text: print(text, file=sys.stderr))
    folder = Path(tempfile.mkdtemp(prefix="havn-bench-"))
    cluster = LocalKubernetes.create(f"b{os.getpid()}", folder / "cluster", tools)
    try:
        addons.load_images(cluster)
        addons.install_dns(cluster)
        addons.install_traefik(cluster)
        addons.wait_for(cluster, "traefik", "traefik")
        url = addons.install_registry(cluster)
        stored = cluster.layout.folder / "registry" / "data"
        stored.mkdir(exist_ok=True)
        yield Machine(cluster, tools, url, stored)
    finally:
        cluster.destroy()
        shutil.rmtree(folder, ignore_errors=True)


async def runtime_base(folder: Path) -> tuple[Place, str]:
    """The image that apps are put on, of this checkout, in a registry in `folder`, and its digest."""
    bases = LayoutRegistry(folder / "base")
    cache = Path(os.environ.get("HAVN_IMAGE_CACHE") or Path.home() / ".cache/havn/images")
    made = await base.build("runtime", registry=bases, repository="havn/runtime", cache=cache)
    return Place(bases, "havn/runtime"), made.digest


class Apps:
    """Builds the org's apps."""

    def __init__(self, folder: Path) -> None:
        self.registry = LayoutRegistry(folder / "releases")
        self._folder = folder
        self._key = SigningKey(SigningKey.generate())

    async def workload(self, app: str, title: str) -> Workload:
        """The app with this title, built, as it is put into a cluster."""
        id_, source = AppId("ttd", app), self._folder / "app"
        shutil.rmtree(source, ignore_errors=True)
        write_app(source, id_, title=title)
        built = await build(source, id_, registry=self.registry, key=self._key, cache=self._folder / "cache")
        settings = {
            "HAVN_DOMAIN": DOMAIN, "HAVN_SCHEME": "https", "HAVN_ENVIRONMENT": "bench",
            "HAVN_ENVIRONMENT_TYPE": "test", "HAVN_PLATFORM_URL": "http://127.0.0.1:9",
        }  # fmt: skip
        return Workload(
            app=app, release=built.release.digest, settings=settings,
            secrets={"platform-access-key": new_key()}, ready_within=300,
        )  # fmt: skip


class Owner:
    """An org with its cluster on such a machine."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine = machine
        self.helm = Helm(machine.tools.program("helm"), machine.kubernetes.kubeconfig)
        self.site = Site(org="ttd", environment="bench", chart=ROOT / "charts" / "app", values={})
        self.cluster: KubernetesCluster
        self.delivery: Delivery
        self._folder = folder
        self._apps, self._access = Apps(folder), new_key()

    async def begin(self, client: HttpClient) -> None:
        """Put the runtime's image into the registry, and `charts/cluster` into the cluster."""
        machine = self.machine
        runtime, digest = await runtime_base(self._folder)
        self.delivery = Delivery(
            releases=self._apps.registry, base=runtime, base_digest=digest, target=RemoteRegistry(client),
            address=machine.registry.removeprefix("http://"),
        )  # fmt: skip
        image = await self.delivery.base()
        values = {
            "org": "ttd", "domain": DOMAIN, "image": {"repository": image.repository, "digest": image.digest},
            "egress": {"enabled": False}, "dns": {"enabled": False},
        }  # fmt: skip
        await self.helm.upgrade("havn", ROOT / "charts" / "cluster", values)
        await asyncio.to_thread(addons.wait_for, machine.kubernetes, "default", "havn-unknown")
        front = Front(f"https://{machine.kubernetes.address}", HOST, verify=False)
        kube = Kube(machine.kubernetes.kubeconfig)
        self.cluster = KubernetesCluster(self.site, kube, self.helm, self.delivery, front)

    async def workload(self, title: str) -> Workload:
        """The app ttd/first with this title, built; every one with the same key."""
        made = await self._apps.workload("first", title)
        return msgspec.structs.replace(made, secrets={"platform-access-key": self._access})


@asynccontextmanager
async def owner(machine: Machine) -> AsyncIterator[Owner]:
    """An org's cluster, ready for apps."""
    with tempfile.TemporaryDirectory() as scratch:
        client = HttpClient(machine.registry, name="The registry", timeout=60)
        made = Owner(machine, Path(scratch))
        try:
            await made.begin(client)
            yield made
        finally:
            if hasattr(made, "cluster"):
                await made.cluster.close()
            await client.close()
