"""What can be wrong with an expression: faults found when it is compiled, and errors met when it is evaluated."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong in the text of an expression."""

    path: tuple[int, ...]
    """Where: the index at each level of nested lists, from the outside in; empty for the whole."""
    code: str
    """`not_an_expression`, `unknown_function`, `arity`, `literal_wanted`, `too_deep` or `too_large`."""
    message: str


class ExpressionError(ValueError):
    """An expression cannot be used, or has no value."""


class CompileError(ExpressionError):
    """The text is not an expression; `faults` holds every reason."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = tuple(faults)


class EvaluationError(ExpressionError):
    """The expression has no value with these data; the message says why."""
