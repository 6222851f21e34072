"""Dates, times and durations of XML Schema, exact to the nanosecond and free of the year limits of `datetime`.

A moment keeps its local reading and its zone, and compares by the instant: a value without a zone is taken as UTC,
the implicit zone of this engine. Durations are plain integers: nanoseconds, or months.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import total_ordering
from typing import Final

SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_ZONE = r"(Z|[+-](?:0\d|1[0-3]):[0-5]\d|[+-]14:00)?"
_TIME = r"(\d\d):(\d\d):(\d\d)(?:\.(\d+))?"
_DATE = r"(-?(?:[1-9]\d{3,8}|0\d{3}))-(\d\d)-(\d\d)"
_TIME_FORM = re.compile(_TIME + _ZONE, re.ASCII)
_DATE_FORM = re.compile(_DATE + _ZONE, re.ASCII)
_DATE_TIME_FORM = re.compile(_DATE + "T" + _TIME + _ZONE, re.ASCII)
_DAY_TIME_FORM = re.compile(
    r"(-)?P(?:(\d{1,18})D)?(?:T(?=.)(?:(\d{1,18})H)?(?:(\d{1,18})M)?(?:(\d{1,18})(?:\.(\d+))?S)?)?", re.ASCII
)
_YEAR_MONTH_FORM = re.compile(r"(-)?P(?:(\d{1,18})Y)?(?:(\d{1,18})M)?", re.ASCII)


@total_ordering
class Moment:
    """A date, time or dateTime: `local` nanoseconds as written, `zone` in minutes east or None, `instant` in UTC."""

    __slots__ = ("instant", "local", "zone")

    def __init__(self, local: int, zone: int | None) -> None:
        self.local = local
        self.zone = zone
        self.instant = local if zone is None else local - zone * MINUTE

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Moment) and self.instant == other.instant

    def __lt__(self, other: Moment) -> bool:
        return self.instant < other.instant

    def __hash__(self) -> int:
        return hash(self.instant)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"


class Time(Moment):
    """xs:time; `local` counts from midnight."""

    __slots__ = ()

    def __str__(self) -> str:
        return _clock(self.local) + _zone(self.zone)


class Date(Moment):
    """xs:date; `local` is its first nanosecond, counted from 1970-01-01."""

    __slots__ = ()

    def __str__(self) -> str:
        return _calendar(self.local // DAY) + _zone(self.zone)


class DateTime(Moment):
    """xs:dateTime; `local` counts from 1970-01-01T00:00:00."""

    __slots__ = ()

    def __str__(self) -> str:
        days, clock = divmod(self.local, DAY)
        return f"{_calendar(days)}T{_clock(clock)}{_zone(self.zone)}"


def parse_time(text: str) -> Time:
    """An xs:time; ValueError when it is none."""
    found = _TIME_FORM.fullmatch(text)
    if not found:
        raise ValueError("not a time")
    return Time(_clock_of(found[1], found[2], found[3], found[4]) % DAY, _zone_of(found[5]))


def parse_date(text: str) -> Date:
    """An xs:date; ValueError when it is none."""
    found = _DATE_FORM.fullmatch(text)
    if not found:
        raise ValueError("not a date")
    return Date(_days_of(found[1], found[2], found[3]) * DAY, _zone_of(found[4]))


def parse_date_time(text: str) -> DateTime:
    """An xs:dateTime; ValueError when it is none."""
    found = _DATE_TIME_FORM.fullmatch(text)
    if not found:
        raise ValueError("not a dateTime")
    local = _days_of(found[1], found[2], found[3]) * DAY + _clock_of(found[4], found[5], found[6], found[7])
    return DateTime(local, _zone_of(found[8]))


def parse_day_time_duration(text: str) -> int:
    """An xs:dayTimeDuration in nanoseconds; ValueError when it is none."""
    found = _DAY_TIME_FORM.fullmatch(text)
    if not found or text.endswith(("P", "T")):
        raise ValueError("not a dayTimeDuration")
    size = (
        int(found[2] or 0) * DAY
        + int(found[3] or 0) * HOUR
        + int(found[4] or 0) * MINUTE
        + int(found[5] or 0) * SECOND
        + _fraction_of(found[6])
    )
    return -size if found[1] else size


def parse_year_month_duration(text: str) -> int:
    """An xs:yearMonthDuration in months; ValueError when it is none."""
    found = _YEAR_MONTH_FORM.fullmatch(text)
    if not found or text.endswith("P"):
        raise ValueError("not a yearMonthDuration")
    size = int(found[2] or 0) * 12 + int(found[3] or 0)
    return -size if found[1] else size


def write_day_time_duration(value: int) -> str:
    """The canonical lexical form of a number of nanoseconds."""
    days, clock = divmod(abs(value), DAY)
    hours, clock = divmod(clock, HOUR)
    minutes, clock = divmod(clock, MINUTE)
    parts = f"{hours}H" * bool(hours) + f"{minutes}M" * bool(minutes) + f"{_seconds(clock)}S" * bool(clock)
    text = f"P{days}D" * bool(days) or "P"
    if parts:
        text += "T" + parts
    if text == "P":
        text = "PT0S"
    return "-" * (value < 0) + text


def write_year_month_duration(value: int) -> str:
    """The canonical lexical form of a number of months."""
    years, months = divmod(abs(value), 12)
    text = "P" + f"{years}Y" * bool(years) + f"{months}M" * bool(months)
    return "-" * (value < 0) + (text if text != "P" else "P0M")


def add_months(moment: Moment, months: int) -> int:
    """The local reading of a moment so many months away; the day is clamped to the month's last."""
    days, clock = divmod(moment.local, DAY)
    year, month, day = civil(days)
    index = year * 12 + month - 1 + months
    year, month = index // 12, index % 12 + 1
    day = min(day, days_from_civil(year + month // 12, month % 12 + 1, 1) - days_from_civil(year, month, 1))
    return days_from_civil(year, month, day) * DAY + clock


def from_datetime(now: dt.datetime) -> DateTime:
    """An aware datetime as dateTime in UTC."""
    since = now.astimezone(dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return DateTime(since.days * DAY + since.seconds * SECOND + since.microseconds * 1000, 0)


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 in the proleptic Gregorian calendar, year 0 being 1 BC."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + day_of_year - 719468


def civil(days: int) -> tuple[int, int, int]:
    """Year, month and day so many days from 1970-01-01."""
    era, of_era = divmod(days + 719468, 146097)
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    day_of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + (3 if shifted < 10 else -9)
    return year + era * 400 + (month <= 2), month, day


def _days_of(year: str, month: str, day: str) -> int:
    y, m, d = int(year), int(month), int(day)
    if y == 0:
        raise ValueError("there is no year 0")
    if y < 0:
        y += 1  # XML Schema 1.0 writes 1 BC as -0001
    if not 1 <= m <= 12 or d < 1:
        raise ValueError("no such day")
    days = days_from_civil(y, m, d)
    if civil(days) != (y, m, d):
        raise ValueError("no such day")
    return days


def _clock_of(hour: str, minute: str, second: str, fraction: str | None) -> int:
    h, m, s = int(hour), int(minute), int(second)
    part = _fraction_of(fraction)
    if h > 24 or m > 59 or s > 59 or (h == 24 and (m or s or part)):
        raise ValueError("no such time of day")
    return h * HOUR + m * MINUTE + s * SECOND + part


def _fraction_of(digits: str | None) -> int:
    if not digits:
        return 0
    digits = digits.rstrip("0")
    if len(digits) > 9:
        raise ValueError("finer than a nanosecond")
    return int(digits.ljust(9, "0"))


def _zone_of(text: str | None) -> int | None:
    if not text:
        return None
    if text == "Z":
        return 0
    minutes = int(text[1:3]) * 60 + int(text[4:6])
    return -minutes if text[0] == "-" else minutes


def _calendar(days: int) -> str:
    year, month, day = civil(days)
    if year <= 0:
        return f"-{1 - year:04d}-{month:02d}-{day:02d}"
    return f"{year:04d}-{month:02d}-{day:02d}"


def _clock(nanoseconds: int) -> str:
    hours, rest = divmod(nanoseconds, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    seconds, fraction = divmod(rest, SECOND)
    text = f"{hours:02d}:{minutes:02d}:{seconds:02d}"
    return f"{text}.{fraction:09d}".rstrip("0") if fraction else text


def _seconds(nanoseconds: int) -> str:
    seconds, fraction = divmod(nanoseconds, SECOND)
    return f"{seconds}.{fraction:09d}".rstrip("0") if fraction else str(seconds)


def _zone(zone: int | None) -> str:
    if zone is None:
        return ""
    if zone == 0:
        return "Z"
    hours, minutes = divmod(abs(zone), 60)
    return f"{'-' if zone < 0 else '+'}{hours:02d}:{minutes:02d}"
