"""What each app more costs the control plane: many apps in one cluster, on a node that only says that it runs them.

The API server, Helm, the charts, the images and the objects are real; kwok tells of every pod that it is ready, so
that a small machine has room for as many as one likes. Needs root and the toolchain (`make toolchain`).
`python bench/estate.py [--apps 100]` prints the table as Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from owner import DOMAIN, ROOT, Apps, runtime_base

from havn.clusters.kubernetes import Helm, Kube, KubernetesCluster, Site
from havn.clusters.port import Workload
from havn.deploy.authority import certificates
from havn.deploy.authority.certificates import Pair
from havn.deploy.image.delivery import Delivery
from havn.deploy.registry.layout import LayoutRegistry
from havn.local.kubernetes import LocalKubernetes, Toolchain, addons

# As the control plane does them in one cluster.
AT_ONCE = 4
NODE = """
apiVersion: v1
kind: Node
metadata: {name: many, annotations: {kwok.x-k8s.io/node: fake}, labels: {kubernetes.io/hostname: many}}
status:
  allocatable: {cpu: "1000", memory: 1Ti, pods: "1000"}
  capacity: {cpu: "1000", memory: 1Ti, pods: "1000"}
"""

# What kwok does with its node and the pods on it.
STAGES = ("node/fast/node-initialize", "node/heartbeat-with-lease/node-heartbeat-with-lease",
          "pod/fast/pod-ready", "pod/fast/pod-complete", "pod/fast/pod-delete")  # fmt: skip


class Authority:
    """See `havn.clusters.kubernetes.leaves.Issuer`: an authority that is kept nowhere."""

    def __init__(self) -> None:
        self._pair = certificates.authority("bench", datetime.now(UTC), timedelta(days=10))

    async def bundle(self) -> str:
        """See `Issuer.bundle`."""
        return self._pair.certificate

    async def signer(self) -> str:
        """See `Issuer.signer`."""
        return self._pair.certificate

    async def issue(self, names: Sequence[str]) -> Pair:
        """See `Issuer.issue`."""
        return certificates.leaf(self._pair, names, datetime.now(UTC), timedelta(days=5))


class Cost:
    """Seconds passed and seconds of processor time since it was made: this process, and the programs that it ran."""

    def __init__(self) -> None:
        self._clock, self._own, self._ran = self._now()

    def told(self, apps: int) -> tuple[str, str, str]:
        """Each for one app, as cells of the table."""
        passed, own, ran = (
            now - then for now, then in zip(self._now(), (self._clock, self._own, self._ran), strict=True)
        )
        return f"{passed / apps * 1e3:.1f} ms", f"{own / apps * 1e3:.1f} ms", f"{ran / apps * 1e3:.1f} ms"

    def _now(self) -> tuple[float, float, float]:
        own, ran = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.perf_counter(), own.ru_utime + own.ru_stime, ran.ru_utime + ran.ru_stime


async def measure(cluster: LocalKubernetes, tools: Toolchain, apps: int) -> None:
    """Deploy, look, and look after them; print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        built = Apps(folder)
        runtime, digest = await runtime_base(folder)
        delivery = Delivery(
            releases=built.registry, base=runtime, base_digest=digest, target=LayoutRegistry(folder / "images"),
            address="registry.example.test",
        )  # fmt: skip
        kube, helm = Kube(cluster.kubeconfig), Helm(tools.program("helm"), cluster.kubeconfig)
        site = Site(
            org="ttd", environment="bench", chart=ROOT / "charts" / "app",
            values={"domain": DOMAIN, "autoscaling": {"enabled": True}},
        )  # fmt: skip
        ours = KubernetesCluster(site, kube, helm, delivery, issuer=Authority())
        at_once = asyncio.Semaphore(AT_ONCE)

        async def apply(wanted: Workload) -> None:
            async with at_once:
                await ours.apply(wanted)

        await apply(await built.workload("warm", "Warm"))
        names = [f"app-{number}" for number in range(apps)]
        process = psutil.Process()
        rows: list[tuple[str, ...]] = []
        before = process.memory_info().rss
        for what in ("first deployment", "deployment of a new version"):
            wanted = [await built.workload(name, what) for name in names]
            cost = Cost()
            await asyncio.gather(*(apply(each) for each in wanted))
            rows.append((what, *cost.told(apps)))
        after = process.memory_info().rss
        cost = Cost()
        found = await ours.apps()
        rows.append(("state of all apps, read from the cluster", *cost.told(apps)))
        assert sum(each.settled for each in found) == apps + 1, "Not every app runs as asked."
        cost = Cost()
        await ours.renew_certificates()
        rows.append(("certificates looked after, none due (once an hour)", *cost.told(apps)))
        await ours.close()
    print(f"| {apps} apps in one cluster, for each app | Passed | Our processor time | Helm's |")
    print("|---|---:|---:|---:|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(f"| memory kept | {(after - before) / apps / 1e3:.1f} kB |  |  |")


def main() -> int:
    """Make a cluster, measure, and take it away."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--apps", type=int, default=100)
    asked = parser.parse_args()
    if os.geteuid() != 0:
        print("A cluster on this machine needs root: this measurement is left out.")
        return 0
    tools = Toolchain.ensure(ROOT / "toolchain", say=lambda text: print(text, file=sys.stderr))
    folder = Path(tempfile.mkdtemp(prefix="havn-bench-"))
    cluster = LocalKubernetes.create(f"e{os.getpid()}", folder / "cluster", tools)
    try:
        addons.load_images(cluster)
        addons.install_traefik(cluster)
        addons.wait_for(cluster, "traefik", "traefik")
        # What follows is for the other node.
        cluster.kubectl("cordon", "node1")
        cluster.kubectl("apply", "-f", "-", text=NODE)
        stages = tools.module("sigs.k8s.io/kwok") / "kustomize" / "stage"
        cluster.start(
            "kwok",
            [
                str(tools.program("kwok")), f"--kubeconfig={cluster.kubeconfig}",
                "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
                "--node-lease-duration-seconds=40",
                *(f"--config={stages / each}.yaml" for each in STAGES),
            ],
        )  # fmt: skip
        cluster.kubectl("wait", "--for=condition=Ready", "node/many", "--timeout=60s")
        asyncio.run(measure(cluster, tools, asked.apps))
    finally:
        cluster.destroy()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
