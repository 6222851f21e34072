"""`formatDate`: dates written by Unicode date tokens (LDML, UTS 35) in bokmål, nynorsk and English.

The names are kept here instead of in a locale library: an app process would load megabytes for forty words. Names are
those that stand alone (not as part of a date), weekdays without a full stop.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from havn.engines.expressions.errors import EvaluationError

MAX_FORMAT = 200
_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")

_MONTHS = {
    "nb": [
        "januar",
        "februar",
        "mars",
        "april",
        "mai",
        "juni",
        "juli",
        "august",
        "september",
        "oktober",
        "november",
        "desember",
    ],
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
}
_MONTHS["nn"] = _MONTHS["nb"]
_DAYS = {
    "nb": ["mandag", "tirsdag", "onsdag", "torsdag", "fredag", "lørdag", "søndag"],
    "nn": ["måndag", "tysdag", "onsdag", "torsdag", "fredag", "laurdag", "søndag"],
    "en": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
}
_ERAS = {"nb": ("e.Kr.", "etter Kristus", "e.Kr."), "en": ("AD", "Anno Domini", "A")}
_ERAS["nn"] = _ERAS["nb"]
_HALVES = {"nb": ("a.m.", "p.m."), "nn": ("a.m.", "p.m."), "en": ("AM", "PM")}
_DEFAULT = {"nb": "dd.MM.yyyy", "nn": "dd.MM.yyyy", "en": "MM/dd/yyyy"}


def format_date(when: datetime, pattern: str | None, language: str) -> str:
    """`when` by `pattern`; without one, the short date of the language. A letter that is no token is an error.

    Text between single quotes stands for itself, and two single quotes for one.
    """
    language = language if language in _DAYS else "en"
    pattern = pattern or _DEFAULT[language]
    if len(pattern) > MAX_FORMAT:
        raise EvaluationError(f"a date format is at most {MAX_FORMAT} characters")
    written = []
    position = 0
    while position < len(pattern):
        match = _TOKEN.match(pattern, position)
        if match is None:
            raise EvaluationError(f"the date format {pattern!r} has a quote that is never closed")
        position = match.end()
        if match[1] is not None:
            written.append(match[1].replace("''", "'") or "'")
        elif match[2]:
            token = match[0]
            writer = _TOKENS.get(token)
            if writer is None:
                raise EvaluationError(f"the date format {pattern!r} has {token!r}, which is not a token known here")
            written.append(writer(when, language))
        else:
            written.append(match[0])
    return "".join(written)


def _year(when: datetime, _language: str) -> str:
    return str(when.year)


def _hour12(when: datetime) -> int:
    return when.hour % 12 or 12


_Writer = Callable[[datetime, str], str]
_TOKENS: dict[str, _Writer] = {
    **{"G" * n: (lambda _w, lang: _ERAS[lang][0]) for n in (1, 2, 3)},
    "GGGG": lambda _w, lang: _ERAS[lang][1],
    "GGGGG": lambda _w, lang: _ERAS[lang][2],
    "y": _year,
    "yy": lambda w, _l: f"{w.year % 100:02}",
    "yyy": lambda w, _l: f"{w.year:03}",
    "yyyy": lambda w, _l: f"{w.year:04}",
    "u": _year,
    "uu": lambda w, _l: f"{w.year:02}",
    "uuu": lambda w, _l: f"{w.year:03}",
    "uuuu": lambda w, _l: f"{w.year:04}",
    "M": lambda w, _l: str(w.month),
    "MM": lambda w, _l: f"{w.month:02}",
    "MMM": lambda w, lang: _MONTHS[lang][w.month - 1][:3],
    "MMMM": lambda w, lang: _MONTHS[lang][w.month - 1],
    "MMMMM": lambda w, lang: _MONTHS[lang][w.month - 1][0].upper(),
    "d": lambda w, _l: str(w.day),
    "dd": lambda w, _l: f"{w.day:02}",
    **{"E" * n: (lambda w, lang: _DAYS[lang][w.weekday()][:3]) for n in (1, 2, 3)},
    "EEEE": lambda w, lang: _DAYS[lang][w.weekday()],
    "EEEEE": lambda w, lang: _DAYS[lang][w.weekday()][0].upper(),
    "a": lambda w, lang: _HALVES[lang][w.hour >= 12],
    "H": lambda w, _l: str(w.hour),
    "HH": lambda w, _l: f"{w.hour:02}",
    "h": lambda w, _l: str(_hour12(w)),
    "hh": lambda w, _l: f"{_hour12(w):02}",
    "m": lambda w, _l: str(w.minute),
    "mm": lambda w, _l: f"{w.minute:02}",
    "s": lambda w, _l: str(w.second),
    "ss": lambda w, _l: f"{w.second:02}",
    "S": lambda w, _l: str(w.microsecond // 100_000),
    "SS": lambda w, _l: f"{w.microsecond // 10_000:02}",
    "SSS": lambda w, _l: f"{w.microsecond // 1000:03}",
}
TOKENS = tuple(_TOKENS)
"""Every token that can be written."""
