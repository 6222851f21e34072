"""The app's own secrets (`havn secret set`), for its code: files in the folder that its deployment was given.

They are read when they are asked for, so that a file that was replaced is used at once and none is kept in memory.
"""

from __future__ import annotations

import re
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
# The deployment's own: it proves who the app is, and is no business of the app's code.
_OURS = frozenset(("platform-access-key",))


class NoSuchSecret(LookupError):
    """The deployment was not given such a secret; the message says how to set it."""


class Secrets:
    """Secrets by name; None: there is no folder of them."""

    def __init__(self, folder: str | None) -> None:
        self._folder = None if folder is None else Path(folder)

    def get(self, name: str) -> str:
        """The value. Raises `NoSuchSecret`."""
        if self._folder is not None and _NAME.fullmatch(name) and name not in _OURS:
            try:
                return (self._folder / name).read_text(encoding="utf-8")
            except (FileNotFoundError, IsADirectoryError):
                pass
        raise NoSuchSecret(f"this deployment has no secret {name[:63]!r}: store it with `havn secret set`")
