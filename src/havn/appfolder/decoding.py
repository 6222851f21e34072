"""Decoding a document into a type, with every mistake reported at its own line and column."""

from __future__ import annotations

import copy
import re
from typing import Any, TypeVar

import msgspec

from havn.appfolder.files import Files
from havn.appfolder.jsonc import Document, PathStep

T = TypeVar("T")

MAX_MISTAKES = 30
_PROPERTY = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]")


def decode(files: Files, document: Document, kind: type[T], code: str, extra: dict[str, Any] | None = None) -> T | None:
    """The document as `kind`; None when nothing of it can be used.

    Each mistake is reported as an error with `code`, and decoding goes on without the value that is wrong.
    """
    if not isinstance(document.value, dict):
        files.report("error", code, "The file is not an object.", document.file, document.place())
        return None
    value = {**(extra or {}), **document.value}
    copied = False
    for _ in range(MAX_MISTAKES):
        try:
            return msgspec.convert(value, kind)
        except (msgspec.ValidationError, ValueError) as error:
            path = error_path(str(error))
            text = error_text(str(error))
            message = f"This cannot be used: {text}."
            files.report("error", code, message, document.file, document.place(*_original(document, value, path)))
            if not copied:
                value, copied = copy.deepcopy(value), True
            if not path or not _remove(value, path):
                return None
    return None


def _original(document: Document, value: Any, path: tuple[PathStep, ...]) -> tuple[PathStep, ...]:
    """The path in the file of what is at `path` now, when earlier items of a list were taken out."""
    found: list[PathStep] = []
    original: Any = document.value
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            break
        if isinstance(step, int) and isinstance(original, list):
            same = [index for index, item in enumerate(original) if item == value]
            if same:
                step = same[0]  # noqa: PLW2901 - the step in the file
        found.append(step)
        try:
            original = original[step]
        except (KeyError, IndexError, TypeError):
            original = None
    return tuple(found)


def _remove(value: Any, path: tuple[PathStep, ...]) -> bool:
    for step in path[:-1]:
        value = value[step]
    try:
        del value[path[-1]]
    except (KeyError, IndexError, TypeError):
        return False
    return True


def error_path(message: str) -> tuple[PathStep, ...]:
    """The path that a decoder's message ends in (`… - at `$.dataTypes[0].id``)."""
    _, marked, where = message.rpartition(" - at `$")
    if not marked:
        return ()
    return tuple(match[1] if match[1] is not None else int(match[2]) for match in _PROPERTY.finditer(where))


def error_text(message: str) -> str:
    """The message without its path, in plain words."""
    text = message.rpartition(" - at `$")[0] or message
    for word, plain in _WORDS.items():
        text = text.replace(word, plain)
    return text.replace(", got ", " is expected here, not ").removeprefix("Expected ").replace(" | ", " or ")


_WORDS = {
    "`str`": "a text",
    "`int`": "a whole number",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "an object",
    "`null`": "null",
    "`float`": "a number",
    "`datetime`": "a date and time",
}
