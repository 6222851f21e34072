"""What runs for a local cluster, on disk before it starts, so that it can be taken away after kill -9 too."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

_FOLDER = Path("/run/havn/clusters")


class Process(msgspec.Struct, frozen=True):
    """A process by number and start (seconds since the epoch), since numbers are used again."""

    name: str
    pid: int
    started: float

    @classmethod
    def of(cls, name: str, pid: int) -> Process:
        """The record of a process that runs now."""
        return cls(name, pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """The process, if it still runs."""
        try:
            found = psutil.Process(self.pid)
            return found if found.create_time() == self.started and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


class Record(msgspec.Struct):
    """One cluster: its number, its folder, who made it, and its processes in the order of their start.

    `owner` is None for a cluster that is to outlive its maker.
    """

    name: str
    index: int
    folder: Path
    owner: Process | None
    processes: list[Process] = []

    def save(self) -> None:
        """Write the record, whole or not at all."""
        path = _FOLDER / f"{self.name}.json"
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self, enc_hook=str))
        fresh.rename(path)

    def forget(self) -> None:
        """Remove the record, once nothing is left of the cluster."""
        (_FOLDER / f"{self.name}.json").unlink(missing_ok=True)


@contextmanager
def registry() -> Iterator[dict[str, Record]]:
    """All records by name, with other processes kept out."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        records = [
            msgspec.json.decode(path.read_bytes(), type=Record, dec_hook=lambda type_, value: type_(value))
            for path in _FOLDER.glob("*.json")
        ]
        yield {record.name: record for record in records}


def this_process() -> Process:
    """The record of the running process."""
    return Process.of("owner", os.getpid())
