"""Arithmetic, done in decimals: 0.1 + 0.2 is 0.3. Null counts as 0."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal

from havn.engines.expressions.errors import EvaluationError
from havn.engines.expressions.functions.define import Function, function
from havn.engines.expressions.values import Number, from_decimal, number_text, to_decimal

MAX_DIGITS = 100
# Wide enough for the exact product or sum of two doubles of everyday size; beyond it, half-even rounding.
_EXACT = decimal.Context(prec=60, rounding=decimal.ROUND_HALF_EVEN, traps=[])


def calculate(operation: Callable[[Decimal, Decimal], Decimal], a: Number | None, b: Number | None) -> Number:
    """The result of a decimal operation as a number."""
    with decimal.localcontext(_EXACT):
        outcome = operation(to_decimal(a or 0), to_decimal(b or 0))
    number = from_decimal(outcome) if outcome.is_finite() else None
    if number is None:
        raise EvaluationError("the result is larger than any number can be here")
    return number


def add(a: Number | None, b: Number | None) -> Number:
    """The sum."""
    return calculate(Decimal.__add__, a, b)


def quotient(a: Number | None, b: Number | None) -> Number:
    """The quotient; an error when `b` is 0."""
    if not b:
        raise EvaluationError("division by 0")
    return calculate(Decimal.__truediv__, a, b)


@function("plus", "a:number more:number*", "The sum.", returns="number")
def _plus(*terms: Number | None) -> Number:
    total: Number = 0
    for term in terms:
        total = add(total, term)
    return total


@function("minus", "a:number b:number", "The difference.", returns="number")
def _minus(a: Number | None, b: Number | None) -> Number:
    return calculate(Decimal.__sub__, a, b)


@function("multiply", "a:number more:number*", "The product.", returns="number")
def _multiply(*factors: Number | None) -> Number:
    product: Number = 1
    for factor in factors:
        product = calculate(Decimal.__mul__, product, factor)
    return product


@function("divide", "a:number b:number", "The quotient; dividing by 0 is an error.", returns="number")
def _divide(a: Number | None, b: Number | None) -> Number:
    return quotient(a, b)


@function(
    "round",
    "value:number digits:number?",
    "Text with exactly that many decimals (none when left out), halves away from zero.",
    returns="string",
)
def _round(value: Number | None, digits: Number | None = None) -> str:
    places = digits or 0
    if not isinstance(places, int) or not 0 <= places <= MAX_DIGITS:
        raise EvaluationError(f"round takes 0 to {MAX_DIGITS} decimals, not {number_text(places)}")
    number = to_decimal(value or 0)
    with decimal.localcontext(decimal.Context(prec=500, rounding=decimal.ROUND_HALF_UP)):
        rounded = number.quantize(Decimal(1).scaleb(-places))
    return f"{rounded or abs(rounded):f}"


FUNCTIONS: tuple[Function, ...] = (_plus, _minus, _multiply, _divide, _round)
