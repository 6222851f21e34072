"""The data types of XACML 3.0 (core appendix B.3): each one's lexical form and its values in Python.

| data type | Python |
| --- | --- |
| string, anyURI | str |
| boolean, integer, double | bool, int, float |
| time, date, dateTime | `temporal.Time`, `Date`, `DateTime` |
| dayTimeDuration, yearMonthDuration | int (nanoseconds, months) |
| hexBinary, base64Binary | bytes |
| x500Name, rfc822Name | `naming.X500Name`, `Mailbox` |
| ipAddress, dnsName | `naming.NetworkName` |
| xpathExpression | `XPathExpression` |

Values carry no type of their own: expressions are typed when the policy is loaded, attributes by their key.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from havn.engines.xacml import limits, names, naming, temporal
from havn.engines.xacml.errors import syntax_error

_SPACE: Final = " \t\r\n"
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_DOUBLE = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[Ee][+-]?\d+)?", re.ASCII)
_BASE64_SPACE = re.compile(r"[ \t\r\n]+")


class XPathExpression(msgspec.Struct, frozen=True):
    """An XPath over one category's `Content`; `namespaces` are (prefix, URI) in scope where it was written."""

    path: str
    category: str
    namespaces: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.path


class DataType(msgspec.Struct, frozen=True):
    """One data type: `parse` raises ValueError, `write` gives the lexical form."""

    id: str
    name: str
    parse: Callable[[str], Any]
    write: Callable[[Any], str]


def _boolean(text: str) -> bool:
    text = text.strip(_SPACE)
    if text in {"true", "1"}:
        return True
    if text in {"false", "0"}:
        return False
    raise ValueError("not a boolean")


def _integer(text: str) -> int:
    text = text.strip(_SPACE)
    if not _INTEGER.fullmatch(text):
        raise ValueError("not an integer")
    value = int(text)
    if value.bit_length() > limits.INTEGER_BITS:
        raise ValueError("too large an integer")
    return value


def _double(text: str) -> float:
    text = text.strip(_SPACE)
    if text in {"INF", "+INF"}:
        return math.inf
    if text == "-INF":
        return -math.inf
    if text == "NaN":
        return math.nan
    if not _DOUBLE.fullmatch(text):
        raise ValueError("not a double")
    return float(text)


def _write_double(value: float) -> str:
    if math.isinf(value):
        return "INF" if value > 0 else "-INF"
    if math.isnan(value):
        return "NaN"
    return repr(value).replace("e+", "E").replace("e", "E")


def _hex(text: str) -> bytes:
    text = text.strip(_SPACE)
    if not re.fullmatch("(?:[0-9a-fA-F]{2})*", text):
        raise ValueError("not hexBinary")
    return bytes.fromhex(text)


def _base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(_BASE64_SPACE.sub("", text), strict_mode=True)
    except binascii.Error as error:
        raise ValueError("not base64Binary") from error


def _stripped(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: parse(text.strip(_SPACE))


def _no_plain_form(text: str) -> Any:
    raise ValueError("an xpathExpression needs a category: use the form of its profile")


def _data_types() -> dict[str, DataType]:
    kinds: list[tuple[str, Callable[[str], Any], Callable[[Any], str]]] = [
        (names.STRING, str, str),
        (names.BOOLEAN, _boolean, lambda v: "true" if v else "false"),
        (names.INTEGER, _integer, str),
        (names.DOUBLE, _double, _write_double),
        (names.TIME, _stripped(temporal.parse_time), str),
        (names.DATE, _stripped(temporal.parse_date), str),
        (names.DATE_TIME, _stripped(temporal.parse_date_time), str),
        (names.ANY_URI, lambda text: text.strip(_SPACE), str),
        (names.HEX_BINARY, _hex, lambda v: v.hex().upper()),
        (names.BASE64_BINARY, _base64, lambda v: base64.b64encode(v).decode("ascii")),
        (names.DAY_TIME_DURATION, _stripped(temporal.parse_day_time_duration), temporal.write_day_time_duration),
        (names.YEAR_MONTH_DURATION, _stripped(temporal.parse_year_month_duration), temporal.write_year_month_duration),
        (names.X500_NAME, naming.parse_x500_name, str),
        (names.RFC822_NAME, naming.parse_mailbox, str),
        (names.IP_ADDRESS, naming.parse_ip_address, str),
        (names.DNS_NAME, naming.parse_dns_name, str),
        (names.XPATH_EXPRESSION, _no_plain_form, str),
    ]
    return {id_: DataType(id_, re.split("[#:]", id_)[-1], parse, write) for id_, parse, write in kinds}


DATA_TYPES: Final[Mapping[str, DataType]] = _data_types()

SHORT_NAMES: Final[Mapping[str, str]] = {t.name: t.id for t in DATA_TYPES.values()}
"""Data types by the short names of the JSON profile."""


def parse(data_type: str, text: str) -> Any:
    """A value from its lexical form; EvaluationError (syntax-error) when it has none of that type."""
    kind = DATA_TYPES.get(data_type)
    if kind is None:
        return text  # an unknown type: no policy can look at it, it can only be echoed
    try:
        return kind.parse(text)
    except ValueError as error:
        raise syntax_error(f"{text[:80]!r} is not a valid {kind.name}: {error}") from error


def write(data_type: str, value: Any) -> str:
    """The lexical form of a value of this data type."""
    kind = DATA_TYPES.get(data_type)
    return kind.write(value) if kind else str(value)


def short(data_type: str) -> str:
    """The short name, for people; an unknown type's own identifier."""
    kind = DATA_TYPES.get(data_type)
    return kind.name if kind else data_type
