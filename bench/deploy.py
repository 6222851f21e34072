"""A deploy to a real Kubernetes beside bare `helm upgrade --wait` of the same chart, and the bytes that it moves.

Needs root and the toolchain (`make toolchain`): a local cluster with Traefik, and a real registry beside it. Both ways
put the same releases of one app there in turn; ours makes the image from base and release, pushes it, has Helm upgrade,
waits until it is ready and reached through Traefik, and reads back what runs. `python bench/deploy.py [--turns 4]`
prints the table as Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from havn.appfolder.ids import AppId
from havn.cli.new import write_app
from havn.clusters.kubernetes import Front, Helm, Kube, KubernetesCluster, Site
from havn.clusters.kubernetes.values import values
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
from havn.local.kubernetes.network import HOST_ADDRESS
from havn.platform.secrets import new_key

ROOT = Path(__file__).resolve().parent.parent
DOMAIN = "bench.example.test"


def size(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def measure(cluster: LocalKubernetes, tools: Toolchain, registry_data: Path, port: int, turns: int) -> None:
    """Deploy in turn, and print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        own = LayoutRegistry(folder / "releases")
        bases = LayoutRegistry(folder / "base")
        cache = Path(os.environ.get("HAVN_IMAGE_CACHE") or Path.home() / ".cache/havn/images")
        made = await base.build("runtime", registry=bases, repository="havn/runtime", cache=cache)
        client = HttpClient(f"http://{HOST_ADDRESS}:{port}", name="The registry", timeout=60)
        delivery = Delivery(
            releases=own, base=Place(bases, "havn/runtime"), base_digest=made.digest,
            target=RemoteRegistry(client), address=cluster.trust_registry(port),
        )  # fmt: skip
        image = await delivery.base()
        kube, helm = Kube(cluster.kubeconfig), Helm(tools.program("helm"), cluster.kubeconfig)
        whole = {
            "org": "ttd", "domain": DOMAIN, "image": {"repository": image.repository, "digest": image.digest},
            "egress": {"enabled": False}, "dns": {"enabled": False},
        }  # fmt: skip
        await helm.upgrade("havn", ROOT / "charts" / "cluster", whole)
        await asyncio.to_thread(addons.wait_for, cluster, "default", "havn-unknown")
        front = Front(f"https://{cluster.address}", f"ttd.apps.{DOMAIN}", verify=False)
        site = Site(org="ttd", environment="bench", chart=ROOT / "charts" / "app", values={})
        ours = KubernetesCluster(site, kube, helm, delivery, front)
        key, access = SigningKey(SigningKey.generate()), new_key()
        settings = {
            "HAVN_DOMAIN": DOMAIN, "HAVN_SCHEME": "https", "HAVN_ENVIRONMENT": "bench",
            "HAVN_ENVIRONMENT_TYPE": "test", "HAVN_PLATFORM_URL": "http://127.0.0.1:9",
        }  # fmt: skip
        bare: list[float] = []
        full: list[float] = []
        moved: list[int] = []
        for turn in range(turns + 1):
            write_app(folder / "app", AppId("ttd", "first"), title=f"Version {turn}")
            built = await build(folder / "app", AppId("ttd", "first"), registry=own, key=key, cache=folder / "cache")
            workload = Workload(
                app="first", release=built.release.digest, settings=settings, secrets={"platform-access-key": access},
                ready_within=120,
            )  # fmt: skip
            before, began = size(registry_data), time.perf_counter()
            await ours.apply(workload)
            took = time.perf_counter() - began
            there = await delivery.image("ttd", "first", built.release.digest)
            config = values(site.values, "ttd", workload, there, "first-v1")
            # Another release beside it, of the same image: what Helm alone takes.
            config |= {"app": "bare", "ingress": {"enabled": False}}
            began = time.perf_counter()
            command = [
                str(tools.program("helm")), "upgrade", "bare", str(site.chart), "--install", "--wait",
                "--timeout=120s", "--values=-", f"--kubeconfig={cluster.kubeconfig}", "--namespace=default",
            ]  # fmt: skip
            await asyncio.to_thread(
                subprocess.run, command, input=msgspec.json.encode(config), check=True, capture_output=True
            )
            if turn:  # The first one brings the image's base along.
                full.append(took)
                bare.append(time.perf_counter() - began)
                moved.append(size(registry_data) - before)
        await ours.close()
        await client.close()
    print("| A new version of an app, one line changed | median |")
    print("|---|---:|")
    print(f"| bare `helm upgrade --wait` of an image that is there | {statistics.median(bare):.2f} s |")
    print(f"| ours: image made and pushed, upgraded, ready, reached, read back | {statistics.median(full):.2f} s |")
    print(f"| ours above bare | {statistics.median(full) - statistics.median(bare):+.2f} s |")
    print(f"| bytes that the registry took | {statistics.median(moved) / 1000:.1f} kB |")


def main() -> int:
    """Make a cluster and a registry, measure, and take them away."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=4)
    asked = parser.parse_args()
    if os.geteuid() != 0:
        print("A cluster on this machine needs root: this measurement is left out.")
        return 0
    tools = Toolchain.ensure(ROOT / "toolchain", say=lambda text: print(text, file=sys.stderr))
    folder = Path(tempfile.mkdtemp(prefix="havn-bench-"))
    cluster = LocalKubernetes.create(f"b{os.getpid()}", folder / "cluster", tools)
    registry: subprocess.Popen[bytes] | None = None
    try:
        addons.load_images(cluster)
        addons.install_dns(cluster)
        addons.install_traefik(cluster)
        addons.wait_for(cluster, "traefik", "traefik")
        with socket.socket() as probe:
            probe.bind((str(HOST_ADDRESS), 0))
            port = probe.getsockname()[1]
        config = folder / "registry.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
            f"http: {{addr: {HOST_ADDRESS}:{port}}}\n"
        )
        registry = subprocess.Popen(
            [tools.program("registry"), "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while registry.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex((str(HOST_ADDRESS), port)) == 0:
                    break
        (folder / "data").mkdir(exist_ok=True)
        asyncio.run(measure(cluster, tools, folder / "data", port, asked.turns))
    finally:
        if registry is not None:
            registry.terminate()
            registry.wait()
        cluster.destroy()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
