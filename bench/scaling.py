"""How soon an app has more replicas under k6's load, and fewer after it; and whether a request failed meanwhile.

Needs root and the toolchain (`make toolchain`): a local cluster with Traefik and metrics-server.
`python bench/scaling.py` prints the table as Markdown.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from owner import HOST, Machine, machine, owner

from havn.clusters.kubernetes import KubernetesCluster
from havn.clusters.port import AppStatus
from havn.contracts.deploy import Scaling
from havn.local.kubernetes import addons

SCRIPT = """
import http from "k6/http";
export const options = {
  scenarios: {all: {executor: "constant-arrival-rate", rate: RATE, timeUnit: "1s", duration: "10m",
                    preAllocatedVUs: 20, gracefulStop: "5s"}},
  insecureSkipTLSVerify: true, discardResponseBodies: true, hosts: {"HOST": "ADDRESS"},
};
export default () => { http.get("https://HOST/first/health"); };
"""
BUSY, IDLE = 150, 5
SECONDS = 180


async def until(cluster: KubernetesCluster, true: Callable[[AppStatus], bool]) -> float:
    """Seconds until the app's state is so; raises `TimeoutError` after three minutes."""
    began = time.perf_counter()
    async with asyncio.timeout(SECONDS):
        while not true(await cluster.status("first")):  # noqa: ASYNC110  (the truth is in the cluster)
            await asyncio.sleep(0.1)
    return time.perf_counter() - began


def begin(program: str, script: Path, summary: Path) -> subprocess.Popen[bytes]:
    """Have k6 run the script; it writes what it has seen when it ends."""
    return subprocess.Popen(
        [program, "run", "--quiet", "--no-usage-report", f"--summary-export={summary}", script],
        env={"HOME": str(script.parent), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


async def under(
    place: Machine, rate: int, cluster: KubernetesCluster, true: Callable[[AppStatus], bool]
) -> tuple[str, str]:
    """Make so many requests a second until the app's state is so; tells when, and how the requests went."""
    with tempfile.TemporaryDirectory() as folder:
        script, summary = Path(folder, "load.js"), Path(folder, "summary.json")
        words = {"RATE": str(rate), "HOST": HOST, "ADDRESS": place.kubernetes.address}
        text = SCRIPT
        for name, value in words.items():
            text = text.replace(name, value)
        script.write_text(text)
        load = begin(str(place.tools.program("k6")), script, summary)
        try:
            passed = await until(cluster, true)
        finally:
            load.terminate()
            await asyncio.to_thread(load.wait)
        metrics = msgspec.json.decode(summary.read_bytes())["metrics"]
        # k6 calls a rate's hits passes: here those are the failures.
        return f"{passed:.0f} s", f"{metrics['http_req_failed']['passes']} of {metrics['http_reqs']['count']}"


async def measure(place: Machine) -> None:
    """Load the app and let it be, and print the table."""
    await asyncio.to_thread(addons.install_metrics, place.kubernetes)
    await asyncio.to_thread(addons.wait_for, place.kubernetes, "kube-system", "metrics-server")
    async with owner(place) as ours:
        scaling = Scaling(minimum=1, maximum=3, cpu=60, up_seconds=0, down_seconds=0)
        workload = await ours.workload("Scaled")
        asked = {"resources": {"requests": {"cpu": "50m"}}}
        await ours.cluster.apply(msgspec.structs.replace(workload, scaling=scaling, chart=asked))
        two, failed = await under(place, BUSY, ours.cluster, lambda status: status.ready >= 2)
        one, lost = await under(place, IDLE, ours.cluster, lambda status: status.settled and status.ready == 1)
    print(f"| One replica, and {BUSY} requests a second from now on | |")
    print("|---|---:|")
    print(f"| two are ready | {two} |")
    print(f"| {IDLE} requests a second instead: one again | {one} |")
    print(f"| requests that failed on the way up, and down | {failed}, {lost} |")


def main() -> int:
    """Make a cluster, measure, and take it away."""
    with machine() as place:
        if place is not None:
            asyncio.run(measure(place))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
