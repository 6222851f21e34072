"""One category of a request: reading what it names, and adding to it without touching the asker's own."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterable
from typing import TypeVar
from uuid import UUID

from havn.engines.xacml import Status, names
from havn.engines.xacml.model import AttributeKey, Bag
from havn.kit.problem import Problem

T = TypeVar("T")
Bags = dict[AttributeKey, Bag]


class Unanswerable(Exception):
    """A sub-request cannot be evaluated; it is answered Indeterminate with this status."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.status = Status(code=code, message=message)


def single(bags: Bags, wanted: Collection[str]) -> dict[str, str]:
    """The value of each of `wanted` that is there; one that has several different values names nothing."""
    found: dict[str, str] = {}
    for key, bag in bags.items():
        if key in wanted and isinstance(key, str) and bag:
            if len(bag) > 1 and len(set(bag)) > 1:
                raise Unanswerable(names.SYNTAX_ERROR, f"{key} has several values.")
            found[key] = str(bag[0])
    return found


def with_values(bags: Bags, added: Iterable[tuple[str, str]]) -> Bags:
    """A copy with more values; one that is there already is not doubled."""
    copied = dict(bags)
    for name, value in added:
        held = copied.get(name, ())
        if value not in held:
            copied[name] = (*held, value)
    return copied


def number(text: str, what: str) -> int:
    """A party's or user's id."""
    if not (text.isascii() and text.isdigit() and 0 < int(text[:11]) < 2**31):
        raise Unanswerable(names.SYNTAX_ERROR, f"The {what} is not a number.")
    return int(text)


def uuid(text: str, what: str) -> str:
    """A uuid in its usual form."""
    try:
        return str(UUID(text))
    except ValueError:
        raise Unanswerable(names.SYNTAX_ERROR, f"The {what} is not a uuid.") from None


async def known(asking: Awaitable[T | None]) -> T | None:
    """What register says; a number or uuid that it does not accept is somebody unknown."""
    try:
        return await asking
    except Problem as problem:
        if problem.status == 400:
            return None
        raise
