"""How exact limits are when eight clients press on two real processes: never over, and under by 5 % at most.

The counter store's time stands still while the clients press, so what may pass is known exactly, however slow the
machine is.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest

from havn.kit.clock import system_clock
from havn.kit.serve import serve
from havn.local.environment import free_port
from havn.platform.management.metering.rates import MemoryRates
from havn.platform.management.metering.valkey import ValkeyRates


@pytest.fixture(params=["memory", "server"])
def rates(request, time):
    """The counter store of the platform's only management process, and one that several would share."""
    if request.param == "memory":
        return MemoryRates(time.micros)
    return ValkeyRates(request.getfixturevalue("counter_store").url, micros=time.micros, timeout=5)


@pytest.fixture
async def processes(make_rig, rates, time):
    """The management API served over HTTP, and two processes that enforce."""
    # Tokens are made in other processes, by the real time.
    time.now = system_clock()
    rig = await make_rig(rates)
    stop, port = asyncio.Event(), free_port()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(rig.metering.running())
        serving = asyncio.create_task(serve(rig.served, port=port, stop=stop))

        async def stopped():
            stop.set()
            await serving

        stack.push_async_callback(stopped)
        ports = [free_port() for _ in range(2)]

        def start():
            for own in ports:
                process = subprocess.Popen(
                    [sys.executable, str(Path(__file__).with_name("process.py")), str(own), f"http://127.0.0.1:{port}"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                )
                stack.push_async_callback(_end, process)
                process.stdin.write(rig.tokens.private("ttd", "permit").encode())
                process.stdin.close()

        yield rig, start, [f"http://127.0.0.1:{own}" for own in ports]


async def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    # It gives its portions back before it goes, to the management API of this very loop.
    await asyncio.to_thread(process.wait)


class Clients:
    """Eight, half of them on each process."""

    def __init__(self, urls: list[str], key: str) -> None:
        self._each = [
            httpx2.AsyncClient(base_url=urls[number % len(urls)], headers={"x-api-key": key}, verify=False)
            for number in range(8)
        ]

    async def press(self, *, until_passed: bool) -> int:
        """Ask until refused (after having got through, with `until_passed`): how many got through."""
        return sum(await asyncio.gather(*(self._press(client, until_passed) for client in self._each)))

    async def _press(self, client: httpx2.AsyncClient, until_passed: bool) -> int:
        passed = 0
        while True:
            status = (await client.get("/api/v1/x")).status_code
            if status == 200:
                passed += 1
            elif passed or not until_passed:
                assert status == 429
                return passed

    async def close(self) -> None:
        for client in self._each:
            await client.aclose()


async def _ready(urls: list[str]) -> None:
    async with httpx2.AsyncClient() as client:
        for url in urls:
            while True:
                try:
                    await client.get(f"{url}/other")
                    break
                except httpx2.TransportError:
                    await asyncio.sleep(0.02)


async def test_a_rate_is_never_exceeded_and_nearly_reached(processes, rate, time):
    rig, start, urls = processes
    key = await rig.managed_key(rates=(rate(500, 60),), store_away="closed")
    start()
    await _ready(urls)
    clients = Clients(urls, key)
    passed, allowed = await clients.press(until_passed=True), 500
    assert 0.95 * allowed <= passed <= allowed
    for _ in range(2):
        # Every 24 seconds bring 200 more.
        time.seconds += 24
        passed += await clients.press(until_passed=True)
        allowed += 200
        assert 0.95 * allowed <= passed <= allowed
    await clients.close()


async def test_a_quota_is_never_exceeded_and_nearly_reached_and_settled_to_the_last(processes, quota):
    rig, start, urls = processes
    key = await rig.managed_key(quotas=(quota(400, "month"),), store_away="closed")
    start()
    await _ready(urls)
    clients = Clients(urls, key)
    passed = await clients.press(until_passed=True)
    assert 380 <= passed <= 400
    # What one process had left when the other refused was given back, and is there for whoever asks.
    while passed < 400:
        passed += await clients.press(until_passed=False)
    assert passed == 400
    assert await rig.database.fetchval("select granted from quota_use") == 400
    await clients.close()
