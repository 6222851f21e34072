"""Calendar months and days in Norwegian time: a month begins at midnight in Oslo, in summer as in winter."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

OSLO = ZoneInfo("Europe/Oslo")
KEPT_MONTHS = 25


class Month(msgspec.Struct, frozen=True, order=True):
    """A calendar month."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """`2026-03`. Raises ValueError."""
        year, dash, month = text.partition("-")
        if (
            not dash
            or not text.isascii()
            or not (len(year) == 4 and len(month) == 2 and year.isdigit() and month.isdigit())
        ):
            raise ValueError(f"{text} is not a month such as 2026-03")
        if not 1 <= int(month) <= 12 or not 2000 <= int(year) <= 9998:
            raise ValueError(f"{text} is not a month such as 2026-03")
        return cls(int(year), int(month))

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """The month that it is in Oslo."""
        local = moment.astimezone(OSLO)
        return cls(local.year, local.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    @property
    def after(self) -> date:
        """The first day of the next month."""
        return self.plus(1).first

    def plus(self, months: int) -> Month:
        """The month so many later, or earlier when negative."""
        number = self.year * 12 + self.month - 1 + months
        return Month(number // 12, number % 12 + 1)

    @property
    def starts(self) -> datetime:
        """The moment it begins, in UTC."""
        return midnight(self.first)

    @property
    def ends(self) -> datetime:
        """The moment the next begins, in UTC."""
        return midnight(self.after)


def midnight(day: date) -> datetime:
    """When `day` begins in Oslo, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=OSLO).astimezone(UTC)


def moment(minute: int) -> datetime:
    """The beginning of a minute that is counted from 1970."""
    return datetime.fromtimestamp(minute * 60, UTC)


def day_of(minute: int) -> date:
    """The day that it is in Oslo at `minute`."""
    return moment(minute).astimezone(OSLO).date()


def hour_of(minute: int) -> datetime:
    """The hour of UTC that `minute` lies in."""
    return moment(minute - minute % 60)


def forgotten_before(now: datetime) -> date:
    """Counts of days before this one are no longer kept: this month and twenty-five whole ones are."""
    return Month.of(now).plus(-KEPT_MONTHS).first


def first_minute_kept(now: datetime) -> datetime:
    """Minutes before this one are no longer kept apart; hours and days are."""
    return now - timedelta(days=8)
