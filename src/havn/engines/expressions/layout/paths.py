"""Paths into a data model: dotted names with indices, and how a path without indices is read in a row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

Step = tuple[str, int | None]
Location = Mapping[tuple[str, ...], int]
"""The current row of each list: the names down to the list, and the index."""

_PART = re.compile(r"([^.\[\]]+)(?:\[(\d{1,6})\])?")
MAX_PATH = 1000


@lru_cache(maxsize=8192)
def parse(path: str) -> tuple[Step, ...] | None:
    """The names of `path`, each with its index or None; None when it is not written as a path."""
    if len(path) > MAX_PATH:
        return None
    steps = []
    for part in path.split("."):
        match = _PART.fullmatch(part)
        if match is None:
            return None
        steps.append((match[1], None if match[2] is None else int(match[2])))
    return tuple(steps)


def names(path: str) -> tuple[str, ...]:
    """The names alone."""
    return tuple(name for name, _ in parse(path) or ())


def location(path: str) -> dict[tuple[str, ...], int]:
    """The rows that a path with indices stands in: `a[1].b` stands in row 1 of `a`."""
    found = {}
    prefix: tuple[str, ...] = ()
    for name, index in parse(path) or ():
        prefix = (*prefix, name)
        if index is not None:
            found[prefix] = index
    return found


def locate(path: str, here: Location) -> str:
    """`path` with the indices of the current rows put in, as far as it runs through the same lists.

    From the first index that the path states itself, nothing more is put in.
    """
    steps = parse(path)
    if steps is None:
        return path
    return join(_indexed(steps, here))


def _indexed(steps: Sequence[Step], here: Location) -> list[Step]:
    placed: list[Step] = []
    prefix: tuple[str, ...] = ()
    stated = False
    for name, index in steps:
        prefix = (*prefix, name)
        if index is not None:
            stated = True
        elif not stated:
            index = here.get(prefix)  # noqa: PLW2901 - the step completed
        placed.append((name, index))
    return placed


def join(steps: Sequence[Step]) -> str:
    """The path that `steps` write."""
    return ".".join(name if index is None else f"{name}[{index}]" for name, index in steps)


def look_up(model: Any, path: str, here: Location) -> Any:
    """The value at `path` seen from `here`; None where anything on the way is absent."""
    steps = parse(path)
    if steps is None:
        return None
    value = model
    for name, index in _indexed(steps, here):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
        if index is not None:
            value = value[index] if isinstance(value, list) and index < len(value) else None
    return value
