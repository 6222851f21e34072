"""How a function of the language is described: its arguments, what they are converted to, and what it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from havn.engines.expressions.context import Arguments, Context
from havn.engines.expressions.errors import EvaluationError
from havn.engines.expressions.values import is_null, shown, to_boolean, to_number, to_string

Kind = Literal["any", "boolean", "string", "number", "date", "list"]
Where = Literal["", "form", "backend"]


class Frame(msgspec.Struct, frozen=True):
    """What one evaluation works with."""

    context: Context
    arguments: Arguments


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """One function. `run` gets the frame first when `needs_frame`, then the converted arguments."""

    name: str
    parameters: tuple[tuple[str, Kind], ...] = ()
    """Name and kind of each argument; the last one repeats when `rest`."""
    optional: int = 0
    """How many of the last parameters may be left out."""
    rest: bool = False
    returns: Kind = "any"
    needs_frame: bool = False
    run: Callable[..., Any]
    faults: Callable[[Sequence[Any]], tuple[int, str] | None] | None = None
    """A check on the raw arguments: the index of a wrong one (0: the whole) and why."""
    where: Where = ""
    """Where the Altinn libraries know it: everywhere, only in the form, or only in the backend."""
    summary: str

    @property
    def least(self) -> int:
        """The fewest arguments."""
        return len(self.parameters) - self.optional

    @property
    def most(self) -> int | None:
        """The most arguments; None without a bound."""
        return None if self.rest else len(self.parameters)

    @property
    def arity(self) -> str:
        """The number of arguments in words."""
        if self.most is None:
            return f"at least {self.least}" if self.least else "any number of"
        if self.most == self.least:
            return str(self.least) if self.least else "no"
        return f"{self.least} to {self.most}" if self.most - self.least > 1 else f"{self.least} or {self.most}"

    def kind(self, index: int) -> Kind:
        """The kind of the argument at `index`, from 0."""
        return self.parameters[min(index, len(self.parameters) - 1)][1]


def function(
    name: str,
    signature: str,
    summary: str,
    *,
    returns: Kind,
    needs_frame: bool = False,
    faults: Callable[[Sequence[Any]], tuple[int, str] | None] | None = None,
    where: Where = "",
) -> Callable[[Callable[..., Any]], Function]:
    """Describe a function. `signature` is `name:kind` for each argument, `?` behind optional ones, `*` behind rest."""

    def decorate(run: Callable[..., Any]) -> Function:
        parameters: list[tuple[str, Kind]] = []
        optional = 0
        rest = False
        for part in signature.split():
            label, _, kind = part.partition(":")
            bare = kind.rstrip("?*")
            rest = rest or kind.endswith("*")
            optional += kind.endswith(("?", "*"))
            parameters.append((label, bare))  # type: ignore[arg-type]
        return Function(
            name=name,
            parameters=tuple(parameters),
            optional=optional,
            rest=rest,
            returns=returns,
            needs_frame=needs_frame,
            run=run,
            faults=faults,
            where=where,
            summary=summary,
        )

    return decorate


def _any(value: Any) -> Any:
    return value


def _list(value: Any) -> Any:
    if is_null(value):
        return None
    if not isinstance(value, list | tuple):
        raise EvaluationError(f"a list was expected, not {shown(value)}")
    return value


CONVERSIONS: dict[Kind, Callable[[Any], Any]] = {
    "any": _any,
    "boolean": to_boolean,
    "string": to_string,
    "number": to_number,
    "date": _any,  # converted by the function itself, which knows what a missing date means
    "list": _list,
}
