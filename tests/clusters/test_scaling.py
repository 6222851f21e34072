"""The number of an app's replicas follows the load that k6 makes, and no request fails on the way up or down."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from havn.contracts.deploy import Scaling
from havn.local.kubernetes import addons

pytestmark = pytest.mark.cluster

HOST = "ttd.apps.tt02.example.test"


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


async def test_an_app_scales_up_under_load_and_down_again_and_no_request_fails(kubernetes, owner, k6):
    await asyncio.to_thread(addons.install_metrics, kubernetes)
    await asyncio.to_thread(addons.wait_for, kubernetes, "kube-system", "metrics-server")
    quick = Scaling(minimum=1, maximum=3, cpu=60, up_seconds=0, down_seconds=0)
    workload = owner.workload("first", await owner.release("first"))
    asked = {"resources": {"requests": {"cpu": "50m"}}}
    await owner.cluster.apply(msgspec.structs.replace(workload, scaling=quick, chart=asked))
    load = k6(kubernetes.address, HOST, ["/first/health"], rate=150)
    try:
        assert await replicas(owner, lambda ready: ready >= 2) >= 2
        made, failed = await asyncio.to_thread(load.end)
        assert made > 100
        assert failed == 0
    finally:
        load.kill()
    # A trickle goes on while it shrinks: pods end without a request being lost.
    load = k6(kubernetes.address, HOST, ["/first/health"], rate=5)
    try:
        assert await replicas(owner, lambda ready: ready == 1) == 1
        made, failed = await asyncio.to_thread(load.end)
        assert made > 0
        assert failed == 0
    finally:
        load.kill()
