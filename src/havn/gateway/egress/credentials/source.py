"""Where secrets come from: a port, and the folder of files that the embedded platform and Kubernetes both fill."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Protocol

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_OWNER = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_MAX_SECRET = 64 * 1024
_SHORT_SECONDS = 5.0


class SecretMissing(Exception):
    """There is no such secret for this app."""


class SecretsAway(Exception):
    """The store cannot be read just now."""


class SecretSource(Protocol):
    """Secrets by app and name."""

    async def get(self, org: str, app: str, name: str) -> str:
        """The secret as it is now. Raises `SecretMissing`, `SecretsAway`."""
        ...


class FolderSecrets:
    """Files `folder/{org}/{app}.{name}`; read at use, remembered for five seconds, so a new value is soon in use.

    The name of the file is also the key of a Kubernetes Secret, which has no folders.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[tuple[str, str, str], tuple[float, str]] = {}

    async def get(self, org: str, app: str, name: str) -> str:
        """See `SecretSource`."""
        key, now = (org, app, name), asyncio.get_running_loop().time()
        known = self._known.get(key)
        if known is not None and now < known[0]:
            return known[1]
        if not (_OWNER.fullmatch(org) and _OWNER.fullmatch(app) and _NAME.fullmatch(name)):
            raise SecretMissing(name)
        self._known.pop(key, None)
        if not self._folder.is_dir():
            raise SecretsAway(name)
        try:
            with (self._folder / org / f"{app}.{name}").open("rb") as file:
                value = file.read(_MAX_SECRET).decode().rstrip("\r\n")
        except FileNotFoundError:
            raise SecretMissing(name) from None
        except (OSError, UnicodeDecodeError) as error:
            raise SecretsAway(name) from error
        if not value:
            raise SecretMissing(name)
        self._known[key] = (now + _SHORT_SECONDS, value)
        return value

    def forget(self) -> None:
        """Read every secret anew at its next use."""
        self._known.clear()
