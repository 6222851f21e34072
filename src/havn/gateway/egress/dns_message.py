"""DNS messages (RFC 1035), as much as a stub resolver needs: one question out, its addresses in. Pure."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

import msgspec

A, AAAA, _CNAME = 1, 28, 5
_MAX_RECORDS = 200
_MAX_ADDRESSES = 32


class BadAnswer(Exception):
    """The bytes are not an answer to the question."""


class DnsAnswer(msgspec.Struct, frozen=True):
    """What came back: `code` 0 is success, 3 no such name; `ttl` in seconds."""

    code: int
    truncated: bool
    addresses: tuple[str, ...] = ()
    ttl: int = 0


def question(number: int, name: str, kind: int) -> bytes:
    """A recursive query for `name` (ASCII, no final dot)."""
    labels = b"".join(bytes((len(label),)) + label.encode("ascii") for label in name.split("."))
    return struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def read(data: bytes, number: int, name: str, kind: int) -> DnsAnswer:
    """The answer to that very question. Raises `BadAnswer` for anything else."""
    try:
        return _read(data, number, name, kind)
    except (struct.error, IndexError, ValueError) as error:
        raise BadAnswer("The message is malformed.") from error


def _read(data: bytes, number: int, name: str, kind: int) -> DnsAnswer:
    given, flags, questions, answers, _, _ = struct.unpack_from("!HHHHHH", data)
    if given != number or not flags & 0x8000 or questions != 1:
        raise BadAnswer("It answers another question.")
    asked, at = _name(data, 12)
    if asked != name.lower() or struct.unpack_from("!HH", data, at) != (kind, 1):
        raise BadAnswer("It answers another question.")
    at += 4
    if flags & 0x0200:
        return DnsAnswer(flags & 15, truncated=True)
    aliases: dict[str, tuple[str, int]] = {}
    found: dict[str, list[tuple[str, int]]] = {}
    for _ in range(min(answers, _MAX_RECORDS)):
        owner, at = _name(data, at)
        type_, class_, ttl, length = struct.unpack_from("!HHIH", data, at)
        at += 10
        if at + length > len(data):
            raise BadAnswer("A record is longer than the message.")
        if class_ == 1 and type_ == _CNAME:
            aliases[owner] = (_name(data, at)[0], ttl)
        elif class_ == 1 and type_ == kind:
            raw = data[at : at + length]
            address = str(IPv4Address(raw) if kind == A else IPv6Address(raw))
            found.setdefault(owner, []).append((address, ttl))
        at += length
    # Only what the name itself, or an alias of it, leads to: a server may say more, which nobody asked.
    owner, lifetimes = asked, []
    for _ in range(16):
        if owner not in aliases:
            break
        owner, ttl = aliases[owner]
        lifetimes.append(ttl)
    records = found.get(owner, [])[:_MAX_ADDRESSES]
    lifetimes += [ttl for _, ttl in records]
    return DnsAnswer(flags & 15, False, tuple(address for address, _ in records), min(lifetimes, default=0))


def _name(data: bytes, at: int) -> tuple[str, int]:
    """A possibly compressed name in lower case, and where the bytes after it begin."""
    labels: list[str] = []
    end = -1
    total = 0
    for _ in range(130):
        length = data[at]
        if length >= 0xC0:
            end = at + 2 if end < 0 else end
            target = struct.unpack_from("!H", data, at)[0] & 0x3FFF
            if target >= at:
                raise BadAnswer("A name points forward.")
            at = target
        elif length > 63:
            raise BadAnswer("A label is too long.")
        elif length == 0:
            return ".".join(labels), (at + 1 if end < 0 else end)
        else:
            total += length + 1
            if total > 254 or at + 1 + length > len(data):
                raise BadAnswer("A name is too long.")
            labels.append(data[at + 1 : at + 1 + length].decode("ascii").lower())
            at += length + 1
    raise BadAnswer("A name has no end.")
