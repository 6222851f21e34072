"""Work in the background that never outlives what it is for: cancelled at the end, waited for, its failure told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def background(work: Coroutine[Any, Any, T], *, name: str) -> AsyncIterator[asyncio.Task[T]]:
    """Do `work` as a task called `name` while the block runs; it has ended when the block is left.

    Work that fails does not disturb the block: its error is raised at the block's end.
    """
    task = asyncio.create_task(work, name=name)
    try:
        yield task
    finally:
        await cancel(task)


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel `task` and wait until it has ended. Raises what it failed with; being cancelled is no failure."""
    task.cancel()
    # Not `await task` without its CancelledError: that would hide that the caller itself was cancelled meanwhile.
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
