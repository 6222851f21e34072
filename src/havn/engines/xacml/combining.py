"""The combining algorithms over the values of rules and policies (core appendix C), errors included.

A child's value is an `Outcome`, or None for NotApplicable. Children are evaluated in document order and no further
than needed; obligations come from the children that were evaluated and whose value is the combined one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from havn.engines.xacml import algorithms, names
from havn.engines.xacml.algorithms import Algorithm
from havn.engines.xacml.errors import EvaluationError
from havn.engines.xacml.evaluation import Evaluation
from havn.engines.xacml.model import Obligation

PERMIT: Final = 1
DENY: Final = 2
IND_P: Final = 5  # Indeterminate{P}: could have been Permit
IND_D: Final = 6
IND_DP: Final = 7

EXTENDED: Final = {IND_P: "P", IND_D: "D", IND_DP: "DP"}


class Outcome:
    """The value of a rule, policy or policy set that is not NotApplicable."""

    __slots__ = ("advice", "error", "obligations", "policy", "rule", "value")

    def __init__(
        self,
        value: int,
        *,
        obligations: tuple[Obligation, ...] = (),
        advice: tuple[Obligation, ...] = (),
        error: EvaluationError | None = None,
        policy: str | None = None,
        rule: str | None = None,
    ) -> None:
        self.value = value
        self.obligations = obligations
        self.advice = advice
        self.error = error
        self.policy = policy
        self.rule = rule


class Node:
    """A child of a policy or policy set: `evaluate` gives its value, `matches` asks its target alone."""

    __slots__ = ("evaluate", "matches")

    def __init__(
        self, evaluate: Callable[[Evaluation], Outcome | None], matches: Callable[[Evaluation], bool] | None = None
    ) -> None:
        self.evaluate = evaluate
        self.matches = matches


Nodes = Sequence[Node]
Combine = Callable[[Nodes, Evaluation], Outcome | None]


def _merged(outcomes: list[Outcome]) -> Outcome:
    """One outcome for several of the same value: obligations together, the first as the one that decided."""
    if len(outcomes) == 1:
        return outcomes[0]
    first = outcomes[0]
    return Outcome(
        first.value,
        obligations=tuple(o for outcome in outcomes for o in outcome.obligations),
        advice=tuple(o for outcome in outcomes for o in outcome.advice),
        policy=first.policy,
        rule=first.rule,
    )


def _undecided(value: int, outcomes: list[Outcome]) -> Outcome:
    """Indeterminate because of these: the first error speaks, missing attributes are reported together."""
    first = outcomes[0]
    error = first.error
    if error is not None and error.missing and len(outcomes) > 1:
        missing = dict.fromkeys(m for o in outcomes if o.error is not None for m in o.error.missing)
        error = EvaluationError(error.code, error.message, tuple(missing))
    return Outcome(value, error=error, policy=first.policy, rule=first.rule)


def _overrides(winner: int, loser: int, ind_winner: int) -> Combine:
    """deny-overrides and its mirror image: the winner wins over errors, errors over the loser."""

    def combine(nodes: Nodes, x: Evaluation) -> Outcome | None:
        losers: list[Outcome] = []
        errors: list[Outcome] = []
        values = 0
        for node in nodes:
            outcome = node.evaluate(x)
            if outcome is None:
                continue
            value = outcome.value
            if value == winner:
                return outcome
            if value == loser:
                losers.append(outcome)
            else:
                errors.append(outcome)
                values |= 1 << value
        if errors:
            if values & 1 << IND_DP or (values & 1 << ind_winner and (losers or values != 1 << ind_winner)):
                return _undecided(IND_DP, errors)
            if values & 1 << ind_winner:
                return _undecided(ind_winner, errors)
        if losers:
            return _merged(losers)
        return _undecided(errors[0].value, errors) if errors else None

    return combine


def _unless(winner: int, default: int) -> Combine:
    """deny-unless-permit and its mirror image: never anything but Permit or Deny."""

    def combine(nodes: Nodes, x: Evaluation) -> Outcome | None:
        defaults: list[Outcome] = []
        for node in nodes:
            outcome = node.evaluate(x)
            if outcome is not None:
                if outcome.value == winner:
                    return outcome
                if outcome.value == default:
                    defaults.append(outcome)
        return _merged(defaults) if defaults else Outcome(default)

    return combine


def _first_applicable(nodes: Nodes, x: Evaluation) -> Outcome | None:
    for node in nodes:
        outcome = node.evaluate(x)
        if outcome is not None:
            return outcome
    return None


def _only_one_applicable(nodes: Nodes, x: Evaluation) -> Outcome | None:
    chosen: Node | None = None
    for node in nodes:
        try:
            if node.matches is not None and not node.matches(x):
                continue
        except EvaluationError as error:
            return Outcome(IND_DP, error=error)
        if chosen is not None:
            return Outcome(IND_DP, error=EvaluationError(names.PROCESSING_ERROR, "more than one policy is applicable"))
        chosen = node
    return chosen.evaluate(x) if chosen is not None else None


def _on_permit_apply_second(nodes: Nodes, x: Evaluation) -> Outcome | None:
    """Additional Combining Algorithms Profile 1.0: if the first permits the second, else the third if there is one."""
    if not 2 <= len(nodes) <= 3:
        message = "on-permit-apply-second takes two or three policies"
        return Outcome(IND_DP, error=EvaluationError(names.PROCESSING_ERROR, message))
    first = nodes[0].evaluate(x)
    if first is None or first.value in {DENY, IND_D}:
        return nodes[2].evaluate(x) if len(nodes) == 3 else None
    if first.value == PERMIT:
        return nodes[1].evaluate(x)
    return _undecided(IND_DP, [first])


def _legacy_rule_overrides(winner: int, loser: int, ind_winner: int) -> Combine:
    """XACML 2.0 deny-overrides of rules and its mirror: an error of a winning rule beats the loser, others do not."""

    def combine(nodes: Nodes, x: Evaluation) -> Outcome | None:
        losers: list[Outcome] = []
        errors: list[Outcome] = []
        for node in nodes:
            outcome = node.evaluate(x)
            if outcome is None:
                continue
            if outcome.value == winner:
                return outcome
            (losers if outcome.value == loser else errors).append(outcome)
        serious = [e for e in errors if e.value == ind_winner]
        if serious:
            return _undecided(IND_DP if losers or len(errors) > len(serious) else ind_winner, serious)
        if losers:
            return _merged(losers)
        return _undecided(errors[0].value, errors) if errors else None

    return combine


def _legacy_policy_deny_overrides(nodes: Nodes, x: Evaluation) -> Outcome | None:
    """XACML 2.0: any error among policies is a Deny."""
    permits: list[Outcome] = []
    for node in nodes:
        outcome = node.evaluate(x)
        if outcome is None:
            continue
        if outcome.value == DENY:
            return outcome
        if outcome.value != PERMIT:
            return Outcome(DENY, policy=outcome.policy, rule=outcome.rule)
        permits.append(outcome)
    return _merged(permits) if permits else None


def _legacy_policy_permit_overrides(nodes: Nodes, x: Evaluation) -> Outcome | None:
    """XACML 2.0: a Deny beats errors."""
    denies: list[Outcome] = []
    errors: list[Outcome] = []
    for node in nodes:
        outcome = node.evaluate(x)
        if outcome is None:
            continue
        if outcome.value == PERMIT:
            return outcome
        (denies if outcome.value == DENY else errors).append(outcome)
    if denies:
        return _merged(denies)
    return _undecided(IND_DP, errors) if errors else None


_CURRENT: Final[Mapping[str, Combine]] = {
    algorithms.DENY_OVERRIDES: _overrides(DENY, PERMIT, IND_D),
    algorithms.PERMIT_OVERRIDES: _overrides(PERMIT, DENY, IND_P),
    algorithms.DENY_UNLESS_PERMIT: _unless(PERMIT, DENY),
    algorithms.PERMIT_UNLESS_DENY: _unless(DENY, PERMIT),
    algorithms.FIRST_APPLICABLE: _first_applicable,
    algorithms.ONLY_ONE_APPLICABLE: _only_one_applicable,
    algorithms.ON_PERMIT_APPLY_SECOND: _on_permit_apply_second,
}
_LEGACY_RULE: Final[Mapping[str, Combine]] = {
    algorithms.DENY_OVERRIDES: _legacy_rule_overrides(DENY, PERMIT, IND_D),
    algorithms.PERMIT_OVERRIDES: _legacy_rule_overrides(PERMIT, DENY, IND_P),
}
_LEGACY_POLICY: Final[Mapping[str, Combine]] = {
    algorithms.DENY_OVERRIDES: _legacy_policy_deny_overrides,
    algorithms.PERMIT_OVERRIDES: _legacy_policy_permit_overrides,
}


def combine(algorithm: Algorithm, *, rules: bool) -> Combine:
    """The algorithm over rules, or over policies."""
    if algorithm.legacy:
        return (_LEGACY_RULE if rules else _LEGACY_POLICY)[algorithm.name]
    return _CURRENT[algorithm.name]
