"""The log of an app as one: the pods' logs merged by time, and followed through restarts, rollouts and scaling."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import UTC, datetime

from havn.clusters.kubernetes.kube import Kube
from havn.clusters.port import ClusterError, LogLine

_AGAIN_SECONDS = 1.0
# Reading waits when this many lines wait for a slow reader.
_AHEAD = 1000
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z ?(.*)", re.DOTALL)

Pods = Callable[[], Awaitable[Sequence[str]]]
"""The names of the app's pods now; raises `ClusterError` once the app is gone."""


async def read(kube: Kube, pods: Sequence[str], lines: int) -> list[tuple[str, LogLine]]:
    """The last `lines` of all these pods in order, each with its exact time as text that sorts."""
    found: list[tuple[str, LogLine]] = []
    for pod in pods:
        # One that has not started yet has no log.
        with contextlib.suppress(ClusterError):
            async for text in kube.log(pod, timestamps="true", tailLines=str(lines)):
                found += _lines(pod, text)
    found.sort(key=lambda each: each[0])
    return found[-lines:] if lines else []


async def follow(kube: Kube, pods: Pods, lines: int) -> AsyncGenerator[LogLine, None]:
    """The last `lines`, then those that come, until the app is gone."""
    names = await pods()
    before = await read(kube, names, lines)
    last = dict.fromkeys(names, max((stamp for stamp, _ in before), default=""))
    for _, line in before:
        yield line
    waiting: asyncio.Queue[LogLine | None] = asyncio.Queue(_AHEAD)

    async def pour(pod: str) -> None:
        after = last.get(pod, "")
        since = {"sinceTime": f"{after[:19]}Z"} if after else {}
        with contextlib.suppress(ClusterError):
            async for text in kube.log(pod, timestamps="true", follow="true", **since):
                for stamp, line in _lines(pod, text):
                    if stamp > last.get(pod, ""):
                        last[pod] = stamp
                        await waiting.put(line)

    async def watch() -> None:
        streams: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                try:
                    now = await pods()
                except ClusterError:
                    return
                for pod in now:
                    if pod not in streams or streams[pod].done():
                        streams[pod] = asyncio.create_task(pour(pod))
                await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            for task in streams.values():
                task.cancel()
            await asyncio.gather(*streams.values(), return_exceptions=True)
            with contextlib.suppress(asyncio.QueueFull):
                waiting.put_nowait(None)

    watching = asyncio.create_task(watch())
    try:
        while (come := await waiting.get()) is not None:
            yield come
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def _lines(pod: str, text: str) -> list[tuple[str, LogLine]]:
    found = _STAMP.match(text)
    if found is None:
        return []
    fraction = (found[2] or "").ljust(9, "0")
    time = datetime.fromisoformat(f"{found[1]}.{fraction[:6]}").replace(tzinfo=UTC)
    return [(f"{found[1]}.{fraction}", LogLine(time, pod, found[3].rstrip("\r\n")))]
