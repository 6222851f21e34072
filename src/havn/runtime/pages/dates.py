"""Moments as people in Norway read them."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

OSLO = ZoneInfo("Europe/Oslo")


def today(now: datetime) -> date:
    """The day in Norway."""
    return now.astimezone(OSLO).date()


def moment(when: datetime | str | None) -> str:
    """Day and time of day; empty for none."""
    if isinstance(when, str):
        try:
            return moment(datetime.fromisoformat(when))
        except ValueError:
            return when
    return when.astimezone(OSLO).strftime("%d.%m.%Y %H:%M") if when is not None else ""
