"""What can be wrong with a process file, and why no next element can be found."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong in the file. `line` counts from 1."""

    code: str
    message: str
    line: int
    element: str | None = None
    """Id of the element it is about."""
    severity: str = "error"
    column: int = 0


class ProcessError(ValueError):
    """The file is no process that can be walked; `faults` holds every reason."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"line {fault.line}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)


class RoutingError(ValueError):
    """From here the process has no next element, or more than one."""
