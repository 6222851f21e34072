"""A counter store for the tests, and time that stands still until it is told to go."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


class Micros:
    """A clock in microseconds."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000)


class CounterStore:
    """A server of our own on a socket in a folder of its own; `restart` forgets everything."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{folder}/socket"

    def start(self) -> None:
        path = self._folder / "socket"
        self._process = subprocess.Popen(
            [self._program, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(self._folder)],
            stdout=subprocess.DEVNULL,
        )
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(path))
                    return
                except OSError:
                    assert self._process.poll() is None, "the counter store did not start"

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        (self._folder / "socket").unlink(missing_ok=True)

    def restart(self) -> None:
        self.stop()
        self.start()


@pytest.fixture
def micros() -> Micros:
    return Micros()


@pytest.fixture(scope="session")
def counter_store() -> Iterator[CounterStore]:
    """Valkey or Redis, whichever Debian has installed."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        pytest.skip("neither valkey-server nor redis-server is installed: run tests/support/install-packages")
    with tempfile.TemporaryDirectory(prefix="havn-counters-") as folder:
        store = CounterStore(program, Path(folder))
        store.start()
        yield store
        store.stop()
