"""JSON as app folders have it: comments and trailing commas allowed, and every value's line and column known.

Files are decoded at full speed first; only a file that is not strict JSON, or a finding that needs a place, takes the
slower way through the parser here.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from typing import Any

import msgspec

MAX_DEPTH = 100
"""Nesting of lists and objects in one file."""

PathStep = str | int


class JsonError(ValueError):
    """The text is not JSON, even leniently read. Line and column count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class Document:
    """A decoded file: `value`, and the places of what is in it."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self._text = text
        self._index: _Parser | None = None
        self._lines: list[int] = []
        try:
            self.value: Any = msgspec.json.decode(text)
            strict = not _is_deep(self.value)
        except (msgspec.DecodeError, RecursionError, ValueError):
            strict = False
        if not strict:
            self._index = _Parser(text)
            self.value = self._index.document()

    def place(self, *path: PathStep) -> tuple[int, int]:
        """Line and column of the value at `path`, or of the deepest part of the path that exists."""
        return self._place(path, key=False)

    def key_place(self, *path: PathStep) -> tuple[int, int]:
        """As `place`, but of the member's name."""
        return self._place(path, key=True)

    def duplicates(self) -> Sequence[tuple[str, int, int]]:
        """Members named twice in one object: name, line, column."""
        index = self._parsed()
        return [(name, *self._line_column(offset)) for name, offset in index.duplicates]

    def _place(self, path: Sequence[PathStep], *, key: bool) -> tuple[int, int]:
        index = self._parsed()
        value: Any = index.value
        offset = index.start
        for number, step in enumerate(path):
            places = index.places.get(id(value))
            try:
                key_offset, value_offset = places[step]  # type: ignore[index]
                value = value[step]
            except (KeyError, IndexError, TypeError):
                break
            offset = key_offset if key and number == len(path) - 1 else value_offset
        return self._line_column(offset)

    def _parsed(self) -> _Parser:
        if self._index is None:
            self._index = _Parser(self._text)
            self._index.document()
        return self._index

    def _line_column(self, offset: int) -> tuple[int, int]:
        if not self._lines:
            self._lines = [0, *(match.end() for match in re.finditer("\n", self._text))]
        line = bisect.bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1


def _is_deep(value: Any) -> bool:
    """Whether a value is nested deeper than is allowed."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return False
    return True


_SPACE = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"((?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_WORD = re.compile(r"true|false|null")
_WORDS = {"true": True, "false": False, "null": None}
_NUMBER_LENGTH = 400


class _Parser:
    """A recursive reader that notes where every member and item begins."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.value: Any = None
        self.start = 0
        self.places: dict[int, Any] = {}
        """Id of an object or list to the offsets of what is in it. `value` keeps them all alive."""
        self.duplicates: list[tuple[str, int]] = []

    def document(self) -> Any:
        self.start = self._space(0)
        self.value, end = self._value(self.start, 0)
        end = self._space(end)
        if end < len(self.text):
            raise self._error("there is more after the end of the document", end)
        return self.value

    def _space(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        return match.end() if match else at

    def _value(self, at: int, depth: int) -> tuple[Any, int]:
        if at >= len(self.text):
            raise self._error("the document ends too early", at)
        first = self.text[at]
        if first == "{":
            return self._object(at, depth + 1)
        if first == "[":
            return self._list(at, depth + 1)
        if first == '"':
            return self._string(at)
        if match := _NUMBER.match(self.text, at):
            written = match[0]
            if len(written) > _NUMBER_LENGTH:
                raise self._error("the number is too long", at)
            return (float(written) if any(mark in written for mark in ".eE") else int(written)), match.end()
        if match := _WORD.match(self.text, at):
            return _WORDS[match[0]], match.end()
        raise self._error(f"a value cannot begin with {first!r}", at)

    def _string(self, at: int) -> tuple[str, int]:
        match = _STRING.match(self.text, at)
        if match is None:
            raise self._error("the text is not closed, or has a character that must be escaped", at)
        if "\\" not in match[1]:
            return match[1], match.end()
        try:
            return msgspec.json.decode(match[0]), match.end()
        except (msgspec.DecodeError, UnicodeError):
            raise self._error("the text has an escape that stands for no character", at) from None

    def _object(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        if depth > MAX_DEPTH:
            raise self._error(f"the document is nested deeper than {MAX_DEPTH} levels", at)
        made: dict[str, Any] = {}
        places: dict[str, tuple[int, int]] = {}
        here = self._space(at + 1)
        while self._peek(here, at) != "}":
            if self.text[here] != '"':
                raise self._error("a member's name in double quotes is expected", here)
            name, end = self._string(here)
            colon = self._space(end)
            if self._peek(colon, at) != ":":
                raise self._error(f"a colon is expected after {name[:40]!r}", colon)
            begin = self._space(colon + 1)
            value, end = self._value(begin, depth)
            if name in made:
                self.duplicates.append((name, here))
            made[name] = value
            places[name] = (here, begin)
            here = self._next(end, "}", at)
        self.places[id(made)] = places
        return made, here + 1

    def _list(self, at: int, depth: int) -> tuple[list[Any], int]:
        if depth > MAX_DEPTH:
            raise self._error(f"the document is nested deeper than {MAX_DEPTH} levels", at)
        made: list[Any] = []
        places: list[tuple[int, int]] = []
        here = self._space(at + 1)
        while self._peek(here, at) != "]":
            value, end = self._value(here, depth)
            made.append(value)
            places.append((here, here))
            here = self._next(end, "]", at)
        self.places[id(made)] = places
        return made, here + 1

    def _next(self, at: int, closing: str, opened: int) -> int:
        """Past a comma, or at the closing bracket."""
        here = self._space(at)
        found = self._peek(here, opened)
        if found == ",":
            return self._space(here + 1)
        if found != closing:
            raise self._error(f"a comma or {closing!r} is expected here", here)
        return here

    def _peek(self, at: int, opened: int) -> str:
        if at >= len(self.text):
            raise self._error(f"the {self.text[opened]!r} here is never closed", opened)
        return self.text[at]

    def _error(self, message: str, at: int) -> JsonError:
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + 1
        return JsonError(message, line, column)
