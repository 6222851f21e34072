"""Check digits and the synthetic rule, on vectors made for the purpose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havn.engines.identifiers import (
    Fault,
    complete_organisation_number,
    complete_person_number,
    mask,
    organisation_number_fault,
    person_number_fault,
)

PERSONS = ["15838510075", "15838510156", "07910450055", "47910450049"]
ORGANISATIONS = ["310000000", "311000004", "210000003"]


@pytest.mark.parametrize("number", PERSONS)
def test_synthetic_numbers_pass_in_test_and_fail_in_production(number: str) -> None:
    assert person_number_fault(number, "test") is None
    assert person_number_fault(number, "production") is Fault.SYNTHETIC


@pytest.mark.parametrize("number", ORGANISATIONS)
def test_organisation_numbers_with_right_check_digit_pass(number: str) -> None:
    assert organisation_number_fault(number) is None


@pytest.mark.parametrize("number", ["01039012345", "01017512345"])
def test_made_up_numbers_with_wrong_check_digits_fail(number: str) -> None:
    assert person_number_fault(number, "test") is Fault.CHECK_DIGITS


@pytest.mark.parametrize("number", ["897069650", "897069651", "897069631", "897069653", "900000001"])
def test_made_up_organisation_numbers_fail(number: str) -> None:
    assert organisation_number_fault(number) is Fault.CHECK_DIGITS


@pytest.mark.parametrize("number", PERSONS)
@pytest.mark.parametrize("place", range(6, 11))
def test_one_wrong_digit_after_the_date_is_seen(number: str, place: int) -> None:
    wrong = number[:place] + str((int(number[place]) + 5) % 10) + number[place + 1 :]
    assert person_number_fault(wrong, "test") is Fault.CHECK_DIGITS


@pytest.mark.parametrize("number", ORGANISATIONS)
@pytest.mark.parametrize("place", range(9))
@pytest.mark.parametrize("change", range(1, 10))
def test_one_wrong_digit_in_an_organisation_number_is_seen(number: str, place: int, change: int) -> None:
    wrong = number[:place] + str((int(number[place]) + change) % 10) + number[place + 1 :]
    assert organisation_number_fault(wrong) is Fault.CHECK_DIGITS


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        ("", Fault.SHAPE),
        ("1583851007", Fault.SHAPE),
        ("158385100755", Fault.SHAPE),
        ("1583851007a", Fault.SHAPE),
        ("١٥٨٣٨٥١٠٠٧٥", Fault.SHAPE),
        ("00838510075", Fault.DATE),
        ("15938510075", Fault.DATE),
        ("31828510075", Fault.DATE),
        ("29828510075", Fault.DATE),
    ],
)
def test_numbers_of_wrong_shape_or_date_are_told_apart(number: str, fault: Fault) -> None:
    assert person_number_fault(number, "test") is fault


def test_a_number_that_is_not_synthetic_is_refused_in_test_only() -> None:
    number = next(n for i in range(100, 999) if (n := complete_person_number(f"150385{i}")))
    assert person_number_fault(number, "test") is Fault.NOT_SYNTHETIC
    assert person_number_fault(number, "production") is None


def test_the_wider_first_check_digit_is_accepted() -> None:
    from havn.engines.identifiers import _FIRST, _SECOND, check_digit

    accepted = 0
    for serial in range(100, 200):
        nine = f"158385{serial}"
        for offset in range(4):
            first = (check_digit(nine, _FIRST) + offset) % 11
            if first == 10 or (second := check_digit(f"{nine}{first}", _SECOND)) == 10:
                continue
            assert person_number_fault(f"{nine}{first}{second}", "test") is None
            accepted += 1
        wrong = (check_digit(nine, _FIRST) + 4) % 11
        if wrong != 10 and (second := check_digit(f"{nine}{wrong}", _SECOND)) != 10:
            assert person_number_fault(f"{nine}{wrong}{second}", "test") is Fault.CHECK_DIGITS
    assert accepted > 300


@given(st.text(max_size=12))
def test_no_text_makes_the_check_fail_badly(text: str) -> None:
    person_number_fault(text, "test")
    organisation_number_fault(text)


@given(st.integers(min_value=10_000_000, max_value=99_999_999))
def test_completed_organisation_numbers_pass(digits: int) -> None:
    number = complete_organisation_number(str(digits))
    assert number is None or organisation_number_fault(number) is None


def test_a_masked_number_shows_six_digits() -> None:
    assert mask("15838510075") == "158385*****"
