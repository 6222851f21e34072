"""Strings: normalising, parts, conversion from and to other types, and matching (core A.3.3, A.3.9, A.3.14)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from havn.engines.xacml import datatypes, limits, names, naming, patterns
from havn.engines.xacml.errors import processing_error
from havn.engines.xacml.functions.registry import BOOLEAN, F1, F2, F3, INTEGER, STRING, Function, Type, define

_CONVERTED = (
    names.BOOLEAN, names.INTEGER, names.DOUBLE, names.TIME, names.DATE, names.DATE_TIME, names.ANY_URI,
    names.DAY_TIME_DURATION, names.YEAR_MONTH_DURATION, names.X500_NAME, names.RFC822_NAME, names.IP_ADDRESS,
    names.DNS_NAME,
)  # fmt: skip

REGEXP_MATCHES = {
    F1 + "string-regexp-match": names.STRING,
    F2 + "anyURI-regexp-match": names.ANY_URI,
    F2 + "ipAddress-regexp-match": names.IP_ADDRESS,
    F2 + "dnsName-regexp-match": names.DNS_NAME,
    F2 + "rfc822Name-regexp-match": names.RFC822_NAME,
    F2 + "x500Name-regexp-match": names.X500_NAME,
}
"""The functions whose first argument is a regular expression."""

SUBSTRINGS = frozenset({F3 + "string-substring", F3 + "anyURI-substring"})


def functions() -> Iterator[Function]:
    """The functions of this module."""
    yield define(F1 + "string-normalize-space", (STRING,), STRING, lambda s: s.strip(" \t\r\n"))
    yield define(F1 + "string-normalize-to-lower-case", (STRING,), STRING, str.lower, inline="{0}.lower()")
    yield define(F2 + "string-concatenate", (STRING, STRING), STRING, _concatenate, rest=STRING, fails=True)
    for data_type in (names.STRING, names.ANY_URI):
        kind = Type(data_type)
        yield define(f"{F3}{kind}-starts-with", (STRING, kind), BOOLEAN, lambda part, whole: whole.startswith(part))
        yield define(f"{F3}{kind}-ends-with", (STRING, kind), BOOLEAN, lambda part, whole: whole.endswith(part))
        yield define(f"{F3}{kind}-contains", (STRING, kind), BOOLEAN, lambda part, whole: part in whole)
        yield define(f"{F3}{kind}-substring", (kind, INTEGER, INTEGER), STRING, substring, fails=True)
    for data_type in _CONVERTED:
        kind = Type(data_type)
        yield define(f"{F3}{kind}-from-string", (STRING,), kind, _parser(data_type), fails=True)
        yield define(f"{F3}string-from-{kind}", (kind,), STRING, datatypes.DATA_TYPES[data_type].write)
    x500 = Type(names.X500_NAME)
    yield define(F1 + "x500Name-match", (x500, x500), BOOLEAN, naming.x500_name_match)
    yield define(F1 + "rfc822Name-match", (STRING, Type(names.RFC822_NAME)), BOOLEAN, naming.mailbox_match)
    for function_id, data_type in REGEXP_MATCHES.items():
        yield define(function_id, (STRING, Type(data_type)), BOOLEAN, _regexp_match, fails=True)


def _parser(data_type: str) -> Callable[[str], Any]:
    return lambda text: datatypes.parse(data_type, text)


def _concatenate(*parts: str) -> str:
    if sum(map(len, parts)) > limits.TEXT:
        raise processing_error("a string becomes too long")
    return "".join(parts)


def substring(value: str, begin: int, end: int) -> str:
    """From `begin` up to `end`, or with -1 to the end; processing-error outside the text (A.3.9)."""
    if end == -1:
        end = len(value)
    if not 0 <= begin <= end <= len(value):
        raise processing_error(f"substring from {begin} to {end} of a text of {len(value)} characters")
    return value[begin:end]


def _regexp_match(pattern: str, value: Any) -> bool:
    try:
        return patterns.search(pattern, str(value))
    except patterns.PatternError as error:
        raise processing_error(f"regular expression refused: {error}") from error
