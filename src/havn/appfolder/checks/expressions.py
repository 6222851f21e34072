"""Expressions wherever they may stand: their text, and the components, paths and data types that they name."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from havn.appfolder.checks.schema import names_of
from havn.appfolder.checks.subject import Subject
from havn.appfolder.jsonc import Document, PathStep
from havn.engines import expressions

_CODES = {
    "not_an_expression": "expression.syntax",
    "unknown_function": "expression.function-unknown",
    "arity": "expression.arguments",
    "literal_wanted": "expression.arguments",
    "too_deep": "expression.syntax",
    "too_large": "expression.syntax",
}


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Where an expression stands."""

    data_type: str | None
    """The default data type there; None when it is not known."""
    components: Collection[str] | None = None
    """Ids that `component` can look up; None where there is no layout."""
    pages: Collection[str] | None = None


def check(subject: Subject, document: Document, path: tuple[PathStep, ...], raw: Any, scope: Scope) -> None:
    """Report everything wrong with a value that may be an expression."""
    if not isinstance(raw, list):
        return
    for fault in expressions.faults(raw):
        subject.error(_CODES[fault.code], _sentence(fault.message), document, (*path, *fault.path))
    for place, name, arguments in expressions.calls(raw):
        _names(subject, document, (*path, *place), name, arguments, scope)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _names(
    subject: Subject, document: Document, path: tuple[PathStep, ...], name: str, arguments: list[Any], scope: Scope
) -> None:
    if not arguments or not isinstance(arguments[0], str):
        return
    asked = arguments[0]
    if name in ("component", "displayValue") and scope.components is not None:
        if asked not in scope.components:
            subject.error(
                "expression.component-unknown",
                f"There is no component {asked!r} in this layout set.",
                document,
                (*path, 1),
            )
    elif name == "linkToComponent" and len(arguments) > 1 and isinstance(arguments[1], str):
        if scope.components is not None and arguments[1] not in scope.components:
            subject.error(
                "expression.component-unknown",
                f"There is no component {arguments[1]!r} in this layout set.",
                document,
                (*path, 2),
            )
    elif name == "linkToPage" and len(arguments) > 1 and isinstance(arguments[1], str):
        if scope.pages is not None and arguments[1] not in scope.pages:
            subject.error(
                "expression.page-unknown",
                f"There is no page {arguments[1]!r} in this layout set.",
                document,
                (*path, 2),
            )
    elif name == "dataModel":
        _data_model(subject, document, path, arguments, scope)
    elif name == "countDataElements" and asked not in subject.data_types and subject.has_metadata:
        subject.error(
            "expression.data-type-unknown",
            f"There is no data type {asked!r} in the application metadata.",
            document,
            (*path, 1),
        )


def _data_model(
    subject: Subject, document: Document, path: tuple[PathStep, ...], arguments: list[Any], scope: Scope
) -> None:
    data_type = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], str) else scope.data_type
    if data_type is None:
        return
    if data_type not in subject.data_types and subject.has_metadata:
        subject.error(
            "expression.data-type-unknown",
            f"There is no data type {data_type!r} in the application metadata.",
            document,
            (*path, 2),
        )
        return
    schema = subject.schemas.get(data_type)
    if schema is None:
        return
    found = schema.find(names_of(arguments[0]))
    if not found.exists:
        hint = f"Did you mean {found.near!r}?" if found.near else ""
        subject.error(
            "expression.path-unknown",
            f"The model {data_type!r} has no {arguments[0]!r}: {found.missing!r} is not in its schema.",
            document,
            (*path, 1),
            hint=hint,
        )


def places(raw: Any, pattern: str) -> Iterator[tuple[tuple[PathStep, ...], Any]]:
    """The values in `raw` at a dotted pattern, with their paths; `*` stands for every member or item."""
    yield from _places(raw, pattern.split("."), ())


def _places(raw: Any, parts: list[str], path: tuple[PathStep, ...]) -> Iterator[tuple[tuple[PathStep, ...], Any]]:
    if not parts:
        yield path, raw
        return
    first, rest = parts[0], parts[1:]
    if first == "*":
        items: Any = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
        for name, value in items:
            yield from _places(value, rest, (*path, name))
    elif isinstance(raw, dict) and first in raw:
        yield from _places(raw[first], rest, (*path, first))
