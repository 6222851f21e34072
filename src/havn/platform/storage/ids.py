"""New guids: UUID version 7 (RFC 9562), so that what is made later sorts later and lies together."""

from __future__ import annotations

import secrets
from datetime import datetime
from uuid import UUID


def new_guid(now: datetime) -> str:
    """48 bits of milliseconds, then 74 random bits."""
    milliseconds = int(now.timestamp() * 1000)
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | secrets.randbits(12) << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    return str(UUID(int=value))
