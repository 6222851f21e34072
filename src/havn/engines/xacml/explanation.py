"""What an explanation says: as data that can be written as JSON, and as sentences for a service owner."""

from __future__ import annotations

from typing import Any

import msgspec

from havn.engines.xacml import wording
from havn.engines.xacml.errors import MissingAttribute
from havn.engines.xacml.model import Obligation, Status

_LEVEL = "urn:altinn:minimum-authenticationlevel"


class MatchTrace(msgspec.Struct, frozen=True, rename="camel"):
    """One comparison of a target; `value` is match, no match or error."""

    id: str = msgspec.field(name="attributeId")
    category: str
    function: str
    expected: str
    actual: list[str]
    value: str
    message: str | None = None

    @property
    def label(self) -> str:
        """What the attribute is called."""
        return wording.label(self.category, self.id)


class Shortfall(msgspec.Struct, frozen=True, rename="camel"):
    """One AnyOf that does not match: the comparisons to be met, `each` of them in one alternative."""

    matches: list[MatchTrace]
    each: int = 1

    def __str__(self) -> str:
        by_label: dict[str, list[str]] = {}
        for m in self.matches:
            by_label.setdefault(m.label, []).append(m.expected)
        joint = " and " if self.each > 1 else " or "
        return joint.join(f"{label} {wording.listed(values)}" for label, values in by_label.items())


class RuleTrace(msgspec.Struct, frozen=True, rename="camel"):
    """One rule: its value, which categories of its target hold, and what is lacking."""

    id: str = msgspec.field(name="ruleId")
    policy_id: str
    effect: str
    value: str
    target: dict[str, bool]
    condition: str | None
    error: str | None
    description: str | None
    line: int | None
    via: str | None
    matched: list[MatchTrace]
    failing: list[Shortfall]
    first_failing_match: MatchTrace | None


class PolicyTrace(msgspec.Struct, frozen=True, rename="camel"):
    """One policy or policy set with its value, and those inside it."""

    id: str
    version: str
    kind: str
    algorithm: str
    target: str
    value: str
    rules: list[str]
    policies: list[PolicyTrace]


class DecidedBy(msgspec.Struct, frozen=True, rename="camel"):
    """The rule that decided, and by what kind of attribute its subject was met."""

    rule_id: str
    effect: str
    via: str | None
    line: int | None = None
    description: str | None = None


class Near(msgspec.Struct, frozen=True, rename="camel"):
    """A rule that does not apply, and what it would need."""

    rule_id: str
    effect: str
    needs: list[str]


class Explanation(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Why a decision is what it is. `omitted` rules of a large policy are not shown."""

    decision: str
    status: Status
    policy_id: str
    policy_version: str
    decided_by: DecidedBy | None = None
    trace: PolicyTrace | None = None
    rules: list[RuleTrace] = []
    omitted: int = 0
    missing: list[MissingAttribute] = []
    obligations: list[Obligation] = []
    advice: list[Obligation] = []
    nearest: list[Near] = []
    sentences: list[str] = []

    def to_json(self) -> dict[str, Any]:
        """As values that JSON can hold; obligation values in their lexical form."""
        plain: dict[str, Any] = msgspec.to_builtins(self, enc_hook=str)
        plain["status"] = {
            "code": self.status.code,
            "message": self.status.message,
            "missing": msgspec.to_builtins(self.status.missing),
        }
        for kind, given in (("obligations", self.obligations), ("advice", self.advice)):
            plain[kind] = [
                {
                    "id": duty.id,
                    "assignments": [
                        {"id": a.id, "category": a.category, "dataType": a.data_type, "value": wording.masked(a.text)}
                        for a in duty.assignments
                    ],
                }
                for duty in given
            ]
        return plain


def nearest(rules: list[RuleTrace]) -> list[Near]:
    """The rules that lack least, at most three."""
    lacking = [rule for rule in rules if rule.value == "NotApplicable" and rule.failing]
    if not lacking:
        return []
    # What would let this action through says more than what another action would need.
    weights = {
        rule.id: sum(shortfall.each for shortfall in rule.failing) + (rule.target.get("action") is False)
        for rule in lacking
    }
    fewest = min(weights.values())
    return [
        Near(rule.id, rule.effect, [str(shortfall) for shortfall in rule.failing])
        for rule in lacking
        if weights[rule.id] == fewest
    ][:3]


def sentences(e: Explanation) -> list[str]:
    """The explanation in plain sentences, the answer first."""
    rule = next((r for r in e.rules if e.decided_by and r.id == e.decided_by.rule_id), None)
    out = [_answer(e, rule)]
    if rule is not None and rule.matched:
        out.append(f"What it asks for and the request has: {_met(rule.matched)}.")
    out += [_missing(m) for m in e.missing]
    out += [_obligation(o, must=True) for o in e.obligations]
    out += [_obligation(a, must=False) for a in e.advice]
    for near in e.nearest:
        verb = "permit" if near.effect == "Permit" else "deny"
        out.append(f"Rule {near.rule_id} would {verb} it, but needs {' and '.join(near.needs)}.")
    return out


def _answer(e: Explanation, rule: RuleTrace | None) -> str:
    word = e.decision.partition("{")[0]
    if word in {"Permit", "Deny"}:
        verb = "Permitted" if word == "Permit" else "Denied"
        if rule is None:
            return f"{verb}: no rule of policy {e.policy_id} decided, so its combining algorithm did."
        title = f" ({rule.description})" if rule.description else ""
        return f"{verb} by rule {rule.id}{title} of policy {e.policy_id}."
    if word == "NotApplicable":
        return f"Not permitted: no rule of policy {e.policy_id} applies to this request."
    reason = f": {e.status.message}" if e.status.message else ""
    where = f" in rule {rule.id}" if rule is not None else ""
    return f"No decision could be made{where}{reason}."


def _met(matches: list[MatchTrace]) -> str:
    by_label: dict[str, list[str]] = {}
    for m in matches:
        by_label.setdefault(m.label, []).append(m.expected)
    return ", ".join(f"{label} {wording.listed(values, 'and')}" for label, values in by_label.items())


def _missing(m: MissingAttribute) -> str:
    where = wording.category_name(m.category)
    return f"The request lacks the attribute {m.id} ({wording.label(m.category, m.id)}) of its {where}."


def _obligation(duty: Obligation, *, must: bool) -> str:
    verb = "must" if must else "may"
    levels = [a.text for a in duty.assignments if a.category == _LEVEL]
    if levels:
        return f"The user {verb} be signed in at level {levels[0]} or higher."
    if any(a.category == f"{_LEVEL}-org" for a in duty.assignments):
        return f"A service owner {verb} use a token of level {duty.assignments[0].text} or higher."
    held = ", ".join(f"{wording.label('', a.id)} = {wording.masked(a.text)}" for a in duty.assignments)
    return f"Whoever enforces this {verb} fulfil {duty.id}" + (f" with {held}." if held else ".")
