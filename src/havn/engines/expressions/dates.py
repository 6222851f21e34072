"""Dates: reading the ISO 8601 forms that expressions accept, and comparing them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

from havn.engines.expressions.errors import EvaluationError
from havn.engines.expressions.values import shown

_DATE = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?([Zz]|[+-]\d{2}:\d{2})?)?",
    re.ASCII,
)


class Moment(msgspec.Struct, frozen=True):
    """A date and time as it was written; `zoned` when an offset was given (else `when` is naive)."""

    when: datetime
    zoned: bool


def to_moment(value: Any) -> Moment | None:
    """The date that a text states; None for null and blank text. Anything else is an error."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise EvaluationError(f"a date was expected, not {shown(value)}")
    if not value.strip() or value.lower() == "null":
        return None
    match = _DATE.fullmatch(value)
    if match is None:
        raise EvaluationError(f"{shown(value)} is not written as a date, such as 2026-05-17 or 2026-05-17T12:30:00Z")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        when = datetime(  # noqa: DTZ001 - naive on purpose: no zone was written
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "0")[:3].ljust(3, "0")) * 1000,
        )
        if offset:
            when = when.replace(tzinfo=_zone(offset))
            when.utctimetuple()  # the instant must exist: year 1 with a positive offset has none
    except (ValueError, OverflowError):
        raise EvaluationError(f"{shown(value)} is not a date that exists") from None
    return Moment(when, bool(offset))


def _zone(offset: str) -> timezone:
    if offset in ("Z", "z"):
        return timezone.utc  # noqa: UP017 - the same object as the others here
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError(offset)
    span = timedelta(hours=hours, minutes=minutes)
    return timezone(-span if offset[0] == "-" else span)


def pair(a: Any, b: Any) -> tuple[datetime, datetime] | None:
    """Both dates, fit to be compared; None when either is missing. An error when only one has a zone."""
    first, second = to_moment(a), to_moment(b)
    if first is None or second is None:
        return None
    if first.zoned != second.zoned:
        raise EvaluationError("one of the two dates has a time zone and the other has not, so they cannot be compared")
    return first.when, second.when


def same_day(a: Any, b: Any) -> bool:
    """Whether both are on the same day; an error when they are in different time zones."""
    both = pair(a, b)
    if both is None:
        return False
    first, second = both
    if first.utcoffset() != second.utcoffset():
        raise EvaluationError("the two dates are in different time zones, so their days cannot be compared")
    return first.date() == second.date()
