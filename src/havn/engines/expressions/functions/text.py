"""Text. Lengths and places count UTF-16 code units, as in the browser and in .NET: an emoji counts two."""

from __future__ import annotations

from havn.engines.expressions.errors import EvaluationError
from havn.engines.expressions.functions.define import Function, function
from havn.engines.expressions.values import Number

MAX_TEXT = 100_000
"""Characters in a text that a function makes."""


def _units(value: str) -> int:
    return len(value) + sum(1 for character in value if character > "\uffff")


@function("concat", "part:string*", "All parts in a row; null is empty.", returns="string")
def _concat(*parts: str | None) -> str:
    return _bounded("".join(part for part in parts if part is not None))


def _bounded(value: str) -> str:
    if len(value) > MAX_TEXT:
        raise EvaluationError(f"the text is longer than {MAX_TEXT} characters")
    return value


@function(
    "contains", "text:string part:string", "Whether part is in text; false when either is null.", returns="boolean"
)
def _contains(text: str | None, part: str | None) -> bool:
    return text is not None and part is not None and part in text


@function("notContains", "text:string part:string", "The opposite; true when either is null.", returns="boolean")
def _not_contains(text: str | None, part: str | None) -> bool:
    return text is None or part is None or part not in text


@function("startsWith", "text:string part:string", "False when either is null.", returns="boolean")
def _starts_with(text: str | None, part: str | None) -> bool:
    return text is not None and part is not None and text.startswith(part)


@function("endsWith", "text:string part:string", "False when either is null.", returns="boolean")
def _ends_with(text: str | None, part: str | None) -> bool:
    return text is not None and part is not None and text.endswith(part)


@function(
    "commaContains",
    "list:string part:string",
    "Whether part is one of the entries of a comma-separated text; space around entries is ignored.",
    returns="boolean",
)
def _comma_contains(list_: str | None, part: str | None) -> bool:
    return list_ is not None and part is not None and part in [entry.strip() for entry in list_.split(",")]


@function("stringLength", "text:string", "The length; 0 for null.", returns="number")
def _length(text: str | None) -> int:
    return 0 if text is None else _units(text)


@function("stringIndexOf", "text:string part:string", "Where part begins, from 0; null when absent.", returns="number")
def _index_of(text: str | None, part: str | None) -> int | None:
    if not text or not part:
        return None
    found = text.find(part)
    return None if found < 0 else _units(text[:found])


@function(
    "stringSlice",
    "text:string start:number end:number?",
    "The part from start up to end; negative places count from the end. A null place is an error.",
    returns="string",
)
def _slice(text: str | None, start: Number | None, *end: Number | None) -> str | None:
    if start is None or (end and end[0] is None):
        raise EvaluationError("a place in stringSlice is null: guard against it, for instance after stringIndexOf")
    if text is None:
        return None
    first, last = int(start), int(end[0]) if end and end[0] is not None else None
    if text.isascii() or max(text) <= "\uffff":
        return text[first:last]
    encoded = text.encode("utf-16-le", "surrogatepass")
    length = len(encoded) // 2
    begin, stop, _ = slice(first, last).indices(length)
    return encoded[2 * begin : 2 * max(begin, stop)].decode("utf-16-le", "replace")


@function(
    "stringReplace",
    "text:string search:string with:string",
    "Every search replaced; a null replacement removes. Null when text or search is null or empty.",
    returns="string",
)
def _replace(text: str | None, search: str | None, replacement: str | None) -> str | None:
    if not text or not search:
        return None
    new = replacement or ""
    if len(text) + text.count(search) * (len(new) - len(search)) > MAX_TEXT:
        raise EvaluationError(f"the text is longer than {MAX_TEXT} characters")
    return text.replace(search, new)


@function("lowerCase", "text:string", "In small letters.", returns="string")
def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


@function("upperCase", "text:string", "In capital letters.", returns="string")
def _upper(text: str | None) -> str | None:
    return None if text is None else text.upper()


@function("lowerCaseFirst", "text:string", "The first letter small.", returns="string")
def _lower_first(text: str | None) -> str | None:
    return None if text is None else text[:1].lower() + text[1:]


@function("upperCaseFirst", "text:string", "The first letter capital.", returns="string")
def _upper_first(text: str | None) -> str | None:
    return None if text is None else text[:1].upper() + text[1:]


FUNCTIONS: tuple[Function, ...] = (
    _concat,
    _contains,
    _not_contains,
    _starts_with,
    _ends_with,
    _comma_contains,
    _length,
    _index_of,
    _slice,
    _replace,
    _lower,
    _upper,
    _lower_first,
    _upper_first,
)
