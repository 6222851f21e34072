"""Yes and no: and, or, not, if."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from havn.engines.expressions.functions.define import Function, function


@function("not", "value:boolean", "The opposite; null counts as false.", returns="boolean")
def _not(value: bool | None) -> bool:
    return not value


@function(
    "and", "value:boolean more:boolean*", "Whether all are true; null counts as false. All are read.", returns="boolean"
)
def _and(*values: bool | None) -> bool:
    return all(values)


@function(
    "or", "value:boolean more:boolean*", "Whether any is true; null counts as false. All are read.", returns="boolean"
)
def _or(*values: bool | None) -> bool:
    return any(values)


def _if_faults(arguments: Sequence[Any]) -> tuple[int, str] | None:
    if len(arguments) not in (2, 4):
        return 0, f'if takes 2 arguments, or 4 with "else" as the third, not {len(arguments)}'
    if len(arguments) == 4 and arguments[2] != "else":
        return 3, 'the third argument of if is the word "else"'
    return None


@function(
    "if",
    "condition:boolean then:any else:any? otherwise:any?",
    'One of two values; null when there is no "else" part. The part not chosen is not evaluated.',
    returns="any",
    faults=_if_faults,
)
def _if(condition: bool | None, then: Any, _else: Any = None, otherwise: Any = None) -> Any:
    # The compiler evaluates only the part chosen; this body serves callers who have all values.
    return then if condition else otherwise


FUNCTIONS: tuple[Function, ...] = (_not, _and, _or, _if)
