"""`formatDate`."""

from __future__ import annotations

from typing import Any

from havn.engines.expressions.dateformat import format_date
from havn.engines.expressions.dates import to_moment
from havn.engines.expressions.errors import EvaluationError
from havn.engines.expressions.functions.define import Frame, Function, function


@function(
    "formatDate",
    "date:date format:string?",
    "A date by Unicode date tokens; without a format the short date of the language. Null for null.",
    returns="string",
    needs_frame=True,
)
def _format_date(frame: Frame, date: Any, pattern: str | None = None) -> str | None:
    moment = to_moment(date)
    if moment is None:
        return None
    when = moment.when
    zone = frame.context.time_zone()
    if moment.zoned and zone is not None:
        try:
            when = when.astimezone(zone)
        except OverflowError:
            raise EvaluationError("the date is outside the calendar in the time zone here") from None
    return format_date(when, pattern, frame.context.language())


FUNCTIONS: tuple[Function, ...] = (_format_date,)
