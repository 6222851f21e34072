"""Policy versions and the patterns that references match them with (core sections 5.12, 5.13)."""

from __future__ import annotations

import re

_VERSION = re.compile(r"(?:\d{1,9}\.){0,15}\d{1,9}", re.ASCII)
_PATTERN = re.compile(r"(?:(?:\d{1,9}|\*)\.){0,15}(?:\d{1,9}|\*|\+)", re.ASCII)


def is_version(text: str) -> bool:
    """Whether a text is a version: numbers with points."""
    return _VERSION.fullmatch(text) is not None


def is_pattern(text: str) -> bool:
    """Whether a text is a pattern: a version where * stands for one number and a last + for any rest."""
    return _PATTERN.fullmatch(text) is not None


def order(version: str) -> tuple[int, ...]:
    """A key that sorts versions: 1.10 after 1.9."""
    return tuple(int(part) for part in version.split("."))


def matches(version: str, pattern: str) -> bool:
    """Whether a version is one of those that a pattern describes."""
    return _compare(version, pattern) == 0


def accepts(version: str, *, exact: str | None, earliest: str | None, latest: str | None) -> bool:
    """Whether a version meets a reference's three constraints."""
    return (
        (exact is None or matches(version, exact))
        and (earliest is None or _compare(version, earliest) >= 0)
        and (latest is None or _compare(version, latest) <= 0)
    )


def _compare(version: str, pattern: str) -> int:
    numbers, parts = version.split("."), pattern.split(".")
    for index, part in enumerate(parts):
        if part == "+":
            return 0
        if index >= len(numbers):
            return -1
        if part != "*" and int(numbers[index]) != int(part):
            return 1 if int(numbers[index]) > int(part) else -1
    return 1 if len(numbers) > len(parts) else 0
