"""Who changes something, for the audit log."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Author(msgspec.Struct, frozen=True):
    """Who changes something, from where, and when."""

    who: str
    address: str
    now: datetime
