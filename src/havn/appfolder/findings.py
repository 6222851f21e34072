"""What reading and checking a folder finds: findings as data, and the error that carries them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

Severity = Literal["error", "warning"]


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One problem. `line` and `column` count from 1, and are 0 when the problem has no place inside the file."""

    severity: Severity
    code: str
    """Stable; each has a heading in the reference page on check codes."""
    message: str
    """One plain sentence."""
    file: str = ""
    """Path below the folder that was checked, with `/`; empty for the folder itself."""
    line: int = 0
    column: int = 0
    hint: str = ""
    """What to do about it; may be empty."""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return f"{place or '.'}: {self.severity}: {self.message} [{self.code}]"


class AppFolderError(Exception):
    """The folder cannot be used; `findings` holds every reason."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("; ".join(str(finding) for finding in findings))
        self.findings = tuple(findings)
