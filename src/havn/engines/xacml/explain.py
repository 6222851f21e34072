"""Explains a decision: every policy, rule and match with its value, and the same in sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from havn.engines.xacml import datatypes, interpreter, wording
from havn.engines.xacml.combining import DENY, EXTENDED, IND_D, IND_P, PERMIT, Node, Outcome, combine
from havn.engines.xacml.errors import EvaluationError, MissingAttribute
from havn.engines.xacml.evaluation import Evaluation, every
from havn.engines.xacml.explanation import (
    DecidedBy,
    Explanation,
    MatchTrace,
    PolicyTrace,
    RuleTrace,
    Shortfall,
    nearest,
    sentences,
)
from havn.engines.xacml.model import Assignment, Effect, Obligation, Request, Result
from havn.engines.xacml.policy import Designator, Duty, Match, Policy, PolicySet, Reference, Rule, Target

_RULES = 200
"""Rules that an explanation shows; of more, those that come nearest."""


_VALUES = 20
"""Values of one attribute that are shown."""


def explain(
    root: Policy | PolicySet,
    references: Mapping[Reference, Policy | PolicySet],
    request: Request,
    result: Result,
    permitted: Callable[[Request, Evaluation], bool] | None = None,
) -> Explanation:
    """Why a request was answered with this result; `permitted` is for the function access-permitted."""
    tracer = _Tracer(references)
    x = Evaluation(request, permitted)
    if request.error is not None:
        message = request.error.message or "the request cannot be read"
        return Explanation(
            decision=result.decision.value,
            status=result.status,
            policy_id=root.id,
            policy_version=root.version,
            sentences=[f"No decision: {message}."],
        )
    _, trace = tracer.part(root, x)
    rules = sorted(tracer.rules, key=lambda rule: len(rule.failing))
    decided = next((r for r in tracer.rules if r.id == result.rule and r.policy_id == result.policy), None)
    shown = rules[:_RULES]
    if decided is not None and decided not in shown:
        shown.append(decided)
    close = nearest(tracer.rules) if decided is None or decided.value == "NotApplicable" else []
    missing = list(dict.fromkeys([*result.status.missing, *tracer.missing]))
    found = Explanation(
        decision=result.decision.value + (f"{{{result.extended}}}" if result.extended else ""),
        status=result.status,
        policy_id=result.policy or root.id,
        policy_version=tracer.versions.get(result.policy or root.id, root.version),
        decided_by=DecidedBy(decided.id, decided.effect, decided.via, decided.line, decided.description)
        if decided is not None
        else None,
        trace=trace,
        rules=shown,
        omitted=len(tracer.rules) - len(shown),
        missing=missing,
        obligations=list(result.obligations),
        advice=list(result.advice),
        nearest=close,
    )
    return msgspec.structs.replace(found, sentences=sentences(found))


class _Tracer:
    """Walks a policy and writes down the value of each part; all parts, also those a decision need not look at."""

    def __init__(self, references: Mapping[Reference, Policy | PolicySet]) -> None:
        self.references = references
        self.rules: list[RuleTrace] = []
        self.missing: list[MissingAttribute] = []
        self.versions: dict[str, str] = {}

    def part(self, part: Policy | PolicySet | Reference, x: Evaluation) -> tuple[Outcome | None, PolicyTrace]:
        if isinstance(part, Reference):
            part = self.references[part]
        self.versions[part.id] = part.version
        target, failure, _ = self.target(part.target, x)
        nodes: list[Node] = []
        inner: list[PolicyTrace] = []
        first = len(self.rules)
        if isinstance(part, Policy):
            for rule in part.rules:
                outcome = self.rule(part, rule, x)
                nodes.append(_fixed(outcome))
        else:
            for child in part.children:
                outcome, trace = self.part(child, x)
                inner.append(trace)
                nodes.append(_fixed(outcome, trace))
        outcome = None
        if target != "no match":
            outcome = combine(part.algorithm, rules=isinstance(part, Policy))(nodes, x)
        outcome = self.finished(part, outcome, failure, x)
        trace = PolicyTrace(
            id=part.id,
            version=part.version,
            kind="Policy" if isinstance(part, Policy) else "PolicySet",
            algorithm=part.algorithm.id.rpartition(":")[2],
            target=target,
            value=word(outcome),
            rules=[rule.id for rule in self.rules[first:]] if isinstance(part, Policy) else [],
            policies=inner,
        )
        return outcome, trace

    def finished(
        self, part: Policy | PolicySet, outcome: Outcome | None, failure: EvaluationError | None, x: Evaluation
    ) -> Outcome | None:
        """The value after a failed target has weakened it, and after its obligations were computed."""
        if outcome is None:
            return None
        if failure is not None:
            return Outcome({PERMIT: IND_P, DENY: IND_D}.get(outcome.value, outcome.value), error=failure)
        if outcome.value not in {PERMIT, DENY}:
            return outcome
        effect = Effect.PERMIT if outcome.value == PERMIT else Effect.DENY
        variables = part.variables if isinstance(part, Policy) else {}
        try:
            obligations = duties(part.obligations, effect, x, variables)
            advice = duties(part.advice, effect, x, variables)
        except EvaluationError as error:
            return Outcome(IND_P if outcome.value == PERMIT else IND_D, error=error)
        return Outcome(
            outcome.value,
            obligations=outcome.obligations + obligations,
            advice=outcome.advice + advice,
            policy=outcome.policy or part.id,
            rule=outcome.rule,
        )

    def rule(self, policy: Policy, rule: Rule, x: Evaluation) -> Outcome | None:
        target, failure, matches = self.target(rule.target, x)
        condition: str | None = None
        outcome: Outcome | None = None
        value = PERMIT if rule.effect is Effect.PERMIT else DENY
        undecided = IND_P if rule.effect is Effect.PERMIT else IND_D
        try:
            if failure is not None:
                raise failure
            if target == "match":
                if rule.condition is not None:
                    condition = "error"
                    condition = "true" if interpreter.value(rule.condition, x, policy.variables) else "false"
                if condition != "false":
                    outcome = Outcome(
                        value,
                        obligations=duties(rule.obligations, rule.effect, x, policy.variables),
                        advice=duties(rule.advice, rule.effect, x, policy.variables),
                        policy=policy.id,
                        rule=rule.id,
                    )
        except EvaluationError as error:
            self.missing += error.missing
            failure = error
            outcome = Outcome(undecided, error=error, policy=policy.id, rule=rule.id)
        failing = [shortfall for any_of in matches if (shortfall := _shortfall(any_of)) is not None]
        subject = [m for any_of in matches for all_of in any_of for m in all_of if m.value == "match"]
        self.rules.append(
            RuleTrace(
                id=rule.id,
                policy_id=policy.id,
                effect=rule.effect.value,
                value=word(outcome),
                target={
                    wording.category_name(category): all(
                        any(all(m.value == "match" for m in all_of) for all_of in any_of)
                        for any_of in matches
                        if any(m.category == category for all_of in any_of for m in all_of)
                    )
                    for category in dict.fromkeys(m.category for any_of in matches for a in any_of for m in a)
                },
                condition=condition,
                error=failure.message if failure is not None else None,
                description=rule.description,
                line=rule.line,
                via=next(
                    (v for m in subject if m.category.endswith("access-subject") and (v := wording.via(m.id))), None
                ),
                matched=subject,
                failing=failing,
                first_failing_match=failing[0].matches[0] if failing else None,
            )
        )
        return outcome

    def target(self, target: Target, x: Evaluation) -> tuple[str, EvaluationError | None, list[list[list[MatchTrace]]]]:
        """Whether a target matches, the error if it has no value, and every match of it."""
        traces = [[[self.match(m, x) for m in all_of] for all_of in any_of] for any_of in target]
        try:
            matched = every(partial(interpreter.any_of, any_of, x) for any_of in target)
        except EvaluationError as error:
            self.missing += error.missing
            return "error", error, traces
        return ("match" if matched else "no match"), None, traces

    def match(self, m: Match, x: Evaluation) -> MatchTrace:
        message: str | None = None
        actual: list[str] = []
        try:
            found = interpreter.bag(m.attribute, x)
            actual = [wording.masked(datatypes.write(m.attribute.data_type, v)) for v in found[:_VALUES]]
            actual += ["..."] * (len(found) > _VALUES)
            value = "match" if interpreter.holds(m, x) else "no match"
        except EvaluationError as error:
            value, message = "error", error.message
        attribute = m.attribute
        attribute_id = attribute.id if isinstance(attribute, Designator) else attribute.path
        return MatchTrace(
            id=attribute_id,
            category=attribute.category,
            function=m.function.name,
            expected=wording.masked(datatypes.write(m.literal.type.data_type, m.literal.value)),
            actual=actual,
            value=value,
            message=message,
        )


def _shortfall(any_of: list[list[MatchTrace]]) -> Shortfall | None:
    """What an AnyOf that does not match would need: the alternatives that lack least."""
    lacking = [[m for m in all_of if m.value != "match"] for all_of in any_of]
    fewest = min(map(len, lacking))
    if fewest == 0:
        return None
    return Shortfall([m for matches in lacking if len(matches) == fewest for m in matches], fewest)


def _fixed(outcome: Outcome | None, trace: PolicyTrace | None = None) -> Node:
    """A child whose value is known, for the combining algorithms."""

    def matches(x: Evaluation) -> bool:
        if trace is not None and trace.target == "error":
            raise outcome.error if outcome is not None and outcome.error is not None else EvaluationError("", "")
        return trace is None or trace.target == "match"

    return Node(lambda _: outcome, matches)


def duties(
    given: tuple[Duty, ...], effect: Effect, x: Evaluation, variables: interpreter.Variables
) -> tuple[Obligation, ...]:
    """The obligations or advice for an effect; EvaluationError when one cannot be computed."""
    found = []
    for duty in given:
        if duty.effect is effect:
            assignments: list[Assignment] = []
            for a in duty.assignments:
                value = interpreter.value(a.expression, x, variables)
                kind = a.expression.type  # type: ignore[union-attr]
                values = value if kind.bag else (value,)
                assignments += [Assignment(a.id, v, kind.data_type, a.category, a.issuer) for v in values]
            found.append(Obligation(duty.id, tuple(assignments)))
    return tuple(found)


def word(outcome: Outcome | None) -> str:
    """A value in words, the three Indeterminate apart."""
    if outcome is None:
        return "NotApplicable"
    return {PERMIT: "Permit", DENY: "Deny"}.get(outcome.value) or f"Indeterminate{{{EXTENDED[outcome.value]}}}"
