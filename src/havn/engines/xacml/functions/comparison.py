"""Equality and order (core appendix A.3.1, A.3.6, A.3.8) and the logic of A.3.5."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from havn.engines.xacml import names, temporal
from havn.engines.xacml.errors import processing_error
from havn.engines.xacml.functions.registry import BOOLEAN, F1, F2, F3, INTEGER, STRING, Function, Type, define

EQUALITY = {
    names.STRING: F1 + "string-equal",
    names.BOOLEAN: F1 + "boolean-equal",
    names.INTEGER: F1 + "integer-equal",
    names.DOUBLE: F1 + "double-equal",
    names.DATE: F1 + "date-equal",
    names.TIME: F1 + "time-equal",
    names.DATE_TIME: F1 + "dateTime-equal",
    names.DAY_TIME_DURATION: F3 + "dayTimeDuration-equal",
    names.YEAR_MONTH_DURATION: F3 + "yearMonthDuration-equal",
    names.ANY_URI: F1 + "anyURI-equal",
    names.X500_NAME: F1 + "x500Name-equal",
    names.RFC822_NAME: F1 + "rfc822Name-equal",
    names.HEX_BINARY: F1 + "hexBinary-equal",
    names.BASE64_BINARY: F1 + "base64Binary-equal",
}
"""The equality function of each data type that has one."""

STRING_EQUAL_IGNORE_CASE = F3 + "string-equal-ignore-case"

_ORDERED = (names.INTEGER, names.DOUBLE, names.STRING, names.TIME, names.DATE, names.DATE_TIME)
_ORDERS = {
    "greater-than": (operator.gt, ">"),
    "greater-than-or-equal": (operator.ge, ">="),
    "less-than": (operator.lt, "<"),
    "less-than-or-equal": (operator.le, "<="),
}


def functions() -> Iterator[Function]:
    """The functions of this module."""
    for data_type, function_id in EQUALITY.items():
        kind = Type(data_type)
        if data_type == names.DOUBLE:
            yield define(function_id, (kind, kind), BOOLEAN, double_equal)
        else:
            yield define(function_id, (kind, kind), BOOLEAN, operator.eq, inline="({0} == {1})")
    yield define(
        STRING_EQUAL_IGNORE_CASE,
        (STRING, STRING),
        BOOLEAN,
        lambda a, b: a.lower() == b.lower(),
        inline="({0}.lower() == {1}.lower())",
    )
    for data_type in _ORDERED:
        kind = Type(data_type)
        for order, (call, sign) in _ORDERS.items():
            function_id = f"{F1}{kind}-{order}"
            yield define(function_id, (kind, kind), BOOLEAN, call, inline=f"({{0}} {sign} {{1}})")
    time = Type(names.TIME)
    yield define(F2 + "time-in-range", (time, time, time), BOOLEAN, time_in_range)
    yield define(F1 + "not", (BOOLEAN,), BOOLEAN, operator.not_, inline="(not {0})")
    yield define(F1 + "and", (), BOOLEAN, lambda *given: all(given), rest=BOOLEAN, lazy="and")
    yield define(F1 + "or", (), BOOLEAN, lambda *given: any(given), rest=BOOLEAN, lazy="or")
    yield define(F1 + "n-of", (INTEGER,), BOOLEAN, n_of, rest=BOOLEAN, fails=True, lazy="n-of")


def double_equal(a: float, b: float) -> bool:
    """Equality of doubles where NaN equals NaN, as the conformance suite has it (IIC350)."""
    return a == b or (a != a and b != b)  # noqa: PLR0124 - true of NaN alone


def n_of(wanted: int, *given: Any) -> bool:
    """Whether at least so many are true."""
    check_n_of(wanted, len(given))
    return bool(sum(given) >= wanted)


def check_n_of(wanted: int, given: int) -> None:
    """Refuse a number that can never be met, or is none."""
    if wanted < 0 or wanted > given:
        raise processing_error(f"n-of wants {wanted} of {given} arguments")


def time_in_range(value: temporal.Time, low: temporal.Time, high: temporal.Time) -> bool:
    """Whether a time lies in a range that may pass midnight; bounds without a zone have the value's (A.3.8)."""
    start = (low if low.zone is not None else temporal.Time(low.local, value.zone)).instant
    end = (high if high.zone is not None else temporal.Time(high.local, value.zone)).instant
    return (value.instant - start) % temporal.DAY <= (end - start) % temporal.DAY
