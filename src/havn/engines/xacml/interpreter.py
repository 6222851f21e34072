"""Evaluates expressions and matches by walking the policy: slow, plain, and the measure of what is generated.

Explanations use it, since they need the value of every part; tests hold the compiled form against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from havn.engines.xacml import evaluation
from havn.engines.xacml.codegen import is_current
from havn.engines.xacml.evaluation import Evaluation
from havn.engines.xacml.model import Bag
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
    VariableReference,
)

Variables = Mapping[str, Expression]


def value(e: Expression, x: Evaluation, variables: Variables) -> Any:
    """The value of an expression; EvaluationError when it has none."""
    match e:
        case Literal():
            return e.value
        case Designator() | Selector():
            return bag(e, x)
        case VariableReference():
            body = variables[e.id]
            return evaluation.variable(x, id(body), lambda x: value(body, x, variables))
        case Apply():
            return _apply(e, x, variables)
        case FunctionReference():
            raise TypeError("a function has no value")


def bag(source: Designator | Selector, x: Evaluation) -> Bag:
    """The bag of an attribute; EvaluationError when it must be present and is not."""
    if isinstance(source, Selector):
        return evaluation.select(x, source)
    found: Bag = x.request.bag(source.category, source.id, source.data_type, source.issuer)
    kind = is_current(source)
    if not found and kind:
        found = evaluation.current(x, kind)
    return evaluation.need(found, source.missing) if source.required else found


def holds(match: Match, x: Evaluation) -> bool:
    """Whether a match's function is true of some value; EvaluationError when none is and some fails."""
    return evaluation.some_value(x, match.function, match.literal.value, bag(match.attribute, x))


def any_of(alternatives: AnyOf, x: Evaluation) -> bool:
    """Whether some AllOf of an AnyOf matches; EvaluationError when none does and some fails."""
    return evaluation.some(partial(_all_of, all_of, x) for all_of in alternatives)


def _all_of(matches: AllOf, x: Evaluation) -> bool:
    return evaluation.every(partial(holds, match, x) for match in matches)


def _apply(e: Apply, x: Evaluation, variables: Variables) -> Any:
    function, arguments = e.function, e.arguments
    first = arguments[0] if arguments else None
    if isinstance(first, FunctionReference):
        listed = []
        for argument in arguments[1:]:
            found = value(argument, x, variables)
            assert not isinstance(argument, FunctionReference)
            listed.append(found if argument.type.bag else (found,))
        return function.call(x, first.function, *listed)
    if function.lazy is not None:
        thunks = tuple(partial(value, a, x, variables) for a in arguments)
        if function.lazy == "n-of":
            return evaluation.n_of(thunks[0](), thunks[1:])
        return evaluation.every(thunks) if function.lazy == "and" else evaluation.some(thunks)
    values = [value(argument, x, variables) for argument in arguments]
    return function.call(x, *values) if function.context else function.call(*values)
