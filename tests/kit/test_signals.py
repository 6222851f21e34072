"""Being told to stop."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from havn.kit.signals import stop_event


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_each_signal_to_stop_sets_the_event_and_ends_nothing(number):
    stop = stop_event(signal.SIGHUP)
    try:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        async with asyncio.timeout(10):
            await stop.wait()
    finally:
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(each)
