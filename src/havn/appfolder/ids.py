"""Ids that also stand in file names and addresses: of apps, data types, texts, options, pages."""

from __future__ import annotations

import re

import msgspec

ORG = re.compile(r"[a-z][a-z0-9]{1,29}")
APP = re.compile(r"[a-z][a-z0-9-]{0,29}")
FILE_ID = re.compile(r"[^\W_][\w.*()+ ,&-]{0,127}")


class AppId(msgspec.Struct, frozen=True):
    """The org that owns an app, and the app's name."""

    org: str
    app: str

    @classmethod
    def parse(cls, text: str) -> AppId:
        """The id written as `org/app`. Raises `ValueError`."""
        org, slash, app = text.partition("/")
        if not slash:
            raise ValueError(f"an app is named ORG/APP, such as ttd/first, not {text[:80]!r}")
        found = cls(org, app)
        if fault := found.fault():
            raise ValueError(fault)
        return found

    def fault(self) -> str | None:
        """What is wrong with the id, as a sentence; None when it can be used."""
        if not ORG.fullmatch(self.org):
            return f"the org {self.org[:60]!r} is not 2 to 30 small letters and digits that begin with a letter"
        if not APP.fullmatch(self.app) or self.app.endswith("-"):
            return (
                f"the app {self.app[:60]!r} is not 1 to 30 small letters, digits and hyphens that begin with a letter "
                "and end with a letter or digit"
            )
        if self.app.startswith("havn-"):
            return f"the app {self.app!r} has a name that begins with havn-, which is kept for Havn's own parts"
        if self.org == self.app:
            return "an app may not be named like its org: their addresses would collide"
        return None

    def __str__(self) -> str:
        return f"{self.org}/{self.app}"


def is_file_id(text: str) -> bool:
    """Whether `text` may stand in a file name: no separator, no leading dot or underscore, at most 128 characters."""
    return FILE_ID.fullmatch(text) is not None and ".." not in text and not text.endswith((".", " "))
