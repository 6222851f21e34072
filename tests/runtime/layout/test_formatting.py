"""Numbers and dates, stored, shown and typed."""

from __future__ import annotations

from typing import Any

import pytest

from havn.runtime.layout.formatting import number_format, show_date, to_date

NOK = {"currency": "NOK", "number": {"decimalScale": 0}}


@pytest.mark.parametrize(
    ("formatting", "language", "value", "shown"),
    [
        ({"number": {"thousandSeparator": " ", "decimalSeparator": ","}}, "nb", 1234567.5, "1\u00a0234\u00a0567,5"),
        ({"number": {"thousandSeparator": True}}, "nb", 1234, "1\u00a0234"),
        ({"number": {"thousandSeparator": True}}, "en", 1234.5, "1,234.5"),
        ({"number": {"decimalScale": 2, "fixedDecimalScale": True}}, "nb", 3, "3,00"),
        ({"number": {"decimalScale": 2}}, "nb", 3.456, "3,46"),
        ({"number": {"suffix": " kg"}}, "nb", 12, "12 kg"),
        ({"number": {"prefix": "ca. "}}, "nb", -12, "ca. -12"),
        ({"number": {"format": "### ### ###"}}, "nb", "974760673", "974 760 673"),
        ({"number": {"format": "#### ## #####"}}, "nb", "1234", "1234"),
        ({"number": {"format": "##-##"}}, "nb", "123456", "12-3456"),
        (NOK, "nb", 25000, "25\u00a0000\u00a0kr"),
        (NOK, "en", 25000, "25,000\u00a0kr"),
        ({"currency": "EUR", "position": "prefix"}, "nb", 9.5, "€\u00a09,5"),
        ({"unit": "percent"}, "nb", 70, "70%"),
        ({"unit": "year"}, "nn", 3, "3\u00a0år"),
        ({"unit": "hour"}, "en", 3, "3\u00a0hr"),
        (NOK, "nb", None, ""),
        (NOK, "nb", "abc", "abc\u00a0kr"),
        (NOK, "nb", 1e21, "1\u00a0000\u00a0000\u00a0000\u00a0000\u00a0000\u00a0000\u00a0000\u00a0kr"),
    ],
)
def test_a_number_is_shown_as_the_component_asks(
    formatting: dict[str, Any], language: str, value: object, shown: str
) -> None:
    chosen = number_format(formatting, language)
    assert chosen is not None
    assert chosen.show(value) == shown


@pytest.mark.parametrize(
    ("formatting", "typed", "read"),
    [
        (NOK, " 25 000 kr ", "25000"),
        (NOK, "25.000,50", "25000.50"),
        (NOK, "25,000.50", "25000.50"),
        (NOK, "12,5", "12.5"),
        (NOK, "12.5", "12.5"),
        (NOK, "\u22125", "-5"),
        (NOK, "1\u00a0000", "1000"),
        (NOK, "tolv", "tolv"),
        (NOK, "12a", "12a"),
        (NOK, "", ""),
        ({"number": {"thousandSeparator": ".", "decimalSeparator": ","}}, "1.234", "1234"),
        ({"number": {"format": "### ### ###"}}, "974 760 673", "974760673"),
        ({"number": {"format": "#### ## #####"}}, "1234.56.78901", "1234.56.78901"),
        ({"number": {"format": "####.##.#####"}}, "1234.56.78901", "12345678901"),
    ],
)
def test_what_is_typed_becomes_what_is_stored(formatting: dict[str, Any], typed: str, read: str) -> None:
    chosen = number_format(formatting, "nb")
    assert chosen is not None
    assert chosen.read(typed) == read


def test_without_formatting_there_is_no_format() -> None:
    assert number_format(None, "nb") is None
    assert number_format({}, "nb") is None


@pytest.mark.parametrize(
    ("stored", "format_", "shown"),
    [
        ("2026-03-09", None, "09.03.2026"),
        ("2026-03-09T00:00:00+01:00", None, "09.03.2026"),
        ("2026-03-09", "d/M yy", "9/3 26"),
        ("i morgen", None, "i morgen"),
        ("2026-13-40", None, "2026-13-40"),
        (None, None, ""),
    ],
)
def test_a_date_is_shown_as_the_component_asks(stored: str | None, format_: str | None, shown: str) -> None:
    assert show_date(stored, format_) == shown


def test_the_day_of_a_moment_is_the_one_written() -> None:
    day = to_date("2026-03-09T23:59:59Z")
    assert day is not None
    assert day.isoformat() == "2026-03-09"
