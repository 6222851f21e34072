"""Calendar periods of quotas: day, week and month in Norwegian time, with the hours of summer time as they are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

ZONE = ZoneInfo("Europe/Oslo")


class Span(msgspec.Struct, frozen=True):
    """One period: its first date, and its bounds in UTC, the end not included."""

    first: date
    start: datetime
    end: datetime

    @property
    def seconds(self) -> int:
        """Its length; the days on which the clocks change have 23 and 25 hours."""
        return int((self.end - self.start).total_seconds())


def span(per: Literal["day", "week", "month"], at: datetime) -> Span:
    """The period that the moment `at` (with a zone) falls in. A week begins on Monday."""
    today = at.astimezone(ZONE).date()
    if per == "day":
        first, last = today, today + timedelta(days=1)
    elif per == "week":
        first = today - timedelta(days=today.weekday())
        last = first + timedelta(days=7)
    else:
        first = today.replace(day=1)
        last = (first + timedelta(days=32)).replace(day=1)
    return Span(first, _midnight(first), _midnight(last))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC)
