"""Finds what is wrong with a policy that loads: rules that can do nothing, or not what was meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Literal as Choice

import msgspec

from havn.engines.xacml import algorithms, names, wording
from havn.engines.xacml.covering import Covering, covers
from havn.engines.xacml.model import Effect
from havn.engines.xacml.policy import (
    Apply,
    Designator,
    Expression,
    Literal,
    Match,
    Policy,
    PolicyDocument,
    PolicySet,
    Reference,
    Rule,
    Target,
    VariableReference,
)
from havn.engines.xacml.targets import Conjunct, conjuncts, legacy, only_member

_ORG, _APP, _TASK, _END = "urn:altinn:org", "urn:altinn:app", "urn:altinn:task", "urn:altinn:end-event"
_ROLE = "urn:altinn:rolecode"
_RESOURCE = "urn:altinn:resource"
_LEVEL = "urn:altinn:minimum-authenticationlevel"
_PLACEHOLDER = re.compile(r"\[(?:ORG|org|APP|app)\]")
_SINGLE = {
    (names.RESOURCE, _ORG), (names.RESOURCE, _APP), (names.RESOURCE, _TASK), (names.RESOURCE, _END),
    (names.ACTION, names.ACTION_ID), (names.ACCESS_SUBJECT, _ORG), (names.ACCESS_SUBJECT, "urn:altinn:userid"),
}  # fmt: skip
"""Attributes of which a request has one value at most, so that two different ones cannot both be met."""


class Finding(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One thing found. `code` is stable; an error makes the policy do what nobody can have meant."""

    severity: Choice["error", "warning", "note"]
    code: str
    message: str
    source: str
    line: int | None = None
    policy_id: str | None = None
    rule_id: str | None = None


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about the app around a policy; None where it is not known, and then not checked."""

    org: str | None = None
    app: str | None = None
    tasks: Collection[str] | None = None
    end_events: Collection[str] | None = None
    sign_tasks: Collection[str] | None = None
    actions: Collection[str] | None = None
    roles: Collection[str] | None = None
    highest_level: int = 4


NOTHING_KNOWN = Surroundings()


def lint(document: PolicyDocument, known: Surroundings = NOTHING_KNOWN) -> list[Finding]:
    """Everything found in a document, in the order of its lines; referenced policies are their own documents."""
    found: list[Finding] = []
    for part in _parts(document.root):
        checker = _Checker(document.source, part, known, found)
        checker.node()
        if isinstance(part, Policy):
            checker.policy(part)
    return sorted(dict.fromkeys(found), key=lambda finding: finding.line or 0)


def _parts(part: Policy | PolicySet | Reference) -> Iterator[Policy | PolicySet]:
    if not isinstance(part, Reference):
        yield part
    if isinstance(part, PolicySet):
        for child in part.children:
            yield from _parts(child)


class _Checker:
    def __init__(self, source: str, part: Policy | PolicySet, known: Surroundings, found: list[Finding]) -> None:
        self.source = source
        self.part = part
        self.known = known
        self.found = found

    def add(
        self, severity: Choice["error", "warning", "note"], code: str, message: str, rule: Rule | None = None
    ) -> None:
        self.found.append(
            Finding(
                severity=severity,
                code=code,
                message=message,
                source=self.source,
                line=rule.line if rule else self.part.line,
                policy_id=self.part.id,
                rule_id=rule.id if rule else None,
            )
        )

    def node(self) -> None:
        """What is checked of policies and policy sets alike."""
        part = self.part
        if part.algorithm.legacy:
            self.add(
                "warning", "legacy-algorithm", f"{part.algorithm.id} is deprecated: it treats errors as XACML 2.0 did"
            )
        if part.issued:
            self.add("note", "policy-issuer", "the PolicyIssuer is ignored: the policy is trusted as if it had none")
        levels: dict[str, int] = {}
        for duty in part.obligations:
            for a in duty.assignments:
                if a.category and a.category.startswith(_LEVEL) and isinstance(a.expression, Literal):
                    text = str(a.expression.value)
                    if not text.isdecimal():
                        self.add("error", "level", f"the authentication level {text!r} is not a number")
                        continue
                    levels[a.category] = int(text)
                    if int(text) > self.known.highest_level:
                        message = f"level {text} is higher than any sign-in gives ({self.known.highest_level})"
                        self.add("error", "level-too-high", message)
        own, org = levels.get(_LEVEL), levels.get(f"{_LEVEL}-org")
        if org is not None and own is None:
            self.add(
                "warning", "level-org-only", "a level for service owners alone is never enforced: state one for users"
            )
        elif org is not None and own is not None and org > own:
            self.add(
                "warning", "level-org-stricter", "a level for service owners cannot be stricter than that for users"
            )

    def policy(self, policy: Policy) -> None:
        if not policy.rules:
            self.add("warning", "no-rules", "the policy has no rules")
        tests = {rule.id: conjuncts(policy.target) + conjuncts(rule.target) for rule in policy.rules}
        for rule in policy.rules:
            self.rule(policy, rule, tests[rule.id])
        self.shadows(policy, tests)
        self.grants(policy, tests)
        used = {name for e in _expressions(policy) for name in _variables(e)}
        for name in policy.variables:
            if name not in used:
                self.add("note", "unused-variable", f"nothing refers to the variable {name}")

    def rule(self, policy: Policy, rule: Rule, tests: list[Conjunct]) -> None:
        reason = _contradiction(tests)
        if reason:
            self.add("error", "dead-rule", f"the rule can never apply: {reason}", rule)
        elif isinstance(rule.condition, Literal) and rule.condition.value is False:
            self.add("error", "dead-rule", "the rule can never apply: its condition is false", rule)
        if rule.effect is Effect.DENY:
            self.add("note", "deny-rule", "a Deny rule: the first Altinn engine ignored these, here it counts", rule)
        if _differs_under_legacy(rule.target):
            message = "the first Altinn engine matched this target more widely; here every AnyOf must match"
            self.add("warning", "legacy-difference", message, rule)
        for match in _matches(policy.target + rule.target):
            self.value(match, rule)
        self.place(rule, tests)

    def place(self, rule: Rule, tests: list[Conjunct]) -> None:
        """Whether the rule is about this app: by its owner and name, or by its id `app_{org}_{app}` as a resource."""
        if self.known.org is None:
            return
        pairs = ((_ORG, self.known.org), (_APP, self.known.app))
        named = {attribute: _values(tests, names.RESOURCE, attribute) for attribute, _ in pairs}
        ids = _values(tests, names.RESOURCE, _RESOURCE)
        for attribute, wanted in pairs:
            found, what = named[attribute], wording.label(names.RESOURCE, attribute)
            if found is None:
                # Every request about an app carries its id as well, so the id alone says which app is meant.
                if ids is None:
                    self.add("error", "no-app", f"the rule does not name the {what}, so it holds for others too", rule)
            elif wanted is not None and wanted not in found and not any(map(_PLACEHOLDER.search, found)):
                listed = wording.listed(sorted(found))
                self.add("error", "other-app", f"the {what} is {listed}, but this is the policy of {wanted}", rule)
        if ids is None or any(map(_PLACEHOLDER.search, ids)):
            return
        own = f"app_{self.known.org}_" + (self.known.app or "")
        if own in ids or (self.known.app is None and any(id_.startswith(own) for id_ in ids)):
            return
        listed = wording.listed(sorted(ids))
        if any(id_.startswith("app_") for id_ in ids):
            self.add("error", "other-app", f"the resource is {listed}, but this is the policy of {own}", rule)
        else:
            message = f"the rule is about the resource {listed}, so it never applies to this app"
            self.add("warning", "other-resource", message, rule)

    def value(self, match: Match, rule: Rule) -> None:
        """A single value that a rule asks for, against what is known."""
        attribute, text = match.attribute, str(match.literal.value)
        if _PLACEHOLDER.search(text):
            self.add("error", "placeholder", f"{text} was not replaced by the name of the owner or app", rule)
            return
        if not isinstance(attribute, Designator):
            return
        checks: dict[tuple[str, str], tuple[Collection[str] | None, str, str]] = {
            (names.RESOURCE, _TASK): (self.known.tasks, "unknown-task", "the process has no task"),
            (names.RESOURCE, _END): (self.known.end_events, "unknown-end-event", "the process has no end event"),
            (names.ACTION, names.ACTION_ID): (self.known.actions, "unused-action", "the app never asks for the action"),
            (names.ACCESS_SUBJECT, _ROLE): (self.known.roles, "unknown-role", "no register has the role"),
        }
        options, code, message = checks.get((attribute.category, attribute.id), (None, "", ""))
        if options is None:
            return
        # Tasks and end events are named exactly; roles and actions in any case.
        exact = attribute.category == names.RESOURCE
        if text not in options and (exact or text.lower() not in {option.lower() for option in options}):
            self.add("warning", code, f"{message} {text}", rule)

    def shadows(self, policy: Policy, tests: dict[str, list[Conjunct]]) -> None:
        """Rules that change nothing because others decide wherever they apply."""
        name = policy.algorithm.name
        winner = {
            algorithms.DENY_OVERRIDES: Effect.DENY, algorithms.PERMIT_UNLESS_DENY: Effect.DENY,
            algorithms.PERMIT_OVERRIDES: Effect.PERMIT, algorithms.DENY_UNLESS_PERMIT: Effect.PERMIT,
        }.get(name)  # fmt: skip
        covering = Covering([(rule, tests[rule.id]) for rule in policy.rules if _always(rule)])
        places = {rule.id: place for place, rule in enumerate(policy.rules)}
        for rule in policy.rules:
            for other in covering.of(tests[rule.id]):
                if other is rule:
                    continue
                same = rule.effect is other.effect
                both = _always(rule) and covers(tests[rule.id], tests[other.id])
                earlier = places[other.id] < places[rule.id]
                if name == algorithms.FIRST_APPLICABLE and not earlier:
                    continue
                if same and both and not earlier:
                    continue  # of two equal rules the later one is named
                if same and (rule.obligations or rule.advice):
                    continue
                if same and both:
                    self.add("warning", "duplicate-rule", f"the rule says the same as {other.id}", rule)
                elif same or name == algorithms.FIRST_APPLICABLE or other.effect is winner:
                    self.add("warning", "shadowed-rule", f"the rule changes nothing: {other.id} covers it", rule)
                else:
                    continue
                break
        if covering.exhausted:
            self.add("note", "not-compared", "too many rules to compare each with each")

    def grants(self, policy: Policy, tests: dict[str, list[Conjunct]]) -> None:
        """What a set of permissions lacks: reading what may be written, signing where there is a sign task."""
        permits = [rule for rule in policy.rules if rule.effect is Effect.PERMIT]
        actions = {rule.id: _values(tests[rule.id], names.ACTION, names.ACTION_ID) for rule in permits}

        def allows(rule: Rule, action: str) -> bool:
            named = actions[rule.id]
            return named is None or action in {str(value).lower() for value in named}

        reading = Covering([(rule, _without_action(tests[rule.id])) for rule in permits if allows(rule, "read")])
        for rule in permits:
            if allows(rule, "write") and next(reading.of(_without_action(tests[rule.id])), None) is None:
                if reading.exhausted:
                    break
                self.add("warning", "write-without-read", "whoever may write here may not read everything here", rule)
        if self.known.sign_tasks:
            for task in self.known.sign_tasks:
                where = [rule for rule in permits if allows(rule, "sign")]
                if not any(task in (_values(tests[r.id], names.RESOURCE, _TASK) or {task}) for r in where):
                    self.add("warning", "no-sign-rule", f"nobody may sign in the signing task {task}")
        if self.known.org is not None and permits:
            owners = [r for r in permits if _values(tests[r.id], names.ACCESS_SUBJECT, _ORG) is not None]
            if not any(allows(rule, "complete") for rule in owners):
                self.add("warning", "no-complete", "no rule lets the service owner confirm receipt (action complete)")


def _always(rule: Rule) -> bool:
    """Whether a rule applies wherever its target matches, and its target cannot fail."""
    if rule.condition is not None:
        return False
    return not any(
        not isinstance(m.attribute, Designator) or m.attribute.required or m.function.fails
        for m in _matches(rule.target)
    )


def _matches(target: Target) -> Iterator[Match]:
    for any_of in target:
        for all_of in any_of:
            yield from all_of


def _contradiction(tests: list[Conjunct]) -> str | None:
    """Why tests cannot all hold, if they cannot."""
    needed: dict[tuple[str, str], set[str]] = {}
    for conjunct in tests:
        test = only_member(conjunct)
        if test is None or not isinstance(test.compared.key, str):
            continue
        place = (test.compared.category, test.compared.key)
        if place not in _SINGLE:
            continue
        fold: Callable[[str], str] = str.lower if test.compared.fold else str
        values = {fold(str(value)) for value in test.values}
        known = needed.get(place)
        if known is not None and not {v.lower() for v in known} & {v.lower() for v in values}:
            what = wording.label(*place)
            return f"the {what} cannot be both {wording.listed(sorted(known))} and {wording.listed(sorted(values))}"
        needed[place] = values if known is None else known
    if (names.RESOURCE, _TASK) in needed and (names.RESOURCE, _END) in needed:
        return "there is no task when the process has ended"
    return None


def _without_action(tests: list[Conjunct]) -> list[Conjunct]:
    return [c for c in tests if not ((test := only_member(c)) and test.compared.category == names.ACTION)]


def _values(tests: list[Conjunct], category: str, attribute: str) -> set[str] | None:
    """The values one of which a rule needs of an attribute; None when it needs none."""
    for conjunct in tests:
        test = only_member(conjunct)
        if test and test.compared.category == category and test.compared.key == attribute:
            return {str(value) for value in test.values}
    return None


def _differs_under_legacy(target: Target) -> bool:
    """Whether the first Altinn engine's reading lets more through."""
    before = conjuncts(target)
    return not covers(before, conjuncts(legacy(target)))


def _expressions(policy: Policy) -> Iterator[Expression]:
    yield from policy.variables.values()
    parts: list[Policy | Rule] = [policy, *policy.rules]
    for part in parts:
        yield from (a.expression for duty in part.obligations + part.advice for a in duty.assignments)
        if isinstance(part, Rule) and part.condition is not None:
            yield part.condition


def _variables(e: Expression) -> Iterator[str]:
    if isinstance(e, VariableReference):
        yield e.id
    elif isinstance(e, Apply):
        for argument in e.arguments:
            yield from _variables(argument)
