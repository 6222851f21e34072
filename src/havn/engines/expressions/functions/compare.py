"""Comparisons: equals, the four orders, and `compare` with its operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from havn.engines.expressions import dates
from havn.engines.expressions.functions.define import Function, function
from havn.engines.expressions.values import Number, to_number, to_string


@function("equals", "a:string b:string", "Whether both are the same text; null equals null.", returns="boolean")
def _equals(a: str | None, b: str | None) -> bool:
    return a == b


@function("notEquals", "a:string b:string", "The opposite of equals.", returns="boolean")
def _not_equals(a: str | None, b: str | None) -> bool:
    return a != b


@function("greaterThan", "a:number b:number", "Whether a > b; false when either is null.", returns="boolean")
def _greater(a: Number | None, b: Number | None) -> bool:
    return a is not None and b is not None and a > b


@function("greaterThanEq", "a:number b:number", "Whether a ≥ b; false when either is null.", returns="boolean")
def _greater_eq(a: Number | None, b: Number | None) -> bool:
    return a is not None and b is not None and a >= b


@function("lessThan", "a:number b:number", "Whether a < b; false when either is null.", returns="boolean")
def _less(a: Number | None, b: Number | None) -> bool:
    return a is not None and b is not None and a < b


@function("lessThanEq", "a:number b:number", "Whether a ≤ b; false when either is null.", returns="boolean")
def _less_eq(a: Number | None, b: Number | None) -> bool:
    return a is not None and b is not None and a <= b


def _of_numbers(decide: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda a, b: decide(to_number(a), to_number(b))


def _of_dates(decide: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(a: Any, b: Any) -> bool:
        both = dates.pair(a, b)
        return both is not None and decide(*both)

    return compare


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda a, b: to_string(a) == to_string(b),
    "greaterThan": _of_numbers(_greater.run),
    "greaterThanEq": _of_numbers(_greater_eq.run),
    "lessThan": _of_numbers(_less.run),
    "lessThanEq": _of_numbers(_less_eq.run),
    "isBefore": _of_dates(lambda a, b: a < b),
    "isBeforeEq": _of_dates(lambda a, b: a <= b),
    "isAfter": _of_dates(lambda a, b: a > b),
    "isAfterEq": _of_dates(lambda a, b: a >= b),
    "isSameDay": dates.same_day,
}
"""What `compare` can be asked."""


def _compare_faults(arguments: Sequence[Any]) -> tuple[int, str] | None:
    place = 1
    if len(arguments) == 4:
        if arguments[1] != "not":
            return 2, 'the second of four arguments to compare is the word "not"'
        place = 2
    operator = arguments[place]
    if not isinstance(operator, str) or operator not in OPERATORS:
        told = "an expression" if isinstance(operator, list) else repr(operator)
        return place + 1, f"compare has no operator {told}, only {', '.join(OPERATORS)}"
    return None


@function(
    "compare",
    "a:any operator:any b:any c:any?",
    'Compare two values by an operator; "not" may stand before it.',
    returns="boolean",
    faults=_compare_faults,
)
def _compare(a: Any, *rest: Any) -> bool:
    if len(rest) == 3:
        return not OPERATORS[rest[1]](a, rest[2])
    return OPERATORS[rest[0]](a, rest[1])


FUNCTIONS: tuple[Function, ...] = (_equals, _not_equals, _greater, _greater_eq, _less, _less_eq, _compare)
