"""The embedded platform's secrets: one age-encrypted file, and the identity that opens it beside it (mode 0600).

Whoever copies `secrets.age` alone, in a backup for example, has nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pyrage


class SecretsError(Exception):
    """The secrets cannot be read; the message is a sentence with the next step."""


class SecretStore:
    """Named secrets in `folder`, made on first use; several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "secrets.age"
        self._lock_file = folder / "lock"
        self._identity_file = folder / "identity"
        with self._locked():
            self._identity = self._read_identity()
            self._values = self._read()

    def get(self, name: str, make: Callable[[], str] | None = None) -> str:
        """The secret `name`; made by `make` (default: 32 random bytes as text) and stored when it is not there."""
        return self.get_all({name: make or _password})[name]

    def get_all(self, wanted: Mapping[str, Callable[[], str]]) -> dict[str, str]:
        """Several at once, stored with one write."""
        if any(name not in self._values for name in wanted):
            with self._locked():
                self._values = self._read()
                missing = {name: make() for name, make in wanted.items() if name not in self._values}
                if missing:
                    self._write({**self._values, **missing})
        return {name: self._values[name] for name in wanted}

    def find(self, name: str) -> str | None:
        """The secret `name`, or None."""
        if name not in self._values:
            with self._locked():
                self._values = self._read()
        return self._values.get(name)

    def under(self, prefix: str) -> dict[str, str]:
        """Every secret whose name begins with `prefix`, as it is stored now."""
        with self._locked():
            self._values = self._read()
        return {name: value for name, value in self._values.items() if name.startswith(prefix)}

    def put(self, name: str, value: str) -> None:
        """Store a secret, replacing the one before."""
        with self._locked():
            self._write({**self._read(), name: value})

    def remove(self, name: str) -> None:
        """Forget a secret."""
        with self._locked():
            self._write({key: value for key, value in self._read().items() if key != name})

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock_file.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read_identity(self) -> pyrage.x25519.Identity:
        if not self._identity_file.exists():
            if self._file.exists():
                raise SecretsError(
                    f"{self._identity_file} is gone, and without it {self._file} cannot be opened: "
                    "restore it from a backup, or move the state folder away and begin anew."
                )
            write_private(self._identity_file, str(pyrage.x25519.Identity.generate()).encode())
        try:
            return pyrage.x25519.Identity.from_str(self._identity_file.read_text().strip())
        except (pyrage.IdentityError, OSError, ValueError) as error:
            raise SecretsError(f"{self._identity_file} cannot be read: restore it from a backup.") from error

    def _read(self) -> dict[str, str]:
        if not self._file.exists():
            return {}
        try:
            return msgspec.json.decode(pyrage.decrypt(self._file.read_bytes(), [self._identity]), type=dict[str, str])
        except (pyrage.DecryptError, msgspec.MsgspecError, OSError) as error:
            raise SecretsError(
                f"{self._file} cannot be opened with {self._identity_file}: restore both from the same backup."
            ) from error

    def _write(self, values: dict[str, str]) -> None:
        write_private(self._file, pyrage.encrypt(msgspec.json.encode(values), [self._identity.to_public()]))
        self._values = values


def write_folder(folder: Path, values: Mapping[str, str]) -> None:
    """Put `values` into files of `folder`, as a process finds its secrets; what else is there goes.

    Not synced to the disk: they are written again at the next start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for path in folder.iterdir():
        if path.is_file() and path.name not in values:
            path.unlink()
    for name, value in values.items():
        write_private(folder / name, value.encode(), durable=False)


def write_private(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    fresh.replace(path)


def _password() -> str:
    return secrets.token_urlsafe(32)
