"""What a policy looks at in a request."""

from __future__ import annotations

from collections.abc import Iterable

from havn.engines.xacml.functions.registry import Function
from havn.engines.xacml.policy import (
    Apply,
    Designator,
    Expression,
    Literal,
    Policy,
    PolicySet,
    Rule,
    Selector,
    Target,
    VariableReference,
)


def used_attributes(parts: Iterable[Policy | PolicySet]) -> tuple[frozenset[Designator], bool]:
    """Every attribute that policies look at, and whether they look at anything else: content, other categories."""
    found: set[Designator] = set()
    content = False

    def expression(e: Expression) -> None:
        nonlocal content
        match e:
            case Designator():
                found.add(e)
            case Selector():
                content = True
            case Apply():
                content = content or _reads_content(e.function)
                for argument in e.arguments:
                    expression(argument)
            case Literal() | VariableReference():
                pass
            case _:
                content = content or _reads_content(e.function)

    def target(t: Target) -> None:
        nonlocal content
        for any_of in t:
            for all_of in any_of:
                for m in all_of:
                    content = content or _reads_content(m.function)
                    expression(m.attribute)

    def duties(part: Policy | PolicySet | Rule) -> None:
        for duty in part.obligations + part.advice:
            for a in duty.assignments:
                expression(a.expression)

    for part in parts:
        target(part.target)
        duties(part)
        if isinstance(part, Policy):
            for variable in part.variables.values():
                expression(variable)
            for rule in part.rules:
                target(rule.target)
                duties(rule)
                if rule.condition is not None:
                    expression(rule.condition)
    return frozenset(found), content


def _reads_content(function: Function) -> bool:
    return function.name.startswith("xpath-") or function.name == "access-permitted"
