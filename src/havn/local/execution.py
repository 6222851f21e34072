"""Running a command in the surroundings of an app's process on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from havn.clusters.port import ClusterError, Ended, Output

_PIECE = 64 * 1024
_AHEAD = 100


async def execute(
    command: Sequence[str], *, environ: Mapping[str, str], cwd: Path
) -> AsyncGenerator[Output | Ended, None]:
    """What the command writes as it comes, and how it ended; it is killed when nobody reads on. `ClusterError`."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environ),
            cwd=cwd,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ClusterError(f"The command could not be run: {reason}.") from None
    waiting: asyncio.Queue[Output | None] = asyncio.Queue(_AHEAD)

    async def pour(stream: asyncio.StreamReader | None, name: str) -> None:
        assert stream is not None
        while data := await stream.read(_PIECE):
            await waiting.put(Output("stdout" if name == "stdout" else "stderr", data))

    async def both() -> None:
        await asyncio.gather(pour(process.stdout, "stdout"), pour(process.stderr, "stderr"))
        await waiting.put(None)

    pouring = asyncio.create_task(both())
    try:
        while (come := await waiting.get()) is not None:
            yield come
        code = await process.wait()
        yield Ended(code if code >= 0 else 128 - code)
    finally:
        pouring.cancel()
        await asyncio.gather(pouring, return_exceptions=True)
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
