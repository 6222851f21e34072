"""Norwegian identification numbers: which digits are possible, and which belong to this type of environment.

National identity numbers follow the Tax Administration's rules, with the wider first check digit that is assigned from
2032; neither gender nor century is read from the digits. Synthetic persons (Tenor) have 80 added to the month.
"""

from __future__ import annotations

import enum
from typing import Literal

EnvironmentType = Literal["test", "production"]

_FIRST = (3, 7, 6, 1, 8, 9, 4, 5, 2)
_SECOND = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
_ORGANISATION = (3, 2, 7, 6, 5, 4, 3, 2)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_OFFSETS = range(4)


class Fault(enum.Enum):
    """Why a number is refused."""

    SHAPE = "The number has the wrong length or other characters than digits."
    DATE = "The number does not begin with a date."
    CHECK_DIGITS = "The number's check digits are wrong."
    NOT_SYNTHETIC = "The number is not a synthetic one, and this is a test environment."
    SYNTHETIC = "The number is a synthetic one, and this is a production environment."


def person_number_fault(number: str, environment_type: EnvironmentType) -> Fault | None:
    """What is wrong with a national identity number (also D- and H-number), or None.

    A test environment takes synthetic numbers only, a production environment never.
    """
    if len(number) != 11 or not _is_digits(number):
        return Fault.SHAPE
    day, month, year = int(number[:2]), int(number[2:4]), int(number[4:6])
    synthetic = month > 80
    if synthetic:
        month -= 80
    elif month > 40:
        month -= 40  # H-number
    if day > 40:
        day -= 40  # D-number
    if not 1 <= month <= 12 or not 1 <= day <= _DAYS[month - 1] or (month == 2 and day == 29 and year % 4):
        return Fault.DATE
    first = check_digit(number[:9], _FIRST)
    if int(number[9]) not in {(first + offset) % 11 for offset in _OFFSETS}:
        return Fault.CHECK_DIGITS
    if int(number[10]) != check_digit(number[:10], _SECOND):
        return Fault.CHECK_DIGITS
    if synthetic != (environment_type == "test"):
        return Fault.SYNTHETIC if synthetic else Fault.NOT_SYNTHETIC
    return None


def organisation_number_fault(number: str) -> Fault | None:
    """What is wrong with an organisation number, or None."""
    if len(number) != 9 or not _is_digits(number):
        return Fault.SHAPE
    return None if int(number[8]) == check_digit(number[:8], _ORGANISATION) else Fault.CHECK_DIGITS


def complete_person_number(first_nine: str) -> str | None:
    """`first_nine` digits with both check digits, or None when a digit would be 10 and the number is not assigned."""
    first = check_digit(first_nine, _FIRST)
    if first == 10:
        return None
    second = check_digit(f"{first_nine}{first}", _SECOND)
    return None if second == 10 else f"{first_nine}{first}{second}"


def complete_organisation_number(first_eight: str) -> str | None:
    """`first_eight` digits with the check digit, or None when it would be 10."""
    digit = check_digit(first_eight, _ORGANISATION)
    return None if digit == 10 else f"{first_eight}{digit}"


def mask(number: str) -> str:
    """The number as a log or a page may show it: the first six digits, then stars."""
    return number[:6] + "*" * max(0, len(number) - 6)


def check_digit(digits: str, weights: tuple[int, ...]) -> int:
    """The modulus 11 check digit, 0 to 10; 10 has no digit."""
    total = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
    return (11 - total % 11) % 11


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
