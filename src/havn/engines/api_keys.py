"""Managed API keys: `havn_<prefix>_<secret>_<checksum>`, made, recognised and compared. Pure.

The prefix finds the key in a table and may be shown. The checksum (CRC-32 of what stands before it) lets scanners of
public code tell a leaked key from a lookalike without asking anybody, and spares a look-up for mistyped ones.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from typing import NamedTuple

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PREFIX_BYTES, SECRET_BYTES, SALT_BYTES = 8, 32, 16
PATTERN = re.compile(r"havn_([0-9A-Za-z]{11})_([0-9A-Za-z]{43})_([0-9A-Za-z]{6})")
LENGTH = len("havn_") + 11 + 1 + 43 + 1 + 6


class ParsedKey(NamedTuple):
    """A key whose form and checksum are right, which says nothing about whether anybody knows it."""

    prefix: str
    text: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"<key {self.prefix}>"


def make(random_prefix: bytes, random_secret: bytes) -> ParsedKey:
    """A key from 8 and 32 fresh random bytes."""
    if len(random_prefix) != PREFIX_BYTES or len(random_secret) != SECRET_BYTES:
        raise ValueError("a key is made of 8 and 32 random bytes")
    prefix = _base62(random_prefix, 11)
    body = f"havn_{prefix}_{_base62(random_secret, 43)}"
    return ParsedKey(prefix, f"{body}_{_checksum(body)}")


def parse(text: str) -> ParsedKey | None:
    """The key in `text`; None when it is not one of ours or was mistyped."""
    if len(text) != LENGTH or (match := PATTERN.fullmatch(text)) is None:
        return None
    body, _, checksum = text.rpartition("_")
    return ParsedKey(match[1], text) if checksum == _checksum(body) else None


def digest(key: ParsedKey, salt: bytes) -> bytes:
    """What is stored of a key: HMAC-SHA-256 under its own salt.

    A slow password hash would buy nothing: it makes guessing costly, and nobody guesses one of 2^256 secrets, while
    every request would pay. The salt keeps two databases from showing that they hold the same key.
    """
    return hmac.digest(salt, key.text.encode(), hashlib.sha256)


def matches(key: ParsedKey, salt: bytes, stored: bytes) -> bool:
    """Whether `stored` is the digest of `key`, compared in constant time."""
    return hmac.compare_digest(digest(key, salt), stored)


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()).to_bytes(4, "big"), 6)


def _base62(data: bytes, width: int) -> str:
    number = int.from_bytes(data, "big")
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
