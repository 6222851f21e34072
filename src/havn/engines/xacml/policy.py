"""A policy as it was read and type-checked: what `load_policy` gives and everything else works on."""

from __future__ import annotations

from typing import Any

import msgspec

from havn.engines.xacml import model
from havn.engines.xacml.algorithms import Algorithm
from havn.engines.xacml.errors import MissingAttribute
from havn.engines.xacml.functions.registry import Function, Type
from havn.engines.xacml.model import Effect


class Literal(msgspec.Struct, frozen=True, gc=False):
    """A value stated in the policy."""

    type: Type
    value: Any


class Designator(msgspec.Struct, frozen=True, cache_hash=True):
    """The bag of one attribute of the request (core section 5.29)."""

    category: str
    id: str
    data_type: str
    required: bool
    issuer: str | None = None

    @property
    def type(self) -> Type:
        """A bag."""
        return Type(self.data_type, bag=True)

    @property
    def key(self) -> model.AttributeKey:
        """Where the request keeps the bag."""
        return model.attribute_key(self.id, self.data_type, self.issuer)

    @property
    def missing(self) -> MissingAttribute:
        """What is reported when it is required and absent."""
        return MissingAttribute(self.category, self.id, self.data_type, self.issuer)


class Selector(msgspec.Struct, frozen=True, gc=False):
    """The bag of what an XPath selects in a category's content (core section 5.30)."""

    category: str
    path: str
    data_type: str
    required: bool
    namespaces: tuple[tuple[str, str], ...] = ()
    context_selector: str | None = None

    @property
    def type(self) -> Type:
        """A bag."""
        return Type(self.data_type, bag=True)


class Apply(msgspec.Struct, frozen=True, gc=False):
    """A function of arguments."""

    function: Function
    arguments: tuple[Expression, ...]
    type: Type


class FunctionReference(msgspec.Struct, frozen=True, gc=False):
    """A function passed to a higher-order function."""

    function: Function


class VariableReference(msgspec.Struct, frozen=True, gc=False):
    """The value of a variable of the same policy."""

    id: str
    type: Type


Expression = Literal | Designator | Selector | Apply | FunctionReference | VariableReference


class Match(msgspec.Struct, frozen=True, gc=False):
    """One comparison of a target: the function of the literal and some value of the attribute."""

    function: Function
    literal: Literal
    attribute: Designator | Selector


AllOf = tuple[Match, ...]
AnyOf = tuple[AllOf, ...]
Target = tuple[AnyOf, ...]
"""Empty: matches every request."""


class AssignmentExpression(msgspec.Struct, frozen=True, gc=False):
    """An attribute assignment with its value still to be computed."""

    id: str
    expression: Expression
    category: str | None = None
    issuer: str | None = None


class Duty(msgspec.Struct, frozen=True, gc=False):
    """An obligation or advice expression: given out when the decision is `effect`."""

    id: str
    effect: Effect
    assignments: tuple[AssignmentExpression, ...] = ()


class Rule(msgspec.Struct, frozen=True, gc=False):
    """One rule; `line` is where it begins in its document."""

    id: str
    effect: Effect
    target: Target = ()
    condition: Expression | None = None
    obligations: tuple[Duty, ...] = ()
    advice: tuple[Duty, ...] = ()
    description: str | None = None
    line: int | None = None


class Policy(msgspec.Struct, frozen=True, gc=False):
    """Rules under one rule-combining algorithm. `issued`: a PolicyIssuer was present and is ignored."""

    id: str
    version: str
    algorithm: Algorithm
    target: Target = ()
    rules: tuple[Rule, ...] = ()
    variables: dict[str, Expression] = {}
    obligations: tuple[Duty, ...] = ()
    advice: tuple[Duty, ...] = ()
    description: str | None = None
    issued: bool = False
    line: int | None = None


class Reference(msgspec.Struct, frozen=True, gc=False):
    """A policy or policy set named by identifier and version patterns (core sections 5.10, 5.11)."""

    id: str
    is_set: bool
    version: str | None = None
    earliest: str | None = None
    latest: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        kind = "policy set" if self.is_set else "policy"
        return f"{kind} {self.id}" + (f" version {self.version}" if self.version else "")


class PolicySet(msgspec.Struct, frozen=True, gc=False):
    """Policies, policy sets and references under one policy-combining algorithm."""

    id: str
    version: str
    algorithm: Algorithm
    target: Target = ()
    children: tuple[Policy | PolicySet | Reference, ...] = ()
    obligations: tuple[Duty, ...] = ()
    advice: tuple[Duty, ...] = ()
    description: str | None = None
    issued: bool = False
    line: int | None = None


class PolicyDocument(msgspec.Struct, frozen=True, gc=False):
    """One policy text: `source` as the caller named it, `digest` the SHA-256 of the text in hex."""

    root: Policy | PolicySet
    source: str
    digest: str
