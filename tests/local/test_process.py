"""Child processes: they end with us, and what is left of a killed parent is found by the next."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from havn.local.process import Child, ChildRecord, stop_leftovers

SOURCE = Path(__file__).resolve().parents[2] / "src"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def python(code: str, lines: list[str], **options) -> Child:
    return await Child.start(
        [sys.executable, "-c", code], name="test", environ={"PATH": os.environ["PATH"]}, output=lines.append, **options
    )


async def test_output_comes_line_by_line_and_the_exit_code_after_it():
    lines: list[str] = []
    child = await python(
        "import sys; print('one'); print('two', file=sys.stderr); print('no end', end=''); sys.exit(7)", lines
    )
    assert await child.wait() == 7
    assert sorted(lines) == ["no end", "one", "two"]
    assert not child.running


async def test_a_line_without_end_does_not_fill_the_memory():
    lines: list[str] = []
    child = await python("import sys; sys.stdout.write('x' * 1_000_000)", lines)
    await child.wait()
    assert sum(map(len, lines)) == 1_000_000
    assert max(map(len, lines)) <= 128 * 1024


async def test_a_child_that_does_not_listen_is_killed_after_its_grace():
    lines: list[str] = []
    child = await python(STUBBORN, lines)
    while not lines:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await child.stop(grace=0.2)
    assert await child.wait() == -signal.SIGKILL


async def test_only_the_environment_given_reaches_the_child():
    lines: list[str] = []
    child = await python("import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))", lines)
    await child.wait()
    assert lines == ["['PATH']"]


async def test_a_record_is_there_while_the_child_runs(tmp_path):
    child = await python("import time; time.sleep(60)", [], records=tmp_path)
    [path] = tmp_path.glob("*.json")
    assert msgspec.json.decode(path.read_bytes(), type=ChildRecord).pid == child.pid
    await child.stop()
    assert not list(tmp_path.glob("*.json"))


def test_children_of_a_killed_parent_end_with_it_and_the_stubborn_are_found_by_the_next(tmp_path):
    parent = f"""
import asyncio, os, sys
from pathlib import Path
from havn.local.process import Child
async def main():
    env = {{"PATH": os.environ["PATH"]}}
    polite = await Child.start([sys.executable, "-c", "import time; time.sleep(60)"], name="polite", environ=env,
                               output=print, records=Path({str(tmp_path)!r}))
    up = asyncio.Event()
    stubborn = await Child.start([sys.executable, "-c", {STUBBORN!r}], name="stubborn", environ=env,
                                 output=lambda line: up.set(), records=Path({str(tmp_path)!r}))
    await up.wait()
    print(polite.pid, stubborn.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(SOURCE)}
    )
    polite, stubborn = map(int, process.stdout.readline().split())
    process.kill()
    process.wait()
    process.stdout.close()
    while running(polite):
        pass
    assert running(stubborn)
    assert stop_leftovers(tmp_path, grace=0.2) == ["stubborn"]
    assert not running(stubborn)
    assert not list(tmp_path.glob("*.json"))


def test_a_process_that_merely_has_the_same_number_is_left_alone(tmp_path):
    record = ChildRecord(
        pid=os.getpid(), started=1, boot=Path("/proc/sys/kernel/random/boot_id").read_text().strip(), name="x"
    )
    (tmp_path / "1.json").write_bytes(msgspec.json.encode(record))
    (tmp_path / "2.json").write_bytes(b"damaged")
    assert stop_leftovers(tmp_path) == []
    assert not list(tmp_path.iterdir())
