"""Builders of policies and requests, as text and as values."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from havn.engines import xacml
from havn.engines.xacml import names

X1, X3 = "urn:oasis:names:tc:xacml:1.0:", "urn:oasis:names:tc:xacml:3.0:"


def value(text: str, data_type: str = names.STRING) -> str:
    return f'<AttributeValue DataType="{data_type}">{text}</AttributeValue>'


def designator(
    attribute: str,
    category: str = names.ACCESS_SUBJECT,
    data_type: str = names.STRING,
    *,
    required: bool = False,
    issuer: str | None = None,
) -> str:
    extra = f' Issuer="{issuer}"' if issuer else ""
    return (
        f'<AttributeDesignator AttributeId="{attribute}" Category="{category}" DataType="{data_type}"'
        f' MustBePresent="{str(required).lower()}"{extra}/>'
    )


def match(
    text: str,
    attribute: str,
    category: str = names.ACCESS_SUBJECT,
    *,
    function: str = f"{X1}function:string-equal",
    data_type: str = names.STRING,
    required: bool = False,
) -> str:
    inner = value(text, data_type) + designator(attribute, category, data_type, required=required)
    return f'<Match MatchId="{function}">{inner}</Match>'


def target(*any_ofs: list[list[str]]) -> str:
    """A target from AnyOf, each a list of AllOf, each a list of matches."""
    inner = "".join(
        "<AnyOf>" + "".join(f"<AllOf>{''.join(a)}</AllOf>" for a in any_of) + "</AnyOf>" for any_of in any_ofs
    )
    return f"<Target>{inner}</Target>"


def apply(function: str, *arguments: str) -> str:
    uri = function if ":" in function else f"{X1}function:{function}"
    return f'<Apply FunctionId="{uri}">{"".join(arguments)}</Apply>'


def duty(identifier: str, effect: str = "Permit", *assignments: str, advice: bool = False) -> str:
    kind, when = ("Advice", "AppliesTo") if advice else ("Obligation", "FulfillOn")
    inner = "".join(
        f'<AttributeAssignmentExpression AttributeId="a{n}">{a}</AttributeAssignmentExpression>'
        for n, a in enumerate(assignments)
    )
    return (
        f"<{kind}Expressions>"
        f'<{kind}Expression {kind}Id="{identifier}" {when}="{effect}">{inner}</{kind}Expression></{kind}Expressions>'
    )


def rule(identifier: str, effect: str = "Permit", *parts: str, condition: str | None = None) -> str:
    inner = "".join(p for p in parts if p.startswith(("<Target", "<Description")))
    inner += f"<Condition>{condition}</Condition>" if condition else ""
    inner += "".join(p for p in parts if p.startswith(("<Obligation", "<Advice")))
    return f'<Rule RuleId="{identifier}" Effect="{effect}">{inner}</Rule>'


def algorithm(name: str, kind: str) -> str:
    if ":" in name:
        return name
    version = "1.0" if name in {"first-applicable", "only-one-applicable"} else "3.0"
    return f"urn:oasis:names:tc:xacml:{version}:{kind}-combining-algorithm:{name}"


def policy(
    *parts: str,
    identifier: str = "p",
    combining: str = "deny-overrides",
    head: str = "<Target/>",
    version: str = "1.0",
    namespaces: str = "",
) -> str:
    return (
        f'<Policy xmlns="{names.NAMESPACE}" {namespaces} PolicyId="{identifier}" Version="{version}"'
        f' RuleCombiningAlgId="{algorithm(combining, "rule")}">{head}{"".join(parts)}</Policy>'
    )


def policy_set(
    *parts: str, identifier: str = "s", combining: str = "deny-overrides", head: str = "<Target/>", version: str = "1.0"
) -> str:
    return (
        f'<PolicySet xmlns="{names.NAMESPACE}" PolicySetId="{identifier}" Version="{version}"'
        f' PolicyCombiningAlgId="{algorithm(combining, "policy")}">{head}{"".join(parts)}</PolicySet>'
    )


def load(text: str, source: str = "test.xml", **options: Any) -> xacml.PolicyDocument:
    return xacml.load_policy(text.encode(), source=source, **options)


def compiled(text: str, *others: str, **options: Any) -> xacml.CompiledPolicy:
    resolver = xacml.repository([load(other, f"other{n}.xml") for n, other in enumerate(others)])
    return xacml.compile_policy(load(text), resolver, **options)


def subject(attribute: str, *values: Any, data_type: str = names.STRING, **more: Any) -> xacml.Attribute:
    return xacml.Attribute(category=names.ACCESS_SUBJECT, id=attribute, values=values, data_type=data_type, **more)


def request(*attributes: xacml.Attribute, **options: Any) -> xacml.Request:
    return xacml.Request.of(attributes, **options)


def evaluated(condition: str, *attributes: xacml.Attribute, variables: str = "", **options: Any) -> xacml.Result:
    """The result of a policy with one Permit rule of this condition."""
    return compiled(policy(variables, rule("r", condition=condition))).decide(request(*attributes, **options))


@pytest.fixture(scope="session")
def x() -> Any:
    """The builders, by name."""
    built: dict[str, Callable[..., Any]] = {
        f.__name__: f
        for f in (
            value,
            designator,
            match,
            target,
            apply,
            duty,
            rule,
            policy,
            policy_set,
            load,
            compiled,
            subject,
            request,
            evaluated,
        )
    }
    return SimpleNamespace(**built)
