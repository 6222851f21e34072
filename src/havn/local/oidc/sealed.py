"""Values that travel through the browser and come back unread and unchanged: requests under way, and codes.

Encrypted and authenticated (Fernet), so that an address never shows who is signing in, and nothing is stored here.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TypeVar

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from havn.kit.clock import Clock

T = TypeVar("T")


class Seal:
    """Seals and opens values of one purpose; another purpose's are refused."""

    def __init__(self, secret: str, purpose: str, *, seconds: int, clock: Clock) -> None:
        key = hashlib.sha256(f"{purpose}:{secret}".encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))
        self._seconds = seconds
        self._clock = clock

    def seal(self, value: msgspec.Struct) -> str:
        """`value` as text that only we can open."""
        now = int(self._clock().timestamp())
        return self._fernet.encrypt_at_time(msgspec.json.encode(value), now).decode()

    def open(self, text: str, type_: type[T]) -> T | None:
        """The value, or None when the text is not ours, was changed, or is too old."""
        if len(text) > 16_000:
            return None
        try:
            data = self._fernet.decrypt_at_time(text.encode(), self._seconds, int(self._clock().timestamp()))
            return msgspec.json.decode(data, type=type_)
        except (InvalidToken, msgspec.MsgspecError, UnicodeEncodeError):
            return None
