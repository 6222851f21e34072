"""Keeping a child running."""

import asyncio
import os
import sys

import pytest

from havn.local.process import Child
from havn.local.supervisor import StartFailed, Supervisor


def supervisor(code: str, *, probe=None, lines=None, changed=None, ready_within=20.0) -> Supervisor:
    said: list[str] = [] if lines is None else lines

    async def start(output) -> Child:
        return await Child.start(
            [sys.executable, "-c", code], name="x", environ={"PATH": os.environ["PATH"]}, output=output
        )

    async def ready() -> bool:
        return "ready" in said

    return Supervisor(
        "x", start, probe or ready, output=said.append, changed=changed, ready_within=ready_within, grace=2
    )


async def test_it_is_ready_when_the_probe_says_so_and_gone_after_stop():
    states: list[str] = []
    kept = supervisor(
        "import time; print('ready', flush=True); time.sleep(60)", changed=lambda: states.append(kept.state)
    )
    kept.begin()
    await kept.ready()
    child = kept.child
    await kept.stop()
    assert not child.running
    assert states == ["ready", "stopping"]


async def test_a_child_that_dies_is_started_again():
    kept = supervisor("import time; print('ready', flush=True); time.sleep(60)")
    kept.begin()
    await kept.ready()
    first = kept.child
    first.kill()
    await first.wait()
    async with asyncio.timeout(20):
        while kept.child is first or kept.state != "ready":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert kept.restarts == 1
    await kept.stop()


async def test_a_child_that_keeps_dying_is_given_up_by_who_waits_with_its_last_line():
    kept = supervisor("print('before', flush=True); raise SystemExit('no database')")
    kept.begin()
    with pytest.raises(StartFailed, match="it ended with code 1, last line: no database"):
        await kept.ready(attempts=2)
    assert kept.restarts == 2
    await kept.stop()


async def test_exit_code_2_says_that_another_try_would_not_help():
    kept = supervisor("import sys; print('wrong settings'); sys.exit(2)")
    kept.begin()
    with pytest.raises(StartFailed, match="wrong settings"):
        await kept.ready(attempts=100)
    assert kept.restarts == 1
    await kept.stop()


async def test_a_child_that_is_never_ready_fails_after_its_time():
    kept = supervisor("import time; print('waiting for godot', flush=True); time.sleep(60)", ready_within=0.5)
    kept.begin()
    with pytest.raises(StartFailed, match=r"not ready within .* last line: waiting for godot"):
        await kept.ready()
    await kept.stop()


async def test_a_program_that_is_not_there_is_a_reason_too():
    async def start(output) -> Child:
        return await Child.start(["/no/such/program"], name="x", environ={}, output=output)

    async def never() -> bool:
        return False

    kept = Supervisor("x", start, never, output=lambda line: None)
    kept.begin()
    with pytest.raises(StartFailed, match="could not be started: No such file"):
        await kept.ready(attempts=1)
    await kept.stop()
