"""Which state folder a command means, and the platform that runs from it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from havn.cli.output import Failure

if TYPE_CHECKING:
    from havn.local.reach import Reach


def state_folder(given: Path | None) -> Path:
    """The folder that was given, or that `HAVN_STATE` names, or `.havn` here."""
    return given or Path(os.environ.get("HAVN_STATE", ".havn"))


def reach(given: Path | None) -> Reach:
    """How to reach the platform that runs from the folder. Raises `Failure` when none does."""
    from havn.local import reach as reaching

    folder = state_folder(given)
    found = reaching.find(folder)
    if found is None:
        raise Failure(f"No platform runs from {folder.absolute()}: start one with `havn up`, or say --state.")
    return found
