"""A deploy to a real Kubernetes beside bare `helm upgrade --wait` of the same chart, and the bytes that it moves.

Needs root and the toolchain (`make toolchain`): a local cluster with Traefik, and a real registry beside it. Both ways
put the same releases of one app there in turn; ours makes the image from base and release, pushes it, has Helm upgrade,
waits until it is ready and reached through Traefik, and reads back what runs. `python bench/deploy.py [--turns 4]`
prints the table as Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import time
from pathlib import Path

import msgspec
from owner import Machine, machine, owner

from havn.clusters.kubernetes.values import values


def size(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def measure(place: Machine, turns: int) -> None:
    """Deploy in turn, and print the table."""
    bare: list[float] = []
    pushed: list[float] = []
    full: list[float] = []
    moved: list[int] = []
    async with owner(place) as ours:
        for turn in range(turns + 1):
            workload = await ours.workload(f"Version {turn}")
            before, began = size(place.stored), time.perf_counter()
            steps: list[float] = []
            # The first thing told is that the image is in the registry.
            await ours.cluster.apply(workload, lambda _, steps=steps: steps.append(time.perf_counter()))
            took = time.perf_counter() - began
            there = await ours.delivery.image("ttd", "first", workload.release)
            config = values(ours.site.values, "ttd", workload, there, "first-v1")
            # Another release beside it, of the same image: what Helm alone takes.
            config |= {"app": "bare", "ingress": {"enabled": False}}
            began_bare = time.perf_counter()
            command = [
                str(place.tools.program("helm")), "upgrade", "bare", str(ours.site.chart), "--install", "--wait",
                "--timeout=120s", "--values=-", f"--kubeconfig={place.kubernetes.kubeconfig}", "--namespace=default",
            ]  # fmt: skip
            await asyncio.to_thread(
                subprocess.run, command, input=msgspec.json.encode(config), check=True, capture_output=True
            )
            if turn:  # The first one brings the image's base along.
                full.append(took)
                pushed.append(began + took - steps[0])
                bare.append(time.perf_counter() - began_bare)
                moved.append(size(place.stored) - before)
    print("| A new version of an app, one line changed | median |")
    print("|---|---:|")
    print(f"| bare `helm upgrade --wait` of an image that is there | {statistics.median(bare):.2f} s |")
    print(f"| ours: image made and pushed, upgraded, ready, reached, read back | {statistics.median(full):.2f} s |")
    print(f"| of that from the push to the end | {statistics.median(pushed):.2f} s |")
    print(f"| ours above bare | {statistics.median(full) - statistics.median(bare):+.2f} s |")
    print(f"| bytes that the registry took | {statistics.median(moved) / 1000:.1f} kB |")


def main() -> int:
    """Make a cluster and a registry, measure, and take them away."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=4)
    asked = parser.parse_args()
    with machine() as place:
        if place is not None:
            asyncio.run(measure(place, asked.turns))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
