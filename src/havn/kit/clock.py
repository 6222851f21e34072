"""Time as an argument: code that needs "now" takes a `Clock`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present moment, always with zone UTC."""


def system_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)
