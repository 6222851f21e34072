"""Work in the background: as long as the block, and no longer."""

from __future__ import annotations

import asyncio

import pytest

from havn.kit.background import background, cancel


class Work:
    """Goes on until it is cancelled; then cleans up, when it is let."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.clean = False

    async def run(self) -> None:
        try:
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()
            await self.may_end.wait()
            self.clean = True


async def fail() -> None:
    raise LookupError("gone wrong")


async def test_work_goes_on_beside_the_block_and_has_cleaned_up_when_the_block_is_left():
    work = Work()
    async with background(work.run(), name="the work") as task:
        await work.begun.wait()
        assert task.get_name() == "the work"
        assert not task.done()
    assert task.cancelled()
    assert work.clean


async def test_work_is_ended_when_the_block_fails_and_the_blocks_error_is_what_is_raised():
    work = Work()
    with pytest.raises(KeyError, match="the block's"):
        async with background(work.run(), name="work"):
            await work.begun.wait()
            raise KeyError("the block's")
    assert work.clean


async def test_the_failure_of_work_is_raised_at_the_end_of_the_block_and_not_before():
    reached = False
    with pytest.raises(LookupError, match="gone wrong"):
        async with background(fail(), name="work") as task:
            await asyncio.wait([task])
            reached = True
    assert reached


async def test_work_that_ended_by_itself_leaves_its_result():
    async def answer() -> int:
        return 42

    async with background(answer(), name="work") as task:
        assert await task == 42


async def test_a_caller_that_is_cancelled_while_it_waits_for_the_end_is_cancelled():
    work = Work()
    work.may_end.clear()
    task = asyncio.create_task(work.run())
    await work.begun.wait()
    ending = asyncio.create_task(cancel(task))
    await work.cancelled.wait()
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    work.may_end.set()
    await asyncio.wait([task])
    assert work.clean
