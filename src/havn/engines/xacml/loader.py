"""Reads a policy text: structure, identifiers, limits. What stands inside expressions is `expression_reader`'s."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from lxml import etree

from havn.engines.xacml import limits, names, safe_xml, versions
from havn.engines.xacml.algorithms import POLICY_ALGORITHMS, RULE_ALGORITHMS, Algorithm
from havn.engines.xacml.errors import PolicyError
from havn.engines.xacml.expression_reader import ExpressionReader, Place, attribute, children, line_of, only_attributes
from havn.engines.xacml.functions.registry import BOOLEAN
from havn.engines.xacml.model import Effect
from havn.engines.xacml.policy import (
    AssignmentExpression,
    Duty,
    Expression,
    Policy,
    PolicyDocument,
    PolicySet,
    Reference,
    Rule,
)
from havn.engines.xacml.safe_xml import NS


def load_policy(
    xml: bytes, *, source: str, limits: limits.Limits = limits.DEFAULT, refuse_issuer: bool = False
) -> PolicyDocument:
    """Read and type-check one Policy or PolicySet document; raises PolicyError with the place of the fault.

    A `PolicyIssuer` is ignored, since only trusted policies are loaded; `refuse_issuer` refuses such a policy.
    """
    if len(xml) > limits.policy_bytes:
        raise PolicyError(f"a policy may have at most {limits.policy_bytes} bytes", source=source)
    try:
        root = safe_xml.parse(xml, depth=limits.depth)
    except safe_xml.UnsafeXml as error:
        raise PolicyError(str(error), source=source, line=error.line) from error
    reader = _Loader(source, limits, refuse_issuer)
    if root.tag == NS + "Policy":
        read: Policy | PolicySet = reader.policy(root)
    elif root.tag == NS + "PolicySet":
        read = reader.policy_set(root)
    else:
        raise PolicyError(
            f"the document is a {root.tag}, not a Policy or PolicySet of {names.NAMESPACE}", source=source, line=1
        )
    return PolicyDocument(read, source, hashlib.sha256(xml).hexdigest())


class _Loader:
    def __init__(self, source: str, bounds: limits.Limits, refuse_issuer: bool) -> None:
        self.place = Place(source)
        self.bounds = bounds
        self.refuse_issuer = refuse_issuer
        self.seen: set[tuple[str, str]] = set()
        self.rules = 0

    def policy_set(self, element: etree._Element) -> PolicySet:
        with self.place.inside(policy=attribute(self.place, element, "PolicySetId")):
            set_id, version = self.identity(element, "PolicySetId")
            only_attributes(self.place, element, "PolicySetId", "Version", "PolicyCombiningAlgId", "MaxDelegationDepth")
            algorithm = self.algorithm(element, "PolicyCombiningAlgId", POLICY_ALGORITHMS)
            parts = self.parts(element, "PolicySetDefaults")
            members: list[Policy | PolicySet | Reference] = []
            for child in parts.rest:
                match _local(child):
                    case "Policy":
                        members.append(self.policy(child))
                    case "PolicySet":
                        members.append(self.policy_set(child))
                    case "PolicyIdReference" | "PolicySetIdReference":
                        members.append(self.reference(child))
                    case "CombinerParameters" | "PolicyCombinerParameters" | "PolicySetCombinerParameters":
                        self.combiner_parameters(child)
                    case name:
                        raise self.place.error(child, f"a PolicySet may not hold {name}")
            reader = ExpressionReader(self.place, parts.xpath_version, {})
            return PolicySet(
                id=set_id,
                version=version,
                algorithm=algorithm,
                target=reader.target(parts.target),
                children=tuple(members),
                obligations=self.duties(reader, parts.obligations, "ObligationExpression", "ObligationId", "FulfillOn"),
                advice=self.duties(reader, parts.advice, "AdviceExpression", "AdviceId", "AppliesTo"),
                description=parts.description,
                issued=parts.issued,
                line=line_of(element),
            )

    def policy(self, element: etree._Element) -> Policy:
        with self.place.inside(policy=attribute(self.place, element, "PolicyId")):
            policy_id, version = self.identity(element, "PolicyId")
            only_attributes(self.place, element, "PolicyId", "Version", "RuleCombiningAlgId", "MaxDelegationDepth")
            algorithm = self.algorithm(element, "RuleCombiningAlgId", RULE_ALGORITHMS)
            parts = self.parts(element, "PolicyDefaults")
            definitions: dict[str, etree._Element] = {}
            rule_elements: dict[str, etree._Element] = {}
            for child in parts.rest:
                match _local(child):
                    case "Rule":
                        self.unique(child, "RuleId", rule_elements)
                    case "VariableDefinition":
                        self.unique(child, "VariableId", definitions)
                    case "CombinerParameters" | "RuleCombinerParameters":
                        self.combiner_parameters(child)
                    case name:
                        raise self.place.error(child, f"a Policy may not hold {name}")
            self.rules += len(rule_elements)
            if self.rules > self.bounds.rules:
                raise self.place.error(element, f"a document may have at most {self.bounds.rules} rules")
            reader = ExpressionReader(self.place, parts.xpath_version, definitions)
            return Policy(
                id=policy_id,
                version=version,
                algorithm=algorithm,
                target=reader.target(parts.target),
                rules=tuple(self.rule(reader, rule) for rule in rule_elements.values()),
                variables=reader.all_variables(),
                obligations=self.duties(reader, parts.obligations, "ObligationExpression", "ObligationId", "FulfillOn"),
                advice=self.duties(reader, parts.advice, "AdviceExpression", "AdviceId", "AppliesTo"),
                description=parts.description,
                issued=parts.issued,
                line=line_of(element),
            )

    def rule(self, reader: ExpressionReader, element: etree._Element) -> Rule:
        rule_id = attribute(self.place, element, "RuleId")
        with self.place.inside(rule=rule_id):
            only_attributes(self.place, element, "RuleId", "Effect")
            held: dict[str, etree._Element] = {}
            for child in children(element):
                name = _local(child)
                if name not in {"Description", "Target", "Condition", "ObligationExpressions", "AdviceExpressions"}:
                    raise self.place.error(child, f"a Rule may not hold {name}")
                if name in held:
                    raise self.place.error(child, f"a Rule may hold only one {name}")
                held[name] = child
            condition: Expression | None = None
            if "Condition" in held:
                condition = reader.only_expression(held["Condition"])
                if getattr(condition, "type", None) != BOOLEAN:
                    raise self.place.error(held["Condition"], "a Condition must be a boolean")
            return Rule(
                id=rule_id,
                effect=self.effect(element, "Effect"),
                target=reader.target(held.get("Target")),
                condition=condition,
                obligations=self.duties(
                    reader, held.get("ObligationExpressions"), "ObligationExpression", "ObligationId", "FulfillOn"
                ),
                advice=self.duties(reader, held.get("AdviceExpressions"), "AdviceExpression", "AdviceId", "AppliesTo"),
                description=_description(held.get("Description")),
                line=line_of(element),
            )

    def identity(self, element: etree._Element, name: str) -> tuple[str, str]:
        identifier = attribute(self.place, element, name)
        version = attribute(self.place, element, "Version")
        if not versions.is_version(version):
            raise self.place.error(element, f"{version!r} is not a version")
        if (name, identifier) in self.seen:
            raise self.place.error(element, f"the identifier {identifier} is used twice in this document")
        self.seen.add((name, identifier))
        return identifier, version

    def algorithm(self, element: etree._Element, name: str, known: Any) -> Algorithm:
        algorithm_id = attribute(self.place, element, name)
        found = known.get(algorithm_id)
        if found is None:
            raise self.place.error(element, f"unknown {name} {algorithm_id}")
        return found  # type: ignore[no-any-return]

    def effect(self, element: etree._Element, name: str) -> Effect:
        text = attribute(self.place, element, name)
        try:
            return Effect(text)
        except ValueError:
            raise self.place.error(element, f"{name} must be Permit or Deny, not {text!r}") from None

    def unique(self, element: etree._Element, name: str, seen: dict[str, etree._Element]) -> None:
        identifier = attribute(self.place, element, name)
        if identifier in seen:
            raise self.place.error(element, f"the {name} {identifier} is used twice in this policy")
        seen[identifier] = element

    def reference(self, element: etree._Element) -> Reference:
        only_attributes(self.place, element, "Version", "EarliestVersion", "LatestVersion")
        patterns = {name: element.get(name) for name in ("Version", "EarliestVersion", "LatestVersion")}
        for name, pattern in patterns.items():
            if pattern is not None and not versions.is_pattern(pattern):
                raise self.place.error(element, f"{name} {pattern!r} is not a version pattern")
        identifier = safe_xml.text_of(element).strip()
        if not identifier or len(element):
            raise self.place.error(element, "a reference must hold an identifier")
        return Reference(
            id=identifier,
            is_set=_local(element) == "PolicySetIdReference",
            version=patterns["Version"],
            earliest=patterns["EarliestVersion"],
            latest=patterns["LatestVersion"],
            line=line_of(element),
        )

    def combiner_parameters(self, element: etree._Element) -> None:
        """Checked and set aside: no standard algorithm has parameters."""
        for child in children(element):
            if _local(child) != "CombinerParameter":
                raise self.place.error(child, f"{_local(element)} may not hold {_local(child)}")
            attribute(self.place, child, "ParameterName")

    def parts(self, element: etree._Element, defaults: str) -> _Parts:
        parts = _Parts()
        seen: set[str] = set()
        for child in children(element):
            name = _local(child)
            if name in {
                "Description",
                "PolicyIssuer",
                "Target",
                "ObligationExpressions",
                "AdviceExpressions",
                defaults,
            }:
                if name in seen:
                    raise self.place.error(child, f"only one {name} is allowed")
                seen.add(name)
            match name:
                case "Description":
                    parts.description = _description(child)
                case "PolicyIssuer":
                    if self.refuse_issuer:
                        raise self.place.error(child, "policies with a PolicyIssuer are refused")
                    parts.issued = True
                case "Target":
                    parts.target = child
                case "ObligationExpressions":
                    parts.obligations = child
                case "AdviceExpressions":
                    parts.advice = child
                case _ if name == defaults:
                    found = child.find(NS + "XPathVersion")
                    parts.xpath_version = safe_xml.text_of(found).strip() if found is not None else None
                case _:
                    parts.rest.append(child)
        if parts.target is None:
            raise self.place.error(element, f"a {_local(element)} must have a Target")
        return parts

    def duties(
        self, reader: ExpressionReader, element: etree._Element | None, kind: str, id_name: str, effect_name: str
    ) -> tuple[Duty, ...]:
        return tuple(self._duties(reader, element, kind, id_name, effect_name)) if element is not None else ()

    def _duties(
        self, reader: ExpressionReader, element: etree._Element, kind: str, id_name: str, effect_name: str
    ) -> Iterator[Duty]:
        for child in children(element):
            if _local(child) != kind:
                raise self.place.error(child, f"{_local(element)} may not hold {_local(child)}")
            only_attributes(self.place, child, id_name, effect_name)
            assignments: list[AssignmentExpression] = []
            for part in children(child):
                if _local(part) != "AttributeAssignmentExpression":
                    raise self.place.error(part, f"{kind} may not hold {_local(part)}")
                only_attributes(self.place, part, "AttributeId", "Category", "Issuer")
                assignments.append(
                    AssignmentExpression(
                        id=attribute(self.place, part, "AttributeId"),
                        expression=reader.only_expression(part),
                        category=part.get("Category"),
                        issuer=part.get("Issuer"),
                    )
                )
            yield Duty(attribute(self.place, child, id_name), self.effect(child, effect_name), tuple(assignments))


class _Parts:
    """The children of a policy or policy set, sorted."""

    def __init__(self) -> None:
        self.description: str | None = None
        self.issued = False
        self.xpath_version: str | None = None
        self.target: etree._Element | None = None
        self.obligations: etree._Element | None = None
        self.advice: etree._Element | None = None
        self.rest: list[etree._Element] = []


def _local(element: etree._Element) -> str:
    tag = str(element.tag)
    return tag.removeprefix(NS)


def _description(element: etree._Element | None) -> str | None:
    return " ".join(safe_xml.text_of(element).split()) or None if element is not None else None
