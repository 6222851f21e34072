"""Paths into a model: dotted names with indices, `applicant.children[1].name`, as layout bindings write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Step = str | int
_STEP = re.compile(r"([^.\[\]]+)|\[(\d{1,6})\]")
_WHOLE = re.compile(r"[^.\[\]]+(\[\d{1,6}\])*(\.[^.\[\]]+(\[\d{1,6}\])*)*")
MAX_LENGTH = 1000


class PathError(ValueError):
    """A path is not written as one, or does not fit the model."""


def parse(path: str) -> tuple[Step, ...]:
    """The steps of `path`: names and indices. Raises `PathError`."""
    if len(path) > MAX_LENGTH or not _WHOLE.fullmatch(path):
        raise PathError(f"{path[:60]!r} is not a path")
    return tuple(match[1] if match[1] is not None else int(match[2]) for match in _STEP.finditer(path))


def join(steps: tuple[Step, ...] | list[Step]) -> str:
    """The path of `steps`; the inverse of `parse`."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def get(model: Any, path: str) -> Any:
    """The value at `path`, or None when any part of it is absent."""
    value = model
    for step in parse(path):
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return None
            value = value[step]
        else:
            if not isinstance(value, dict):
                return None
            value = value.get(step)
    return value


def put(model: dict[str, Any], path: str, value: Any) -> None:
    """Set `path` to `value`, making absent parents; None removes the member.

    A list grows by one when the index is its length. Raises `PathError` when the path runs through something that is
    not an object or list, or beyond the end of a list.
    """
    steps = parse(path)
    if value is None:
        _remove(model, steps)
        return
    here: Any = model
    for position, step in enumerate(steps):
        last = position == len(steps) - 1
        fresh: Any = value if last else ([] if isinstance(steps[position + 1], int) else {})
        if isinstance(step, int):
            if not isinstance(here, list) or step > len(here):
                raise PathError(f"{join(steps[: position + 1])} does not exist")
            if step == len(here):
                here.append(fresh)
            elif last or here[step] is None:
                here[step] = fresh
            here = here[step]
        else:
            if not isinstance(here, dict):
                raise PathError(f"{join(steps[:position])} has no members")
            if last or here.get(step) is None:
                here[step] = fresh
            here = here[step]


def _remove(model: Any, steps: tuple[Step, ...]) -> None:
    here = model
    for step in steps[:-1]:
        if isinstance(step, int):
            if not isinstance(here, list) or step >= len(here):
                return
            here = here[step]
        else:
            if not isinstance(here, dict) or step not in here:
                return
            here = here[step]
    last = steps[-1]
    if isinstance(last, int):
        if isinstance(here, list) and last < len(here):
            del here[last]
    elif isinstance(here, dict):
        here.pop(last, None)


def expand(model: Any, path: str) -> list[str]:
    """Every concrete path that a binding without indices stands for: one per row of each list it runs through.

    `children.name` gives `children[0].name`, `children[1].name` … A path that is absent in the model but runs through
    no list is given as it stands.
    """
    return [join(list(steps)) for steps in _expand(model, parse(path), ())]


def _expand(value: Any, rest: tuple[Step, ...], done: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    if not rest:
        yield done
        return
    if isinstance(value, list) and not isinstance(rest[0], int):
        for index, item in enumerate(value):
            yield from _expand(item, rest, (*done, index))
        return
    step = rest[0]
    if isinstance(step, int):
        child = value[step] if isinstance(value, list) and step < len(value) else None
    else:
        child = value.get(step) if isinstance(value, dict) else None
    yield from _expand(child, rest[1:], (*done, step))


def without_indices(path: str) -> str:
    """`children[1].name` as a binding: `children.name`."""
    return re.sub(r"\[\d+\]", "", path)


def from_pointer(steps: list[Step] | tuple[Step, ...]) -> str:
    """The path of JSON Pointer steps that are already unescaped."""
    return join(list(steps))
