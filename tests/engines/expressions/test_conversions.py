"""What is converted to what, by example and by property."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havn.engines import expressions
from havn.engines.expressions import EvaluationError, ExpressionError
from havn.engines.expressions.values import number_text, parse_number, to_boolean, to_number, to_string

FINITE = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(10**21) + 1, 10**21 - 1)
LITERALS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FINITE | st.text(max_size=20)


@given(FINITE | st.integers(-(2**53), 2**53))
def test_a_number_survives_being_text(number: float) -> None:
    assert to_number(number_text(to_number(number))) == number  # type: ignore[arg-type]


@given(INTEGERS)
def test_integers_of_up_to_21_digits_are_exact(number: int) -> None:
    assert parse_number(str(number)) == number


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12), st.integers(0, 4))
def test_arithmetic_is_that_of_decimals(a: int, b: int, digits: int) -> None:
    first, second = Decimal(a).scaleb(-digits), Decimal(b).scaleb(-digits)
    assert expressions.evaluate(["plus", str(first), str(second)]) == nearest(first + second)
    assert expressions.evaluate(["minus", str(first), str(second)]) == nearest(first - second)
    assert expressions.evaluate(["multiply", str(first), str(second)]) == nearest(first * second)


def nearest(number: Decimal) -> float:
    whole = number == number.to_integral_value() and abs(number) < 10**21
    return int(number) if whole else float(number)


@given(LITERALS)
def test_text_of_a_literal_is_stable(value: Any) -> None:
    once = to_string(value)
    assert to_string(once) == once


@given(LITERALS, LITERALS)
def test_equals_is_the_same_either_way(a: Any, b: Any) -> None:
    there = expressions.evaluate(["equals", a, b])
    assert there == expressions.evaluate(["equals", b, a])
    assert there != expressions.evaluate(["notEquals", a, b])


@given(LITERALS, LITERALS)
def test_an_order_holds_one_way_at_most(a: Any, b: Any) -> None:
    try:
        greater, less = (expressions.evaluate([name, a, b]) for name in ("greaterThan", "lessThanEq"))
    except EvaluationError:
        return
    assert not (greater and less)


@given(st.recursive(LITERALS | st.just({}), lambda inner: st.lists(inner, max_size=4), max_leaves=20))
def test_any_json_is_a_value_or_an_expression_error(value: Any) -> None:
    try:
        expressions.evaluate(value)
    except ExpressionError as error:
        assert str(error)  # noqa: PT017 - either outcome is right, but an error says why


@given(st.sampled_from(sorted(expressions.FUNCTIONS)), st.lists(LITERALS, max_size=5))
def test_any_function_with_any_arguments_answers_or_says_why(name: str, arguments: list[Any]) -> None:
    try:
        value = expressions.evaluate([name, *arguments])
    except ExpressionError as error:
        assert str(error)  # noqa: PT017
        return
    json.dumps(value, allow_nan=False)


@given(st.text(max_size=40), st.integers(-50, 50), st.none() | st.integers(-50, 50))
def test_slices_count_in_utf_16(text: str, start: int, end: int | None) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    wanted = [units[i : i + 2] for i in range(0, len(units), 2)][start:end]
    arguments = [start] if end is None else [start, end]
    if text.lower() == "null":
        return
    given = expressions.evaluate(["stringSlice", "" if text == "" else text, *arguments])
    boolean = text.lower() in ("true", "false")
    if not boolean:
        assert given == b"".join(wanted).decode("utf-16-le", "replace")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(True, True), ("TRUE", True), ("False", False), (1, True), (0.0, False), ("1.000", True), ("0", False),
     ("-0", False), (None, None), ("Null", None)],
)  # fmt: skip
def test_yes_and_no(value: Any, wanted: bool | None) -> None:
    assert to_boolean(value) is wanted


@pytest.mark.parametrize("value", ["yes", "", 2, -1, "1,0", [], {}, " true"])
def test_what_is_neither_yes_nor_no(value: Any) -> None:
    with pytest.raises(EvaluationError):
        to_boolean(value)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(1.0, "1"), (-0.0, "0"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (1e-6, "0.000001"), (1e-7, "1e-7"),
     (123.456, "123.456"), (1.5e300, "1.5e+300"), (-2.5e-10, "-2.5e-10"), (True, "true"), ("TRUE", "true"),
     ("nUll", None), ("Trued", "Trued"), (Decimal("1.50"), "1.5")],
)  # fmt: skip
def test_text_is_as_json_writes_it(value: Any, wanted: str | None) -> None:
    assert to_string(value) == wanted


@pytest.mark.parametrize(
    "text", ["1.", "e5", "1e", "0x10", "1 ", "١", "1_000", "", "+", "--1", "1e99999", "∞", "NaN", "9" * 400]
)
def test_what_is_no_number(text: str) -> None:
    assert parse_number(text) is None


def test_numbers_too_small_are_nothing() -> None:
    assert parse_number("1e-500") == 0
    assert math.isclose(parse_number("1e-300") or 0, 1e-300)
