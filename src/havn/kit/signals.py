"""Being told to stop: the signals of whoever runs the process, as an event."""

from __future__ import annotations

import asyncio
import signal


def stop_event(*also: signal.Signals) -> asyncio.Event:
    """An event that is set when the process gets SIGTERM, SIGINT, or one of `also`; the process then stops by itself.

    For a running loop in the main thread. A later call takes the signals over from an earlier one.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, *also):
        loop.add_signal_handler(number, stop.set)
    return stop
