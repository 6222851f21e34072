"""Turns typed expressions and targets into Python source.

Only the shape of the policy becomes source; every text of the policy is a constant that the source names, so nothing
in a policy can be executed. Generated code reads the request through `x`, a `Request` or an `Evaluation`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from havn.engines.xacml import evaluation, names
from havn.engines.xacml.errors import EvaluationError
from havn.engines.xacml.functions import bags, text
from havn.engines.xacml.functions.comparison import EQUALITY, STRING_EQUAL_IGNORE_CASE
from havn.engines.xacml.policy import (
    AllOf,
    AnyOf,
    Apply,
    Designator,
    Expression,
    FunctionReference,
    Literal,
    Match,
    Selector,
    Target,
    VariableReference,
)

_HOIST = 12
"""Levels of expression written inline before a function is made: Python limits nested parentheses."""

_RUNTIME: dict[str, Any] = {
    "E": (),
    "M": {},
    "EvaluationError": EvaluationError,
    "need": evaluation.need,
    "current": evaluation.current,
    "select": evaluation.select,
    "variable": evaluation.variable,
    "some": evaluation.some,
    "every": evaluation.every,
    "n_of": evaluation.n_of,
    "some_value": evaluation.some_value,
    "folded": evaluation.folded,
    "one": bags.one_and_only,
    "KeyError": KeyError,
    "ValueError": ValueError,
    "__builtins__": {"any": any, "len": len, "map": map, "str": str, "True": True, "False": False, "None": None},
}

EQUALITIES = frozenset(id_ for data_type, id_ in EQUALITY.items() if data_type != names.DOUBLE)
"""Functions that agree with Python's `in` on a tuple; double-equal does not, because of NaN."""


class Code(NamedTuple):
    """A Python expression, and whether it may raise EvaluationError."""

    source: str
    fails: bool


class Codegen:
    """Collects constants and functions of one generated module."""

    def __init__(self, variables: dict[str, Expression] | None = None) -> None:
        self.namespace: dict[str, Any] = dict(_RUNTIME)
        self.functions: list[str] = []
        self.variables = variables or {}
        self.variable_names: dict[str, tuple[str, bool]] = {}
        # Bags that the function being written has already fetched, by category and key.
        self.fetched: dict[tuple[str, Any], str] = {}
        self._texts: dict[str, str] = {}
        self._count = 0

    def constant(self, value: Any) -> str:
        """A name for a value; equal texts share one."""
        if isinstance(value, str) and value in self._texts:
            return self._texts[value]
        name = self.fresh("k")
        self.namespace[name] = value
        if isinstance(value, str):
            self._texts[value] = name
        return name

    def fresh(self, prefix: str) -> str:
        """An unused name."""
        self._count += 1
        return f"{prefix}{self._count}"

    def function(self, code: Code) -> str:
        """A function of `x` for an expression."""
        name = self.fresh("f")
        self.functions.append(f"def {name}(x):\n    return {code.source}\n")
        return name

    def build(self, *sources: str) -> dict[str, Any]:
        """Compile what was collected; the namespace with its functions."""
        source = "\n".join([*self.functions, *sources])
        self.functions = []
        exec(compile(source, "<policy>", "exec"), self.namespace)  # noqa: S102 - our own source, constants by name
        return self.namespace

    # Expressions

    def expression(self, e: Expression, depth: int = 0) -> Code:
        """Source for an expression's value."""
        if depth >= _HOIST and isinstance(e, Apply):
            outer, self.fetched = self.fetched, {}
            code = self.expression(e)
            self.fetched = outer
            return Code(f"{self.function(code)}(x)", code.fails)
        match e:
            case Literal():
                return Code(self.constant(e.value), fails=False)
            case Designator():
                return self.bag(e)
            case Selector():
                return Code(f"select(x, {self.constant(e)})", fails=True)
            case VariableReference():
                return self._variable(e)
            case Apply():
                return self._apply(e, depth + 1)
            case FunctionReference():
                return Code(self.constant(e.function), fails=False)

    def bag(self, d: Designator) -> Code:
        """Source for the bag of a designator."""
        fetched = self.fetched.get((d.category, d.key))
        source = fetched or f"x.attributes.get({self.constant(d.category)}, M).get({self.key(d)}, E)"
        kind = is_current(d)
        if kind and not fetched:
            source = f"({source} or current(x, {self.constant(kind)}))"
        if d.required:
            return Code(f"need({source}, {self.constant(d.missing)})", fails=True)
        return Code(source, fails=False)

    def key(self, d: Designator) -> str:
        """The name of the constant under which a designator's bag is kept."""
        return self.constant(d.key)

    def _variable(self, e: VariableReference) -> Code:
        known = self.variable_names.get(e.id)
        if known is None:
            outer, self.fetched = self.fetched, {}
            code = self.expression(self.variables[e.id])
            self.fetched = outer
            known = self.variable_names[e.id] = (self.function(code), code.fails)
        # The function is the key: policies of one set may use the same variable names.
        return Code(f"variable(x, {known[0]}, {known[0]})", known[1])

    def _apply(self, e: Apply, depth: int) -> Code:
        function, first = e.function, e.arguments[0] if e.arguments else None
        if isinstance(first, FunctionReference):
            rest = [self.expression(a, depth) for a in e.arguments[1:]]
            listed = [
                c.source if getattr(a, "type").bag else f"({c.source},)"  # noqa: B009 - every argument here has a type
                for a, c in zip(e.arguments[1:], rest, strict=True)
            ]
            call = f"{self.constant(function.call)}(x, {self.constant(first.function)}, {', '.join(listed)})"
            return Code(call, fails=True)
        codes = [self.expression(a, depth) for a in e.arguments]
        fails = function.fails or any(c.fails for c in codes)
        if function.lazy:
            return self._lazy(function.lazy, codes)
        if function.id in text.REGEXP_MATCHES and isinstance(first, Literal):
            test = self.constant(evaluation.matcher(first.value))
            return Code(f"{test}({codes[1].source})", codes[1].fails)
        sources = [c.source for c in codes]
        if function.inline:
            return Code(function.inline.format(*sources), fails)
        if function.call is bags.one_and_only:
            return Code(f"one({sources[0]})", fails=True)
        if function.context:
            sources.insert(0, "x")
        return Code(f"{self.constant(function.call)}({', '.join(sources)})", fails)

    def _lazy(self, kind: str, codes: list[Code]) -> Code:
        if kind == "n-of":
            return Code(f"n_of({codes[0].source}, {_thunks(codes[1:])})", fails=True)
        return _all(codes) if kind == "and" else _any(codes)

    # Targets

    def target(self, target: Target) -> Code:
        """Source for whether a target matches."""
        return _all([self._any_of(a) for a in target])

    def _any_of(self, any_of: AnyOf) -> Code:
        return _any([self._all_of(a) for a in any_of])

    def _all_of(self, all_of: AllOf) -> Code:
        return _all([self.match(m) for m in all_of])

    def match(self, m: Match) -> Code:
        """Source for whether the function holds of the literal and some value."""
        found = self.expression(m.attribute)
        function, literal = m.function, m.literal.value
        if function.id in EQUALITIES:
            return Code(f"({self.constant(literal)} in {found.source})", found.fails)
        if function.id == STRING_EQUAL_IGNORE_CASE:
            return Code(f"({self.constant(literal.lower())} in folded({found.source}))", found.fails)
        if function.id in text.REGEXP_MATCHES:
            test = self.constant(evaluation.matcher(literal))
            return Code(f"any(map({test}, {found.source}))", found.fails)
        if function.fails or function.context:
            call = f"some_value(x, {self.constant(function)}, {self.constant(literal)}, {found.source})"
            return Code(call, fails=True)
        if function.inline:
            test = function.inline.format(self.constant(literal), "v")
        else:
            test = f"{self.constant(function.call)}({self.constant(literal)}, v)"
        return Code(f"any([{test} for v in {found.source}])", found.fails)


def is_current(d: Designator) -> str | None:
    """Which of the current-... attributes of the environment a designator asks for."""
    if d.category != names.ENVIRONMENT or d.issuer is not None:
        return None
    return evaluation.CURRENT.get((d.id, d.data_type))


def _thunks(codes: list[Code]) -> str:
    return f"({''.join(f'lambda: {c.source}, ' for c in codes)})"


def _all(codes: list[Code]) -> Code:
    """And: what cannot fail first, for a falsehood beats an error."""
    sure, unsure = [c for c in codes if not c.fails], [c for c in codes if c.fails]
    parts = [c.source for c in sure]
    if unsure:
        parts.append(unsure[0].source if len(unsure) == 1 else f"every({_thunks(unsure)})")
    if not parts:
        return Code("True", fails=False)
    return Code(parts[0] if len(parts) == 1 else f"({' and '.join(parts)})", bool(unsure))


def _any(codes: list[Code]) -> Code:
    """Or: what cannot fail first, for a truth beats an error."""
    sure, unsure = [c for c in codes if not c.fails], [c for c in codes if c.fails]
    parts = [c.source for c in sure]
    if unsure:
        parts.append(unsure[0].source if len(unsure) == 1 else f"some({_thunks(unsure)})")
    if not parts:
        return Code("False", fails=False)
    return Code(parts[0] if len(parts) == 1 else f"({' or '.join(parts)})", bool(unsure))
