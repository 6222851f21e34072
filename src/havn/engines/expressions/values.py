"""Values and their conversions: what each function does to its arguments before it works on them.

Values are those of JSON: None, bool, int, float, str, list and dict. The text `null` (any case) counts as None where
something other than "any value" is wanted. Numbers are exact integers below 1e21, IEEE doubles otherwise;
arithmetic is done in decimals, so that 0.1 + 0.2 is 0.3.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

import msgspec

from havn.engines.expressions.errors import EvaluationError

Number = int | float

_NUMBER = re.compile(r"[+-]?(\d+(\.\d+)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_NUMBER_LENGTH = 320
_SHOWN = 80


def shown(value: Any) -> str:
    """The value as JSON, shortened, for a message."""
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError):
        text = str(type(value).__name__)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def is_null(value: Any) -> bool:
    """Whether the value counts as none: None, or the text `null` in any case."""
    return value is None or (isinstance(value, str) and len(value) == 4 and value.lower() == "null")


def to_boolean(value: Any) -> bool | None:
    """True, False or None; also from `true`/`false` in any case, and 1 or 0 as number or text. Else an error."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        lower = value.lower()
        if lower == "true":
            return True
        if lower == "false":
            return False
        if lower == "null":
            return None
        number = parse_number(value)
    else:
        number = plain_number(value)
    if number == 1:
        return True
    if number == 0:
        return False
    raise EvaluationError(f"a yes or no was expected, not {shown(value)}")


def to_string(value: Any) -> str | None:
    """Text; numbers and booleans as JSON writes them, `TRUE` and `False` in small letters. Lists are an error."""
    if isinstance(value, str):
        if len(value) in (4, 5):
            lower = value.lower()
            if lower == "null":
                return None
            if lower in ("true", "false"):
                return lower
        return value
    if value is None:
        return None
    if value is True:
        return "true"
    if value is False:
        return "false"
    number = plain_number(value)
    if number is None:
        raise EvaluationError(f"a text was expected, not {shown(value)}")
    return number_text(number)


def to_number(value: Any) -> Number | None:
    """A number, or text that is wholly an integer, decimal or exponent form. Booleans and the rest are an error."""
    if value is None:
        return None
    if isinstance(value, str):
        if value.lower() == "null":
            return None
        number = parse_number(value)
    elif isinstance(value, bool):
        number = None
    else:
        number = plain_number(value)
    if number is None:
        raise EvaluationError(f"a number was expected, not {shown(value)}")
    return number


def plain_number(value: Any) -> Number | None:
    """A number of any Python kind as int or float, integral ones as int; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 1e21 else value
    if isinstance(value, Decimal):
        return from_decimal(value) if value.is_finite() else None
    return None


def parse_number(text: str) -> Number | None:
    """The number that `text` writes, or None."""
    if len(text) > _NUMBER_LENGTH or not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    if number and not -400 < number.adjusted() < 309:
        return 0 if number.adjusted() < 0 else None
    return from_decimal(number)


def from_decimal(number: Decimal) -> Number | None:
    """The exact integer below 1e21, else the nearest double; None beyond its range."""
    if number.adjusted() < 21 and number == number.to_integral_value():
        return int(number)
    nearest = float(number)
    return nearest if math.isfinite(nearest) else None


def to_decimal(number: Number) -> Decimal:
    """The number as it is written, so that 0.1 is a tenth."""
    return Decimal(number) if isinstance(number, int) else Decimal(repr(number))


def number_text(number: Number) -> str:
    """The number as JSON (ECMAScript) writes it: no trailing `.0`, exponents only below 1e-6 and from 1e21."""
    if isinstance(number, int):
        if -(10**21) < number < 10**21:
            return str(number)
        number = float(number)
    if number == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    assert isinstance(exponent, int)
    written = "".join(map(str, digits))
    point = len(written) + exponent
    if not -6 < point <= 21:
        mantissa = written[0] + (f".{written[1:]}" if len(written) > 1 else "")
        body = f"{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    elif point <= 0:
        body = f"0.{'0' * -point}{written}"
    elif exponent >= 0:
        body = written + "0" * exponent
    else:
        body = f"{written[:point]}.{written[point:]}"
    return f"-{body}" if sign else body
