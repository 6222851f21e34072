"""Running a command in a pod, over the WebSocket of its subresource `exec` (protocol v4.channel.k8s.io)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import msgspec

from havn.clusters.kubernetes.kube import Kube
from havn.clusters.port import ClusterError, Ended, Output
from havn.kit.background import background

_STDOUT, _STDERR, _STATUS = 1, 2, 3
_AHEAD = 100


class _Cause(msgspec.Struct):
    reason: str = ""
    message: str = ""


class _Details(msgspec.Struct):
    causes: list[_Cause] = []


class _Status(msgspec.Struct):
    """What the last message says."""

    status: str = ""
    message: str = ""
    details: _Details | None = None


async def execute(kube: Kube, pod: str, container: str, command: Sequence[str]) -> AsyncGenerator[Output | Ended, None]:
    """What the command writes as it comes, and how it ended. Raises `ClusterError`."""
    waiting: asyncio.Queue[Output | Ended | Exception] = asyncio.Queue(_AHEAD)
    status: list[bytes] = []

    async def take(channel: int, data: bytes) -> bool:
        if channel == _STATUS:
            status.append(data)
            return False
        if channel in (_STDOUT, _STDERR) and data:
            await waiting.put(Output("stdout" if channel == _STDOUT else "stderr", data))
        return True

    # In a task of its own: a connection must be closed by the task that opened it, and who reads may be several.
    async def pour() -> None:
        try:
            await kube.execute(pod, container, command, take)
            await waiting.put(Ended(code(status[0])))
        except Exception as error:  # noqa: BLE001 - whatever it is: who reads must not wait for more
            await waiting.put(error)

    async with background(pour(), name="execution"):
        while True:
            come = await waiting.get()
            if isinstance(come, Exception):
                raise come
            yield come
            if isinstance(come, Ended):
                return


def code(status: bytes) -> int:
    """The exit code that the last message tells. Raises `ClusterError` when the command could not be run."""
    try:
        said = msgspec.json.decode(status, type=_Status)
    except msgspec.MsgspecError as error:
        raise ClusterError("The cluster did not say how the command ended.") from error
    if said.status == "Success":
        return 0
    for cause in said.details.causes if said.details is not None else ():
        if cause.reason == "ExitCode" and cause.message.isdigit():
            return int(cause.message)
    raise ClusterError(f"The command could not be run: {said.message[:500] or 'the cluster does not say why'}.")
