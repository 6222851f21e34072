"""The number of an app's replicas follows the load that k6 makes, and no request fails on the way up or down."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import msgspec
import pytest

from havn.clusters.port import Scaling
from havn.local.kubernetes import addons

pytestmark = pytest.mark.cluster

HOST = "ttd.apps.tt02.example.test"
SCRIPT = """
import http from "k6/http";
export const options = {
  scenarios: {steady: {executor: "constant-arrival-rate", rate: Number(__ENV.RATE), timeUnit: "1s", duration: "5m",
                       preAllocatedVUs: 20, gracefulStop: "5s"}},
  insecureSkipTLSVerify: true, discardResponseBodies: true, hosts: {[__ENV.HOST]: __ENV.ADDRESS},
};
export default () => { http.get(`https://${__ENV.HOST}/first/health`); };
"""


class Load:
    """k6, until it is told to end; then what it has seen."""

    def __init__(self, program: Path, folder: Path, address: str, rate: int) -> None:
        self._summary = folder / "summary.json"
        (folder / "load.js").write_text(SCRIPT)
        command = [
            program,
            "run",
            "--quiet",
            "--no-usage-report",
            f"--summary-export={self._summary}",
            folder / "load.js",
        ]
        environ = {"RATE": str(rate), "HOST": HOST, "ADDRESS": address, "HOME": str(folder), "PATH": "/usr/bin:/bin"}
        self._process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

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


async def replicas(owner, wanted) -> int:
    """Wait until the number of ready replicas is as wanted."""
    try:
        async with asyncio.timeout(120):
            while True:
                status = await owner.cluster.status("first")
                if wanted(status.ready) and status.settled:
                    return status.ready
                await asyncio.sleep(0.5)
    except TimeoutError:
        scaler = owner.kubernetes.kubectl("describe", "hpa", "first")
        raise AssertionError(f"{status}\n{scaler}") from None


async def test_an_app_scales_up_under_load_and_down_again_and_no_request_fails(kubernetes, owner, toolchain, tmp_path):
    await asyncio.to_thread(addons.install_metrics, kubernetes)
    await asyncio.to_thread(addons.wait_for, kubernetes, "kube-system", "metrics-server")
    quick = Scaling(minimum=1, maximum=3, cpu=60, up_seconds=0, down_seconds=0)
    workload = owner.workload("first", await owner.release("first"))
    asked = {"resources": {"requests": {"cpu": "50m"}}}
    await owner.cluster.apply(msgspec.structs.replace(workload, scaling=quick, chart=asked))
    load = Load(toolchain.program("k6"), tmp_path, kubernetes.address, rate=150)
    try:
        assert await replicas(owner, lambda ready: ready >= 2) >= 2
        made, failed = await asyncio.to_thread(load.end)
        assert made > 500
        assert failed == 0
    finally:
        load.kill()
    # A trickle goes on while it shrinks: pods end without a request being lost.
    load = Load(toolchain.program("k6"), tmp_path, kubernetes.address, rate=5)
    try:
        assert await replicas(owner, lambda ready: ready == 1) == 1
        made, failed = await asyncio.to_thread(load.end)
        assert made > 10
        assert failed == 0
    finally:
        load.kill()
