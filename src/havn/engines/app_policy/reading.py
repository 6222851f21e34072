"""A policy's rules taken apart into grants: one combination of who, where and what each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product

import msgspec

from havn.engines.app_policy import names
from havn.engines.xacml.model import Effect
from havn.engines.xacml.policy import Designator, Duty, Literal, Match, Policy, PolicyDocument, PolicySet, Rule

MAX_GRANTS = 20_000
"""Combinations looked at in one rule; a rule with more is marked as cut off."""

_EQUAL = "urn:oasis:names:tc:xacml:1.0:function:string-equal"
_EQUAL_FOLDED = "urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case"


class Pair(msgspec.Struct, frozen=True, order=True):
    """An attribute that must have a value. `folded`: case does not matter."""

    id: str
    value: str
    folded: bool = False


class Grant(msgspec.Struct, frozen=True):
    """One combination that a rule covers. `plain` is False when something else is asked as well.

    Such as a condition, another function than equality, or an attribute of the environment.
    """

    subject: tuple[Pair, ...]
    resource: tuple[Pair, ...]
    action: Pair | None
    plain: bool


class RuleView(msgspec.Struct, frozen=True):
    """A rule and its grants."""

    rule: Rule
    policy: str
    grants: tuple[Grant, ...]
    cut: bool = False

    @property
    def permits(self) -> bool:
        """Whether it is a Permit rule."""
        return self.rule.effect is Effect.PERMIT


def rules(document: PolicyDocument) -> list[RuleView]:
    """Every rule in document order, those of nested policies included; references are not followed."""
    return [_view(rule, policy) for policy in policies(document.root) for rule in policy.rules]


def policies(root: Policy | PolicySet) -> Iterator[Policy]:
    """The policies inside, in document order."""
    if isinstance(root, Policy):
        yield root
        return
    for child in root.children:
        if isinstance(child, Policy | PolicySet):
            yield from policies(child)


def duties(document: PolicyDocument) -> Iterator[Duty]:
    """All obligations, of the root, of policies and of rules."""
    if isinstance(document.root, PolicySet):
        yield from document.root.obligations
    for policy in policies(document.root):
        yield from policy.obligations
        for rule in policy.rules:
            yield from rule.obligations


def levels(document: PolicyDocument) -> dict[str, list[int]]:
    """The minimum authentication levels stated, by obligation category."""
    found: dict[str, list[int]] = {}
    for duty in duties(document):
        for assignment in duty.assignments:
            category = assignment.category or ""
            if category in (names.MINIMUM_LEVEL, names.MINIMUM_LEVEL_ORG) and isinstance(
                assignment.expression, Literal
            ):
                text = str(assignment.expression.value)
                if text.isdigit():
                    found.setdefault(category, []).append(int(text))
    return found


def _view(rule: Rule, policy: Policy) -> RuleView:
    choices = (*policy.target, *rule.target)
    combinations = product(*choices) if choices else iter([()])
    grants = [
        _grant([match for all_of in combination for match in all_of], rule)
        for combination in islice(combinations, MAX_GRANTS)
    ]
    return RuleView(rule, policy.id, tuple(dict.fromkeys(grants)), cut=next(combinations, None) is not None)


def _grant(matches: list[Match], rule: Rule) -> Grant:
    subject: list[Pair] = []
    resource: list[Pair] = []
    action: Pair | None = None
    plain = rule.condition is None
    for match in matches:
        pair = _pair(match)
        category = match.attribute.category
        if pair is None:
            plain = False
        elif category == names.SUBJECT:
            subject.append(pair)
        elif category == names.RESOURCE:
            resource.append(pair)
        elif category == names.ACTION and pair.id == names.ACTION_ID and action is None:
            action = pair
        else:
            plain = False
    return Grant(tuple(sorted(set(subject))), tuple(sorted(set(resource))), action, plain)


def _pair(match: Match) -> Pair | None:
    function = match.function.id
    if function not in (_EQUAL, _EQUAL_FOLDED) or not isinstance(match.attribute, Designator):
        return None
    return Pair(match.attribute.id, str(match.literal.value), folded=function == _EQUAL_FOLDED)
