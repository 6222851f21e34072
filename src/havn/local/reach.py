"""How other commands reach the platform that runs from a state folder: a small file, there while it runs."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

_NAME = Path("run", "reach.json")


class Reach(msgspec.Struct, frozen=True):
    """The supervising process, the public port, the control plane's address, and the domain."""

    pid: int
    port: int
    console: str
    domain: str


def publish(folder: Path, reach: Reach) -> None:
    """Say that the platform can be reached."""
    path = folder / _NAME
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(reach))
    fresh.replace(path)


def withdraw(folder: Path) -> None:
    """Say that it no longer can."""
    with contextlib.suppress(OSError):
        (folder / _NAME).unlink()


def find(folder: Path) -> Reach | None:
    """How to reach the platform of `folder`, or None when none runs."""
    try:
        found = msgspec.json.decode((folder / _NAME).read_bytes(), type=Reach)
        # Left behind by a killed platform, it names a process that is gone.
        os.kill(found.pid, 0)
    except (OSError, msgspec.MsgspecError):
        return None
    return found
