"""The folder in which one process keeps credentials while it uses them; what a killed one left is swept away.

Each folder has a lock file beside it, which its process holds until the kernel lets go for it. Whoever can take a lock
knows that its process is gone, however it ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

_NAME = "run-"
_LOCK = ".lock"


class Scratch:
    """A folder of our own below `work`; the folder itself is made by who uses it."""

    def __init__(self, path: Path, lock: int | None) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def open(cls, work: Path) -> Scratch:
        """Take a name that nobody has, and delete what is left of processes that are gone."""
        for lock in work.glob(f"{_NAME}*{_LOCK}"):
            _sweep(lock)
        path = work / f"{_NAME}{os.getpid()}"
        return cls(path, _hold(_lock_of(path)))

    async def close(self) -> None:
        """Delete it. Nothing happens the second time."""
        if self._lock is None:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        _lock_of(self.path).unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = None


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + _LOCK)


def _hold(lock: Path) -> int:
    while True:
        held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
        # Whoever swept may have deleted it between the two.
        if lock.exists() and os.fstat(held).st_ino == lock.stat().st_ino:
            return held
        os.close(held)


def _sweep(lock: Path) -> None:
    try:
        held = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.with_name(lock.name.removesuffix(_LOCK)), ignore_errors=True)
            lock.unlink(missing_ok=True)
    finally:
        os.close(held)
