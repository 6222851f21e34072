"""A node whose disk is full, for real: a kubelet and a containerd on a small disk of their own, which is filled up."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from havn.appfolder.ids import AppId
from havn.clusters.kubernetes import Helm, Kube, KubernetesCluster
from havn.clusters.kubernetes import Site as ClusterSite
from havn.clusters.port import ClusterError, RolloutFailed, Workload
from havn.deploy.image.delivery import Delivery
from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.registry.remote import RemoteRegistry
from havn.kit.http import HttpClient
from havn.local.kubernetes import LocalKubernetes, addons
from havn.platform.secrets import new_key

suite = sys.modules["cluster_suite"]
# A busy machine takes a minute to make the cluster and the image.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
HEALTH = "/api/v1/namespaces/default/services/first:http/proxy/health"
# The node is short of disk below this, and has an hour to get over it before it puts pods out.
EVICTION = {
    "evictionHard": {"memory.available": "100Mi"},
    "evictionSoft": {"nodefs.available": "16Mi"},
    "evictionSoftGracePeriod": {"nodefs.available": "1h"},
    "evictionPressureTransitionPeriod": "1s",
}


@dataclass
class Disk:
    """The disk of a cluster's only node, and what makes it full."""

    cluster: LocalKubernetes
    folder: Path

    def fill(self, *, left: int) -> None:
        """Leave so many bytes."""
        found = os.statvfs(self.folder)
        with (self.folder / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - left)

    def empty(self) -> None:
        """Take away what fills it."""
        (self.folder / "filler").unlink()

    async def told(self, pressure: str) -> None:
        """Wait until the node says of its disk that it is full ("True") or not ("False"), and is kept to its word."""
        wait = ("wait", f"--for=condition=DiskPressure={pressure}", "node/node1", "--timeout=60s")
        await asyncio.to_thread(self.cluster.kubectl, *wait)
        taints = ("get", "node", "node1", "-o", "jsonpath={.spec.taints[*].key}")
        while ("disk-pressure" in await asyncio.to_thread(self.cluster.kubectl, *taints)) != (pressure == "True"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def disk(toolchain, tmp_path_factory) -> Iterator[Disk]:
    """Of a cluster without add-ons, whose images and pods share one small disk, as on most nodes."""
    folder = tmp_path_factory.mktemp("full") / "it"
    disk = folder / "disk"
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={450 * MIB}", "tmpfs", disk], check=True)
    for part in ("kubelet", "containerd"):
        (disk / part).mkdir()
        (folder / part).mkdir()
        subprocess.run(["mount", "--bind", disk / part, folder / part], check=True)
    cluster = LocalKubernetes.create(f"f{os.getpid()}", folder, toolchain)
    try:
        cluster.stop("kubelet")
        config = folder / "kubelet.json"
        config.write_bytes(msgspec.json.encode(msgspec.json.decode(config.read_bytes()) | EVICTION))
        cluster.start_kubelet()
        addons.load_images(cluster, ["pause"])
        yield Disk(cluster, disk)
    finally:
        cluster.destroy()


@dataclass
class Owner:
    """Who deploys to the cluster; `workload(n)` is version n of an app, made ready within so many seconds."""

    cluster: KubernetesCluster
    folder: Path
    registry: LayoutRegistry

    async def workload(self, version: int, ready_within: float = 60) -> Workload:
        release = await suite.release(self.folder, self.registry, AppId("ttd", "first"), version)
        settings = {
            "HAVN_DOMAIN": "tt02.example.test", "HAVN_SCHEME": "https", "HAVN_ENVIRONMENT": "tt02",
            "HAVN_ENVIRONMENT_TYPE": "test", "HAVN_PLATFORM_URL": suite.platform_without_apis(),
        }  # fmt: skip
        return Workload(
            app="first", release=release, replicas=1, settings=settings,
            secrets={"platform-access-key": new_key()}, ready_within=ready_within,
        )  # fmt: skip


@pytest.fixture
async def owner(disk, image_registry, base_image, toolchain, tmp_path) -> AsyncIterator[Owner]:
    base, _ = await base_image.registry.manifest(base_image.repository, "test")
    client = HttpClient(image_registry.url, name="The registry", timeout=60)
    registry = LayoutRegistry(tmp_path / "registry")
    delivery = Delivery(
        releases=registry, base=base_image, base_digest=base.digest, target=RemoteRegistry(client),
        address=disk.cluster.trust_registry(int(image_registry.address.rpartition(":")[2])),
    )  # fmt: skip
    chart = ROOT / "charts" / "app"
    # There is no ingress here, and the API server asks the app in our name.
    site = ClusterSite(org="ttd", environment="tt02", chart=chart, values={"ingress": {"enabled": False}})
    kubeconfig = disk.cluster.kubeconfig
    cluster = KubernetesCluster(site, Kube(kubeconfig), Helm(toolchain.program("helm"), kubeconfig), delivery)
    yield Owner(cluster, tmp_path, registry)
    await cluster.close()
    await client.close()


async def test_a_nodes_full_disk_is_told_what_runs_answers_on_and_the_next_deploy_works(owner, disk):
    # There is room for some of the image, and the node has not noticed yet.
    disk.fill(left=40 * MIB)
    with pytest.raises(RolloutFailed) as caught:
        await owner.cluster.apply(await owner.workload(1, ready_within=4))
    said = str(caught.value)
    assert "The disk of node1 is full: make room there. Its image cannot be fetched: " in said
    assert "no space left on device" in said
    assert await owner.cluster.apps() == []
    disk.empty()
    await disk.told("False")
    first = await owner.cluster.apply(await owner.workload(1))
    assert first.settled

    # There is none at all, and the node takes no new pods.
    disk.fill(left=0)
    await disk.told("True")
    told: list[str] = []
    answers: list[str] = []
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ask(owner.cluster.kube, answers))
        with pytest.raises(RolloutFailed) as caught:
            await owner.cluster.apply(await owner.workload(2, ready_within=2), told.append)
        asking.cancel()
    reason = "No node has room for it, since the disk of node1 is full: make room there, or add a node. The scheduler"
    assert reason in str(caught.value)
    assert any(reason in each for each in told)
    assert len(answers) > 10
    assert set(answers) == {"200"}
    status = await owner.cluster.status("first")
    assert (status.release, [each.name for each in status.actual]) == (
        first.release, [each.name for each in first.actual],
    )  # fmt: skip
    assert status.settled
    disk.empty()
    await disk.told("False")
    assert (await owner.cluster.apply(await owner.workload(2))).settled


async def ask(kube: Kube, answers: list[str]) -> None:
    """Ask the app for its health, over and over."""
    while True:
        try:
            answers.append(str((await kube.answer("GET", HEALTH)).status_code))
        except ClusterError as error:
            answers.append(str(error))
