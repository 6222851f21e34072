"""Compiling: an expression in JSON becomes one closure; everything wrong with its text is found here, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

from havn.engines.expressions.context import NO_ARGUMENTS, NOWHERE, Arguments, Context
from havn.engines.expressions.errors import CompileError, EvaluationError, Fault
from havn.engines.expressions.functions import FUNCTIONS
from havn.engines.expressions.functions.define import CONVERSIONS, Frame, Function, Kind
from havn.engines.expressions.values import is_null, shown, to_boolean

MAX_DEPTH = 60
"""Levels of nesting in one expression."""
MAX_CALLS = 5_000
"""Function calls in one expression."""

_Closure = Callable[[Frame], Any]


class Expression:
    """An expression, compiled. Immutable, and safe to share between threads."""

    __slots__ = ("_run", "is_literal", "source")

    def __init__(self, source: Any, run: _Closure, *, is_literal: bool) -> None:
        self.source = source
        self._run = run
        self.is_literal = is_literal

    def evaluate(
        self, context: Context = NOWHERE, arguments: Arguments = NO_ARGUMENTS, *, returns: Kind = "any"
    ) -> Any:
        """The value, converted to `returns`. Raises `EvaluationError`."""
        return CONVERSIONS[returns](self._run(Frame(context, arguments)))

    def holds(self, context: Context = NOWHERE, arguments: Arguments = NO_ARGUMENTS, *, default: bool = False) -> bool:
        """The value as yes or no; `default` for null. Raises `EvaluationError`."""
        value = to_boolean(self._run(Frame(context, arguments)))
        return default if value is None else value

    def __repr__(self) -> str:
        return f"Expression({shown(self.source)})"


def compile(source: Any) -> Expression:  # noqa: A001 - the field's word; used as expressions.compile
    """Compile a literal or `[function, argument, …]`. Raises `CompileError` with every fault."""
    faults: list[Fault] = []
    compiler = _Compiler(faults)
    run = compiler.value(source, ())
    if faults:
        raise CompileError(faults)
    return Expression(source, run, is_literal=not isinstance(source, list))


def faults(source: Any) -> tuple[Fault, ...]:
    """Everything wrong with the text of an expression; empty when it can be compiled."""
    try:
        compile(source)
    except CompileError as error:
        return error.faults
    return ()


def evaluate(
    source: Any, context: Context = NOWHERE, arguments: Arguments = NO_ARGUMENTS, *, returns: Kind = "any"
) -> Any:
    """Compile and evaluate once. Raises `CompileError` or `EvaluationError`."""
    return compile(source).evaluate(context, arguments, returns=returns)


def is_expression(value: Any) -> bool:
    """Whether a value that may be an expression or a literal is an expression: a list that begins with a text."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], str)


def calls(source: Any, _path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], str, list[Any]]]:
    """Every call in an expression, outermost first: its path, the function's name, its raw arguments."""
    if not is_expression(source) or len(_path) > MAX_DEPTH:
        return
    yield _path, source[0], source[1:]
    for index, argument in enumerate(source[1:], start=1):
        yield from calls(argument, (*_path, index))


class _Compiler:
    def __init__(self, faults: list[Fault]) -> None:
        self._faults = faults
        self._calls = 0

    def value(self, source: Any, path: tuple[int, ...]) -> _Closure:
        if source is None or isinstance(source, str | bool | int | float):
            return lambda _frame: source
        if not isinstance(source, list):
            kind = "an object" if isinstance(source, dict) else shown(source)
            return self._fault(path, "not_an_expression", f"{kind} is neither a value nor an expression")
        if not source or not isinstance(source[0], str):
            first = shown(source[0]) if source else "nothing"
            return self._fault(path, "not_an_expression", f"an expression begins with a function's name, not {first}")
        if len(path) >= MAX_DEPTH:
            return self._fault(path, "too_deep", f"the expression is nested deeper than {MAX_DEPTH} levels")
        self._calls += 1
        if self._calls > MAX_CALLS:
            if self._calls == MAX_CALLS + 1:
                self._fault(path, "too_large", f"the expression has more than {MAX_CALLS} calls")
            return _nothing
        return self._call(source, path)

    def _call(self, source: list[Any], path: tuple[int, ...]) -> _Closure:
        name, given = source[0], source[1:]
        arguments = [self.value(argument, (*path, index)) for index, argument in enumerate(given, start=1)]
        function = FUNCTIONS.get(name)
        if function is None:
            near = get_close_matches(name, FUNCTIONS, 1, 0.75)
            hint = f"; did you mean {near[0]}?" if near else ""
            return self._fault((*path, 0), "unknown_function", f"there is no function {name[:60]!r}{hint}")
        if name == "if":
            fault = function.faults(given) if function.faults else None
            if fault is None:
                return _conditional(arguments)
        else:
            if len(given) < function.least or (function.most is not None and len(given) > function.most):
                return self._fault(path, "arity", f"{name} takes {function.arity} arguments, not {len(given)}")
            fault = function.faults(given) if function.faults else None
        if fault is not None:
            place, message = fault
            code = "literal_wanted" if place else "arity"
            return self._fault((*path, place) if place else path, code, message)
        return _call(function, arguments)

    def _fault(self, path: tuple[int, ...], code: str, message: str) -> _Closure:
        self._faults.append(Fault(path, code, message))
        return _nothing


def _nothing(_frame: Frame) -> Any:
    return None


def _conditional(arguments: list[_Closure]) -> _Closure:
    condition, then = arguments[0], arguments[1]
    otherwise = arguments[3] if len(arguments) == 4 else _nothing

    def run(frame: Frame) -> Any:
        try:
            chosen = to_boolean(condition(frame))
        except EvaluationError as error:
            raise _inside("if", error) from None
        return then(frame) if chosen else otherwise(frame)

    return run


def _call(function: Function, arguments: list[_Closure]) -> _Closure:
    pairs = [(argument, CONVERSIONS[function.kind(index)]) for index, argument in enumerate(arguments)]
    name, work, framed = function.name, function.run, function.needs_frame

    def run(frame: Frame) -> Any:
        values = [argument(frame) for argument, _ in pairs]
        try:
            converted = [convert(value) for value, (_, convert) in zip(values, pairs, strict=True)]
            return work(frame, *converted) if framed else work(*converted)
        except EvaluationError as error:
            raise _inside(name, error) from None

    return run


def _inside(name: str, error: EvaluationError) -> EvaluationError:
    text = str(error)
    # The innermost call that failed is named; those around it only pass the error on.
    return error if text.startswith("in ") else EvaluationError(f"in {name}: {text}")


def as_text(value: Any) -> str | None:
    """A value as text for showing: null stays None, lists and objects as JSON."""
    if is_null(value):
        return None
    return value if isinstance(value, str) else shown(value)
