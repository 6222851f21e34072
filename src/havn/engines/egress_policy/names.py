"""Host names and paths: which forms are accepted at all, so that what was matched is also what is reached."""

from __future__ import annotations

import re

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# What URL readers take for an IPv4 address: a name whose last label is a number, decimal, octal or hexadecimal.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ESCAPED = re.compile(r"%(2e|2f|5c)", re.IGNORECASE)
_DECODED = {"2e": ".", "2f": "/", "5c": "/"}


def host_fault(host: str) -> str | None:
    """Why `host` is not a plain lower-case DNS name of at least two labels; None when it is."""
    if not host:
        return "it is empty"
    if not host.isascii():
        return "it must be written in its ASCII form (xn--…)"
    if "@" in host:
        return "it holds a user name"
    if ":" in host or host.startswith("["):
        return "addresses are not allowed, only names"
    if host.endswith("."):
        return "it ends in a dot"
    if len(host) > 253:
        return "it is too long"
    if host != host.lower():
        return "it must be in lower case"
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return "addresses are not allowed, only names"
    if any(_LABEL.fullmatch(label) is None for label in labels):
        return "it is not a DNS name"
    if len(labels) < 2:
        return "it has no domain"
    return None


def pattern_fault(pattern: str) -> str | None:
    """As `host_fault`, for a rule: its first label may be a wildcard when two more follow."""
    if not pattern.startswith("*."):
        return "a wildcard may only be the whole first label" if "*" in pattern else host_fault(pattern)
    rest = pattern[2:]
    if "*" in rest:
        return "a wildcard may only be the whole first label"
    fault = host_fault(rest)
    return "a wildcard needs two labels after it" if fault == "it has no domain" else fault


def path_fault(target: str) -> str | None:
    """Why the path of a request target cannot be matched safely; None when it can.

    Two readers agree on a path only when it holds no dot segments, escaped or not, no backslash and no control byte.
    """
    path = target.partition("?")[0]
    if not path.startswith("/"):
        return "it does not begin with a slash"
    if "\\" in path or "#" in target or any(ord(mark) < 0x21 or ord(mark) == 0x7F for mark in target):
        return "it holds characters that must be escaped"
    plain = _ESCAPED.sub(lambda match: _DECODED[match[1].lower()], path) if "%" in path else path
    if "/." in plain and any(part.partition(";")[0] in (".", "..") for part in plain.split("/")):
        return "it holds dot segments"
    return None


def under(target: str, prefixes: tuple[str, ...]) -> bool:
    """Whether the path of `target` lies under one of `prefixes`, by whole segments; no prefixes: any path does."""
    if not prefixes:
        return True
    path = target.partition("?")[0]
    return any(
        path == prefix or path.startswith(prefix if prefix.endswith("/") else prefix + "/") for prefix in prefixes
    )
