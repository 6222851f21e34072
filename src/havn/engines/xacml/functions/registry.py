"""What a function is: its identifier, the types it takes and gives, and what it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from havn.engines.xacml import datatypes, names

F1 = "urn:oasis:names:tc:xacml:1.0:function:"
F2 = "urn:oasis:names:tc:xacml:2.0:function:"
F3 = "urn:oasis:names:tc:xacml:3.0:function:"


class Type(NamedTuple):
    """The type of an expression: one value of a data type, or a bag of them."""

    data_type: str
    bag: bool = False

    def __str__(self) -> str:
        name = datatypes.short(self.data_type)
        return f"bag of {name}" if self.bag else name


class TypeMismatch(ValueError):
    """A function is given arguments that it does not take."""


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """One function.

    `check` gives the result type for argument types (a `Function` where one is passed), or raises TypeMismatch.
    `call` computes on values, with the evaluation first when `context`. `fails` tells whether it can have no value
    for arguments of the right types. `inline` is a Python expression for the same, with {0}, {1} for the arguments.
    `lazy` names the functions whose arguments are evaluated one by one.
    """

    id: str
    check: Callable[[tuple[Type | Function, ...]], Type]
    call: Callable[..., Any]
    signature: str
    fails: bool = False
    context: bool = False
    inline: str | None = None
    lazy: str | None = None

    @property
    def name(self) -> str:
        """The last part of the identifier, for people."""
        return self.id.rpartition(":")[2]


BOOLEAN = Type(names.BOOLEAN)
INTEGER = Type(names.INTEGER)
STRING = Type(names.STRING)


def define(
    function_id: str,
    parameters: Iterable[Type],
    returns: Type,
    call: Callable[..., Any],
    *,
    rest: Type | None = None,
    fails: bool = False,
    context: bool = False,
    inline: str | None = None,
    lazy: str | None = None,
) -> Function:
    """A function with fixed parameters, then any number of `rest`."""
    expected = tuple(parameters)
    name = function_id.rpartition(":")[2]
    shown = ", ".join([*map(str, expected), *([f"{rest}..."] if rest else [])])

    def check(given: tuple[Type | Function, ...]) -> Type:
        if len(given) < len(expected) or (rest is None and len(given) > len(expected)):
            raise TypeMismatch(f"{name} takes ({shown}), not {len(given)} arguments")
        for index, actual in enumerate(given):
            wanted = expected[index] if index < len(expected) else rest
            if actual != wanted:
                raise TypeMismatch(f"{name} takes ({shown}); argument {index + 1} is a {_shown(actual)}")
        return returns

    return Function(
        id=function_id,
        check=check,
        call=call,
        signature=f"({shown}) → {returns}",
        fails=fails,
        context=context,
        inline=inline,
        lazy=lazy,
    )


def _shown(actual: Type | Function) -> str:
    return f"function {actual.name}" if isinstance(actual, Function) else str(actual)
