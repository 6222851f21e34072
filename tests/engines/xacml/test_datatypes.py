# ruff: noqa: E501 - tables read best as lines
"""Data types: what is in their lexical space, what is not, and how values compare and are written."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havn.engines.xacml import datatypes, names, temporal
from havn.engines.xacml.errors import EvaluationError

VALID = [
    (names.BOOLEAN, " true ", "true"),
    (names.BOOLEAN, "0", "false"),
    (names.INTEGER, "-007", "-7"),
    (names.INTEGER, "+12", "12"),
    (names.DOUBLE, "1e2", "100.0"),
    (names.DOUBLE, "-INF", "-INF"),
    (names.DOUBLE, ".5", "0.5"),
    (names.DOUBLE, "NaN", "NaN"),
    (names.TIME, "24:00:00", "00:00:00"),
    (names.TIME, "08:23:47.500-05:00", "08:23:47.5-05:00"),
    (names.DATE, "2024-02-29Z", "2024-02-29Z"),
    (names.DATE, "-0044-03-15", "-0044-03-15"),
    (names.DATE, "12024-01-01+14:00", "12024-01-01+14:00"),
    (names.DATE_TIME, "2002-03-22T24:00:00Z", "2002-03-23T00:00:00Z"),
    (names.DATE_TIME, "1999-12-31T23:59:59.123456789+05:30", "1999-12-31T23:59:59.123456789+05:30"),
    (names.DAY_TIME_DURATION, "P12DT148H18M21S", "P18DT4H18M21S"),
    (names.DAY_TIME_DURATION, "-PT0.5S", "-PT0.5S"),
    (names.DAY_TIME_DURATION, "P0D", "PT0S"),
    (names.YEAR_MONTH_DURATION, "P14M", "P1Y2M"),
    (names.YEAR_MONTH_DURATION, "-P0Y", "P0M"),
    (names.ANY_URI, " http://a b ", "http://a b"),
    (names.HEX_BINARY, "0fB8", "0FB8"),
    (names.BASE64_BINARY, "c3Vy ZS4=", "c3VyZS4="),
    (names.X500_NAME, "cn=A\\, B+ou=x,o=\"Q, Z\",c=US", "cn=A\\, B+ou=x,o=\"Q, Z\",c=US"),
    (names.RFC822_NAME, "A.b@Example.COM", "A.b@Example.COM"),
    (names.IP_ADDRESS, "10.0.0.1/255.255.0.0:80-90", "10.0.0.1/255.255.0.0:80-90"),
    (names.IP_ADDRESS, "[fe80::1]/[ffff::]:-80", "[fe80::1]/[ffff::]:-80"),
    (names.DNS_NAME, "*.example.com:80-", "*.example.com:80-"),
]  # fmt: skip

INVALID = [
    (names.BOOLEAN, "TRUE"), (names.INTEGER, "1.0"), (names.INTEGER, "१"), (names.INTEGER, "9" * 5000),
    (names.DOUBLE, "1,5"), (names.DOUBLE, "Infinity"), (names.DOUBLE, "0x1"), (names.DOUBLE, "1_0"),
    (names.TIME, "24:00:01"), (names.TIME, "8:00:00"), (names.TIME, "08:00:00+14:30"), (names.TIME, "08:60:00"),
    (names.TIME, "00:00:00.0000000001"), (names.DATE, "2023-02-29"), (names.DATE, "0000-01-01"),
    (names.DATE, "02024-01-01"), (names.DATE, "2024-13-01"), (names.DATE_TIME, "2024-01-01 00:00:00"),
    (names.DATE_TIME, "2024-01-01T00:00:00-15:00"), (names.DAY_TIME_DURATION, "P"), (names.DAY_TIME_DURATION, "P1DT"),
    (names.DAY_TIME_DURATION, "P1Y"), (names.YEAR_MONTH_DURATION, "P1D"), (names.YEAR_MONTH_DURATION, "P-1Y"),
    (names.HEX_BINARY, "ABC"), (names.BASE64_BINARY, "a"), (names.BASE64_BINARY, "Zm9v!"), (names.X500_NAME, "nonsense"),
    (names.X500_NAME, "cn=\"open"), (names.RFC822_NAME, "nobody"), (names.RFC822_NAME, "a b@c"),
    (names.IP_ADDRESS, "10.0.0"), (names.IP_ADDRESS, "10.0.0.1:99999"), (names.DNS_NAME, "a..b"),
    (names.DNS_NAME, "-a.com"), (names.XPATH_EXPRESSION, "//a"),
]  # fmt: skip

EQUAL = [
    (names.DATE_TIME, "2002-03-22T08:00:00Z", "2002-03-22T03:00:00-05:00"),
    (names.DATE_TIME, "2002-03-22T08:00:00", "2002-03-22T08:00:00Z"),
    (names.TIME, "09:00:00+01:00", "08:00:00Z"),
    (names.RFC822_NAME, "a@EXAMPLE.com", "a@example.COM"),
    (names.X500_NAME, "CN=Julius  Hibbert, O=Medi Corp", "2.5.4.3=julius hibbert,o=medi corp"),
    (names.X500_NAME, "cn=a\\2Cb", "cn=a\\,b"),
    (names.HEX_BINARY, "ff", "FF"),
    (names.DAY_TIME_DURATION, "PT24H", "P1D"),
]

DIFFERENT = [
    (names.RFC822_NAME, "A@example.com", "a@example.com"),
    (names.TIME, "23:00:00-02:00", "01:00:00Z"),
    (names.DATE, "2002-03-22+01:00", "2002-03-22Z"),
    (names.ANY_URI, "http://a/", "http://a"),
    (names.X500_NAME, "cn=a,o=b", "o=b,cn=a"),
]


@pytest.mark.parametrize(("data_type", "text", "written"), VALID)
def test_a_valid_value_is_written_in_its_lexical_form(data_type: str, text: str, written: str) -> None:
    assert datatypes.write(data_type, datatypes.parse(data_type, text)) == written


@pytest.mark.parametrize(("data_type", "text"), INVALID)
def test_an_invalid_value_is_a_syntax_error(data_type: str, text: str) -> None:
    with pytest.raises(EvaluationError) as refusal:
        datatypes.parse(data_type, text)
    assert refusal.value.code == names.SYNTAX_ERROR


@pytest.mark.parametrize(("data_type", "first", "second"), EQUAL)
def test_values_that_mean_the_same_are_equal(data_type: str, first: str, second: str) -> None:
    a, b = datatypes.parse(data_type, first), datatypes.parse(data_type, second)
    assert a == b
    assert hash(a) == hash(b)


@pytest.mark.parametrize(("data_type", "first", "second"), DIFFERENT)
def test_values_that_differ_are_not_equal(data_type: str, first: str, second: str) -> None:
    assert datatypes.parse(data_type, first) != datatypes.parse(data_type, second)


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_a_datetime_is_written_as_python_writes_it(moment: Any) -> None:
    written = str(temporal.from_datetime(moment))
    again = datatypes.parse(names.DATE_TIME, written)
    assert again == temporal.from_datetime(moment)
    assert (
        written.startswith(moment.strftime("%m-%dT%H:%M:%S").rjust(5)) or moment.strftime("-%m-%dT%H:%M:%S") in written
    )


@given(st.integers(-400_000_000, 400_000_000))
def test_civil_days_go_there_and_back(days: int) -> None:
    assert temporal.days_from_civil(*temporal.civil(days)) == days


@given(st.integers(-(10**24), 10**24))
def test_durations_go_there_and_back(nanoseconds: int) -> None:
    assert temporal.parse_day_time_duration(temporal.write_day_time_duration(nanoseconds)) == nanoseconds


@given(st.floats(allow_nan=False))
def test_doubles_go_there_and_back(number: float) -> None:
    again = datatypes.parse(names.DOUBLE, datatypes.write(names.DOUBLE, number))
    assert again == number
    assert math.copysign(1, again) == math.copysign(1, number)


def test_months_are_added_with_the_day_clamped_to_the_months_last() -> None:
    end = datatypes.parse(names.DATE, "2024-01-31")
    assert temporal.civil(temporal.add_months(end, 1) // temporal.DAY) == (2024, 2, 29)
    assert temporal.civil(temporal.add_months(end, -2) // temporal.DAY) == (2023, 11, 30)
    assert temporal.civil(temporal.add_months(end, 12 * 9000) // temporal.DAY) == (11024, 1, 31)
