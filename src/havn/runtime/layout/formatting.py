"""Numbers and dates between how they are stored and how they are read and typed.

`formatting` is the component's property of that name: react-number-format's settings under `number` (a pattern such
as `### ### ###`, or separators, decimals, prefix and suffix), or a `currency` or `unit` code for such settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

NBSP = "\u00a0"
_SPACES = re.compile(r"[\s\u00a0\u2009\u202f]")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)")
_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-"})
_CURRENCIES = {"NOK": "kr", "SEK": "kr", "DKK": "kr", "EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}
_UNITS: Mapping[str, str | Mapping[str, str]] = {
    "celsius": "°C", "centimeter": "cm", "day": {"nb": "døgn", "nn": "døgn", "en": "days"}, "degree": "°", "foot": "ft",
    "gram": "g", "hectare": "ha", "hour": {"nb": "timer", "nn": "timar", "en": "hr"}, "inch": "in", "kilogram": "kg",
    "kilometer": "km", "liter": "l", "meter": "m", "milliliter": "ml", "millimeter": "mm", "millisecond": "ms",
    "minute": "min", "month": {"nb": "md.", "nn": "md.", "en": "mths"}, "percent": "%", "second": "s",
    "week": {"nb": "uker", "nn": "veker", "en": "wks"}, "year": {"nb": "år", "nn": "år", "en": "yrs"},
}  # fmt: skip


class NumberFormat(msgspec.Struct, frozen=True):
    """How one number is written."""

    pattern: str | None = None
    """`#` stands for a digit; the value is then digits only, kept as text."""
    thousand: str = ""
    decimal: str = ","
    scale: int | None = None
    """At most this many decimals."""
    fixed: bool = False
    """Exactly `scale` decimals."""
    negative: bool = True
    prefix: str = ""
    suffix: str = ""

    def write(self, value: Any) -> str:
        """`value` as it is shown, without prefix and suffix; what is no number is given as it stands."""
        if value is None or value == "":
            return ""
        if self.pattern is not None:
            return _fill(self.pattern, str(value))
        number = to_decimal(value)
        if number is None:
            return str(value)
        if self.scale is not None:
            number = round(number, self.scale)
        whole, _, decimals = f"{abs(number):f}".partition(".")
        if self.scale is not None and self.fixed:
            decimals = decimals.ljust(self.scale, "0")
        else:
            decimals = decimals.rstrip("0")
        if self.thousand:
            whole = re.sub(r"(?<=\d)(?=(\d{3})+$)", self.thousand, whole)
        sign = "-" if number < 0 else ""
        return sign + whole + (self.decimal + decimals if decimals else "")

    def show(self, value: Any) -> str:
        """`value` with prefix and suffix, for reading."""
        written = self.write(value)
        return f"{self.prefix}{written}{self.suffix}" if written else ""

    def read(self, typed: str) -> str:
        """What was typed, brought to the form that a number is stored in; text that is no number comes back trimmed."""
        text = typed.strip()
        for affix in (self.prefix.strip(), self.suffix.strip()):
            if affix:
                text = text.removeprefix(affix).removesuffix(affix)
        if self.pattern is not None:
            literals = set(self.pattern) - {"#"}
            return "".join(sign for sign in _SPACES.sub("", text) if sign not in literals)
        number = _SPACES.sub("", text).translate(_MINUS)
        thousand = self.thousand.strip()
        if thousand in (".", ",", "'") and thousand != self.decimal:
            number = number.replace(thousand, "")
        # The last of the two signs is the decimal one when both stand there.
        comma, point = number.rfind(","), number.rfind(".")
        if comma >= 0 and point >= 0:
            number = number.replace("." if comma > point else ",", "")
        number = number.replace(",", ".")
        return number if _NUMBER.fullmatch(number) else text


PLAIN = NumberFormat()


def number_format(formatting: Mapping[str, Any] | None, language: str) -> NumberFormat | None:
    """The format a component asks for, or None when it has none."""
    if not formatting:
        return None
    number = formatting.get("number") or {}
    currency, unit = formatting.get("currency"), formatting.get("unit")
    if isinstance(number.get("format"), str):
        return NumberFormat(pattern=number["format"])
    local = "." if language == "en" else ","
    prefix, suffix = _text(number.get("prefix")), _text(number.get("suffix"))
    thousand = number.get("thousandSeparator")
    if currency or unit:
        sign = _CURRENCIES.get(currency, currency) if currency else _unit(str(unit), language)
        if formatting.get("position") == "prefix":
            prefix = prefix or f"{sign}{NBSP}"
        else:
            suffix = suffix or (str(sign) if sign in ("%", "°") else f"{NBSP}{sign}")
        thousand = True if thousand is None else thousand
    scale = number.get("decimalScale")
    decimal = number.get("decimalSeparator")
    return NumberFormat(
        thousand=("," if language == "en" else NBSP) if thousand is True else _text(thousand).replace(" ", NBSP),
        decimal=decimal if isinstance(decimal, str) and decimal else local,
        scale=scale if isinstance(scale, int) else None,
        fixed=bool(number.get("fixedDecimalScale")),
        negative=number.get("allowNegative") is not False,
        prefix=prefix,
        suffix=suffix,
    )


def to_decimal(value: Any) -> Decimal | None:
    """`value` as an exact number, or None when it is none."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def show_date(value: Any, format_: str | None = None) -> str:
    """A stored date or moment as `dd.MM.yyyy` (or `format_`, of the same letters); other text as it stands."""
    day = to_date(value)
    if day is None:
        return "" if value is None else str(value)
    # Older layouts write the letters for day and year in capitals.
    pattern = (format_ or "dd.MM.yyyy").replace("D", "d").replace("Y", "y")
    parts = {"yyyy": f"{day.year:04}", "yy": f"{day.year % 100:02}", "MM": f"{day.month:02}", "M": str(day.month),
             "dd": f"{day.day:02}", "d": str(day.day)}  # fmt: skip
    return re.sub(r"yyyy|yy|MM|M|dd|d", lambda match: parts[match[0]], pattern)


def to_date(value: Any) -> date | None:
    """The day of a stored date or moment, as it is written there."""
    if not isinstance(value, str) or len(value) < 10:
        return None
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        return None


def _fill(pattern: str, value: str) -> str:
    signs = iter(value)
    out = ""
    for slot in pattern:
        if slot != "#":
            out += slot
            continue
        sign = next(signs, None)
        if sign is None:
            break
        out += sign
    else:
        # What does not fit is shown too, so that a validation message about it can be understood.
        out += "".join(signs)
    return out.rstrip(" -./")


def _unit(unit: str, language: str) -> str:
    sign = _UNITS.get(unit, unit)
    return sign if isinstance(sign, str) else sign.get(language, sign["nb"])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
