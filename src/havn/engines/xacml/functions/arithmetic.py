"""Numbers and dates: arithmetic of core appendix A.3.2, A.3.4 and A.3.7."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from havn.engines.xacml import limits, names, temporal
from havn.engines.xacml.errors import processing_error
from havn.engines.xacml.functions.registry import F1, F3, INTEGER, Function, Type, define

_DOUBLE = Type(names.DOUBLE)


def functions() -> Iterator[Function]:
    """The functions of this module."""
    yield define(F1 + "integer-add", (INTEGER, INTEGER), INTEGER, lambda *n: _bounded(sum(n)), rest=INTEGER, fails=True)
    yield define(F1 + "integer-subtract", (INTEGER, INTEGER), INTEGER, lambda a, b: _bounded(a - b), fails=True)
    yield define(F1 + "integer-multiply", (INTEGER, INTEGER), INTEGER, _multiply, rest=INTEGER, fails=True)
    yield define(F1 + "integer-divide", (INTEGER, INTEGER), INTEGER, _divide, fails=True)
    yield define(F1 + "integer-mod", (INTEGER, INTEGER), INTEGER, _modulo, fails=True)
    yield define(F1 + "integer-abs", (INTEGER,), INTEGER, abs)
    yield define(F1 + "double-add", (_DOUBLE, _DOUBLE), _DOUBLE, _add_doubles, rest=_DOUBLE)
    yield define(F1 + "double-subtract", (_DOUBLE, _DOUBLE), _DOUBLE, lambda a, b: a - b)
    yield define(F1 + "double-multiply", (_DOUBLE, _DOUBLE), _DOUBLE, lambda *n: math.prod(n), rest=_DOUBLE)
    yield define(F1 + "double-divide", (_DOUBLE, _DOUBLE), _DOUBLE, _divide_doubles, fails=True)
    yield define(F1 + "double-abs", (_DOUBLE,), _DOUBLE, abs)
    yield define(F1 + "round", (_DOUBLE,), _DOUBLE, lambda a: _whole(a, round))
    yield define(F1 + "floor", (_DOUBLE,), _DOUBLE, lambda a: _whole(a, math.floor))
    yield define(F1 + "double-to-integer", (_DOUBLE,), INTEGER, _to_integer, fails=True)
    yield define(F1 + "integer-to-double", (INTEGER,), _DOUBLE, _to_double, fails=True)

    day_time, year_month = Type(names.DAY_TIME_DURATION), Type(names.YEAR_MONTH_DURATION)
    date_time, date = Type(names.DATE_TIME), Type(names.DATE)
    for sign, word in ((1, "add"), (-1, "subtract")):
        yield define(
            f"{F3}dateTime-{word}-dayTimeDuration",
            (date_time, day_time),
            date_time,
            lambda at, by, sign=sign: temporal.DateTime(at.local + sign * by, at.zone),
        )
        yield define(
            f"{F3}dateTime-{word}-yearMonthDuration",
            (date_time, year_month),
            date_time,
            lambda at, by, sign=sign: temporal.DateTime(temporal.add_months(at, sign * by), at.zone),
        )
        yield define(
            f"{F3}date-{word}-yearMonthDuration",
            (date, year_month),
            date,
            lambda at, by, sign=sign: temporal.Date(temporal.add_months(at, sign * by), at.zone),
        )


def _bounded(value: int) -> int:
    if value.bit_length() > limits.INTEGER_BITS:
        raise processing_error("an integer becomes too large")
    return value


def _multiply(*values: int) -> int:
    product = 1
    for value in values:
        product = _bounded(product * value)
    return product


def _divide(a: int, b: int) -> int:
    if b == 0:
        raise processing_error("integer-divide by zero")
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _modulo(a: int, b: int) -> int:
    if b == 0:
        raise processing_error("integer-mod by zero")
    rest = abs(a) % abs(b)
    return -rest if a < 0 else rest


def _add_doubles(*values: float) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


def _divide_doubles(a: float, b: float) -> float:
    if b == 0:
        raise processing_error("double-divide by zero")
    return a / b


def _whole(value: float, rounding: Callable[[float], Any]) -> float:
    # Halves round to even, the default of IEEE 754; infinities and NaN stay what they are.
    return math.copysign(float(rounding(value)), value) if math.isfinite(value) and value else value


def _to_integer(value: float) -> int:
    if not math.isfinite(value):
        raise processing_error("double-to-integer of a number that is not finite")
    return int(value)


def _to_double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise processing_error("integer-to-double of a number outside the range of double") from None
