"""The state folder (`.havn`): what lies where, who holds it, and a plain sentence for whatever is wrong with it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path
from typing import IO

VERSION = 1
_LEAST_FREE = 300 * 1024 * 1024


class StateError(Exception):
    """The folder cannot be used; the message is a sentence with the next step."""


class State:
    """A state folder, made on first use. `lock` before anything in it is changed by a running platform."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.postgres = self.folder / "postgres"
        self.secrets = self.folder / "secrets"
        self.run = self.folder / "run"
        self.logs = self.folder / "logs"
        self.blobs = self.folder / "blobs"
        self.registry = self.folder / "registry"
        self.releases = self.folder / "releases"
        self.cache = self.folder / "cache"
        self.testdata = self.folder / "testdata"
        self.orgs = self.folder / "orgs.json"
        self.token = self.folder / "token"
        self.egress = self.folder / "egress"
        self._lock: IO[str] | None = None

    def prepare(self) -> None:
        """Make what is missing and check what is there. Raises `StateError`."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # As root the database runs as another account, which must pass through.
            self.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
            self._check_version()
            for folder, mode in (
                (self.secrets, 0o700), (self.run, 0o700), (self.logs, 0o700), (self.blobs, 0o700),
                (self.registry, 0o755), (self.releases, 0o755), (self.cache, 0o755),
            ):  # fmt: skip
                folder.mkdir(exist_ok=True)
                folder.chmod(mode)
        except OSError as error:
            raise StateError(self._explain(error)) from error
        free = shutil.disk_usage(self.folder).free
        if free < _LEAST_FREE:
            raise StateError(
                f"Only {free // 2**20} MB are free on the disk of {self.folder}: make room for at least "
                f"{_LEAST_FREE // 2**20} MB, or choose another place with --state."
            )

    def inspect(self) -> None:
        """Check what is there, changing nothing. Raises `StateError`."""
        if not self.folder.exists():
            return
        try:
            if not self.folder.is_dir():
                raise StateError(f"{self.folder} is in the way, it is not a folder: choose another with --state.")
            self._check_version(make=False)
            for folder in (self.folder, *(each for each in self.folder.iterdir() if each != self.postgres)):
                if not os.access(folder, os.W_OK):
                    raise PermissionError(errno.EACCES, "not writable", str(folder))
        except OSError as error:
            raise StateError(self._explain(error)) from error

    def lock(self) -> None:
        """Hold the folder for this process. Raises `StateError` when another Havn does."""
        path = self.folder / "lock"
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise StateError(
                f"Havn already runs from {self.folder} (process {holder or 'unknown'}): use that one, or stop it first."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._lock = file

    def unlock(self) -> None:
        """Let the folder go."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def holder(self) -> int | None:
        """The process that holds the folder just now."""
        path = self.folder / "lock"
        try:
            with path.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read().strip() or 0) or None
        except (OSError, ValueError):
            return None
        return None

    def _check_version(self, *, make: bool = True) -> None:
        path = self.folder / "version"
        if not path.exists():
            if (self.postgres / "data").exists():
                raise StateError(
                    f"{self.folder} holds a database but does not say which Havn made it: "
                    f"restore {path.name}, or move the folder away and begin anew."
                )
            if make:
                path.write_text(f"{VERSION}\n")
            return
        text = path.read_text().strip()
        if not text.isdigit():
            raise StateError(
                f"{path} is damaged: it should hold the number {VERSION}. Put it right, or move the folder away."
            )
        if int(text) > VERSION:
            raise StateError(
                f"{self.folder} was made by a newer Havn (state version {text}, this one knows {VERSION}): "
                "use the newer Havn, or another folder with --state."
            )

    def _explain(self, error: OSError) -> str:
        place = error.filename or self.folder
        if error.errno == errno.ENOSPC:
            return f"The disk of {self.folder} is full: make room, or choose another place with --state."
        if error.errno in (errno.EACCES, errno.EPERM):
            return (
                f"{place} belongs to somebody else (an earlier run as root, perhaps): "
                f"run `sudo chown -R $USER {self.folder}`, or choose another place with --state."
            )
        if error.errno == errno.EROFS:
            return f"{self.folder} is on a read-only disk: choose another place with --state."
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            return f"{place} is in the way, it is not a folder: move it, or choose another place with --state."
        return f"{place} cannot be used ({error.strerror}): choose another place with --state."
