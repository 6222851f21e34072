"""A child process: started so that it dies with us, its output read line by line, its end awaited, recorded on disk.

The record (pid and start time) lets the next `havn up` find what a killed parent left behind, without ever touching a
process that merely got the same number later.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_MAX_LINE = 64 * 1024

Output = Callable[[str], None]


class ChildRecord(msgspec.Struct, frozen=True):
    """What identifies a process for as long as the machine runs."""

    pid: int
    started: int
    boot: str
    name: str


class Child:
    """One run of a program."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, record: Path | None) -> None:
        self.pid = process.pid
        self.name = name
        self._process = process
        self._record = record
        self._reader: asyncio.Task[None] | None = None
        self._exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._watch()

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        name: str,
        environ: Mapping[str, str],
        output: Output,
        records: Path | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Child:
        """Start `command` with exactly `environ`; each line it writes goes to `output`. Raises OSError.

        Call it from the main thread: the kernel ends a child when the thread that started it ends.
        """
        # In a session of its own, so that Ctrl-C at the terminal reaches us, who stop things in order.
        process = subprocess.Popen(  # noqa: ASYNC220  (asyncio's own would need its child watcher's thread)
            list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(environ), cwd=cwd, pass_fds=pass_fds, start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  (prctl only, nothing that takes a lock)
        )  # fmt: skip
        child = cls(process, name, _write_record(records, process.pid, name) if records else None)
        child._reader = asyncio.create_task(child._read(output))
        return child

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return not self._exited.done()

    async def wait(self) -> int:
        """The exit code, once it has ended and all its output is read (negative: the signal that ended it)."""
        code = await asyncio.shield(self._exited)
        if self._reader is not None:
            # A grandchild may hold the pipe open: its output is not waited for.
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(asyncio.shield(self._reader), 1)
        return code

    async def stop(self, grace: float = 10.0) -> None:
        """Ask it to end (SIGTERM), make it end after `grace` seconds."""
        if self.running:
            self._send(signal.SIGTERM)
            try:
                await asyncio.wait_for(asyncio.shield(self._exited), grace)
            except TimeoutError:
                self.kill()
        await self.wait()

    def kill(self) -> None:
        """End it at once, with every process of its session's group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _watch(self) -> None:
        # A pidfd becomes readable when the process ends: no thread, no signal handler, no polling.
        loop = asyncio.get_running_loop()
        descriptor = os.pidfd_open(self.pid)

        def ended() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            code = self._process.wait()
            if self._record is not None:
                self._record.unlink(missing_ok=True)
            if not self._exited.done():
                self._exited.set_result(code)

        loop.add_reader(descriptor, ended)

    async def _read(self, output: Output) -> None:
        assert self._process.stdout is not None
        reader = asyncio.StreamReader(limit=_MAX_LINE)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._process.stdout
        )
        try:
            while True:
                try:
                    line = await reader.readuntil(b"\n")
                except asyncio.IncompleteReadError as error:
                    if error.partial:
                        output(error.partial.decode(errors="replace"))
                    return
                except asyncio.LimitOverrunError:
                    # Longer than any line should be: take it in pieces rather than hold it all.
                    line = await reader.read(_MAX_LINE)
                output(line.decode(errors="replace").rstrip("\r\n"))
        finally:
            transport.close()


def stop_leftovers(records: Path, grace: float = 5.0) -> list[str]:
    """End the processes that an earlier parent recorded in `records` and left behind; returns their names."""
    left: list[tuple[ChildRecord, Path]] = []
    for path in sorted(records.glob("*.json")):
        try:
            record = msgspec.json.decode(path.read_bytes(), type=ChildRecord)
        except (msgspec.MsgspecError, OSError):
            path.unlink(missing_ok=True)
            continue
        if _alive(record):
            left.append((record, path))
        else:
            path.unlink(missing_ok=True)
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, grace)):
        for record, _ in left:
            if _alive(record):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(record.pid, number)
        deadline = time.monotonic() + patience
        while any(_alive(record) for record, _ in left) and time.monotonic() < deadline:
            time.sleep(0.02)
    for _, path in left:
        path.unlink(missing_ok=True)
    return [record.name for record, _ in left]


def _write_record(folder: Path, pid: int, name: str) -> Path | None:
    started = _start_time(pid)
    if started is None:
        return None
    path = folder / f"{pid}.json"
    path.write_bytes(msgspec.json.encode(ChildRecord(pid, started, _boot(), name)))
    return path


def _alive(record: ChildRecord) -> bool:
    return record.boot == _boot() and _start_time(record.pid) == record.started


def _start_time(pid: int) -> int | None:
    """Clock ticks from boot to the process's start; None when it is gone or only waits to be reaped."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in brackets, may itself hold blanks and brackets.
    fields = status.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
