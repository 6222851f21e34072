"""Makes the nodes that evaluate policies: generated functions for targets and rules, joined by combining algorithms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from havn.engines.xacml import dispatch, targets
from havn.engines.xacml.codegen import Codegen
from havn.engines.xacml.combining import DENY, IND_D, IND_P, PERMIT, Node, Outcome, combine
from havn.engines.xacml.errors import EvaluationError
from havn.engines.xacml.evaluation import Evaluation, folded
from havn.engines.xacml.model import Assignment, Effect, Obligation, PolicyIdentifier
from havn.engines.xacml.policy import Duty, Literal, Policy, PolicySet, Reference, Rule, Target

_EFFECTS = {Effect.PERMIT: PERMIT, Effect.DENY: DENY}
_INDEX_ENTRIES = 50_000


class Compiler:
    """Makes nodes of policies; policies referred to more than once are compiled once."""

    def __init__(self, references: dict[Reference, Policy | PolicySet]) -> None:
        self.references = references
        self.nodes: dict[int, Node] = {}

    def node(self, part: Policy | PolicySet | Reference) -> Node:
        """The node of a policy, policy set or reference."""
        if isinstance(part, Reference):
            part = self.references[part]
        known = self.nodes.get(id(part))
        if known is None:
            known = self.nodes[id(part)] = self._policy(part) if isinstance(part, Policy) else self._policy_set(part)
        return known

    def _policy(self, policy: Policy) -> Node:
        identifier = PolicyIdentifier(policy.id, policy.version)
        if dispatch.is_plain(policy):
            return self.plain(policy, identifier)
        codegen = Codegen(policy.variables)
        rules = [_rule(codegen, policy, rule) for rule in policy.rules]
        target = codegen.function(codegen.target(policy.target)) if policy.target else None
        duties = _Duties(codegen, policy.obligations, policy.advice)
        namespace = codegen.build(*(source for _, source in rules))
        children = [Node(namespace[name]) for name, _ in rules]
        select = _selection(children, [rule.target for rule in policy.rules])
        return _node(
            namespace[target] if target else None,
            select,
            combine(policy.algorithm, rules=True),
            duties.bound(namespace),
            identifier,
        )

    def plain(self, policy: Policy, identifier: PolicyIdentifier) -> Node:
        """A policy on the fast path, as a child of a set."""
        duties = {
            effect: (constant_duties(policy.obligations, effect), constant_duties(policy.advice, effect))
            for effect in Effect
        }

        def answer(rule: Rule | None, effect: Effect | None) -> Outcome | None:
            if effect is None:
                return None
            obligations, advice = duties[effect]
            return Outcome(
                _EFFECTS[effect],
                obligations=obligations,
                advice=advice,
                policy=policy.id,
                rule=rule.id if rule else None,
            )

        decide = dispatch.build(policy, answer)

        def evaluate(x: Evaluation) -> Outcome | None:
            outcome: Outcome | None = decide(x)
            if x.policies is not None and outcome is not None:
                x.policies.append(identifier)
            return outcome

        return Node(evaluate, _target_test(policy.target))

    def _policy_set(self, policy_set: PolicySet) -> Node:
        codegen = Codegen()
        target = codegen.function(codegen.target(policy_set.target)) if policy_set.target else None
        duties = _Duties(codegen, policy_set.obligations, policy_set.advice)
        namespace = codegen.build()
        children = [self.node(child) for child in policy_set.children]
        parts = [self.references[c] if isinstance(c, Reference) else c for c in policy_set.children]
        # The position of a policy means something to this algorithm, so none may be left out.
        indexed = policy_set.algorithm.name != "on-permit-apply-second"
        return _node(
            namespace[target] if target else None,
            _selection(children, [part.target for part in parts] if indexed else []),
            combine(policy_set.algorithm, rules=False),
            duties.bound(namespace),
            PolicyIdentifier(policy_set.id, policy_set.version, is_set=True),
        )


def _target_test(target: Target) -> Callable[[Evaluation], bool] | None:
    if not target:
        return None
    codegen = Codegen()
    name = codegen.function(codegen.target(target))
    return codegen.build()[name]  # type: ignore[no-any-return]


def _rule(codegen: Codegen, policy: Policy, rule: Rule) -> tuple[str, str]:
    """Name and source of a rule's function."""
    name = codegen.fresh("r")
    lines: list[str] = []
    if rule.target:
        lines.append(f"        if not {codegen.target(rule.target).source}:\n            return None")
    if rule.condition is not None:
        lines.append(f"        if not {codegen.expression(rule.condition).source}:\n            return None")
    value = _EFFECTS[rule.effect]
    duties = _Duties(codegen, rule.obligations, rule.advice)
    constant = duties.constant(rule.effect)
    if constant is not None:
        obligations, advice = constant
        outcome = Outcome(value, obligations=obligations, advice=advice, policy=policy.id, rule=rule.id)
        lines.append(f"        return {codegen.constant(outcome)}")
    else:
        make = codegen.fresh("m")

        def made(x: Evaluation) -> Outcome:
            obligations, advice = duties.bound(codegen.namespace)(x, rule.effect)
            return Outcome(value, obligations=obligations, advice=advice, policy=policy.id, rule=rule.id)

        codegen.namespace[make] = made
        lines.append(f"        return {make}(x)")
    undecided = codegen.fresh("u")
    indeterminate = IND_P if rule.effect is Effect.PERMIT else IND_D
    codegen.namespace[undecided] = lambda error: Outcome(indeterminate, error=error, policy=policy.id, rule=rule.id)
    body = "\n".join(lines)
    return name, (
        f"def {name}(x):\n    try:\n{body}\n    except EvaluationError as error:\n        return {undecided}(error)\n"
    )


Made = tuple[tuple[Obligation, ...], tuple[Obligation, ...]]


def constant_duties(duties: tuple[Duty, ...], effect: Effect) -> tuple[Obligation, ...]:
    """The obligations or advice for an effect, all of whose values are literals."""
    found: list[Obligation] = []
    for duty in duties:
        if duty.effect is effect:
            assignments: list[Assignment] = []
            for a in duty.assignments:
                assert isinstance(a.expression, Literal)
                assignments.append(
                    Assignment(a.id, a.expression.value, a.expression.type.data_type, a.category, a.issuer)
                )
            found.append(Obligation(duty.id, tuple(assignments)))
    return tuple(found)


class _Duties:
    """The obligation and advice expressions of one rule, policy or set."""

    def __init__(self, codegen: Codegen, obligations: tuple[Duty, ...], advice: tuple[Duty, ...]) -> None:
        self.groups = (obligations, advice)
        self.constants: dict[Effect, Made] = {}
        self.plans: dict[Effect, list[list[tuple[str, list[tuple[Any, str]]]]]] = {}
        for effect in Effect:
            wanted = [[duty for duty in group if duty.effect is effect] for group in self.groups]
            if all(isinstance(a.expression, Literal) for group in wanted for duty in group for a in duty.assignments):
                self.constants[effect] = (
                    constant_duties(obligations, effect),
                    constant_duties(advice, effect),
                )
            else:
                self.plans[effect] = [
                    [
                        (duty.id, [(a, codegen.function(codegen.expression(a.expression))) for a in duty.assignments])
                        for duty in group
                    ]
                    for group in wanted
                ]

    def constant(self, effect: Effect) -> Made | None:
        """What is the same for every request, if it is."""
        return self.constants.get(effect)

    def bound(self, namespace: dict[str, Any]) -> Callable[[Evaluation, Effect], Made]:
        """A function that makes the obligations and advice for an effect; raises EvaluationError."""

        def make(x: Evaluation, effect: Effect) -> Made:
            constant = self.constants.get(effect)
            if constant is not None:
                return constant
            obligations, advice = (
                tuple(
                    Obligation(duty_id, tuple(item for a, name in parts for item in _assigned(a, namespace[name](x))))
                    for duty_id, parts in group
                )
                for group in self.plans[effect]
            )
            return obligations, advice

        return make


def _assigned(assignment: Any, value: Any) -> list[Assignment]:
    kind = assignment.expression.type
    values = value if kind.bag else (value,)
    return [Assignment(assignment.id, v, kind.data_type, assignment.category, assignment.issuer) for v in values]


def _node(
    target: Callable[[Evaluation], bool] | None,
    select: Callable[[Evaluation], Sequence[Node]],
    combined: Callable[[Sequence[Node], Evaluation], Outcome | None],
    duties: Callable[[Evaluation, Effect], Made],
    identifier: PolicyIdentifier,
) -> Node:
    """The node of a policy or policy set (core sections 7.12 to 7.14)."""

    def evaluate(x: Evaluation) -> Outcome | None:
        failure: EvaluationError | None = None
        if target is not None:
            try:
                if not target(x):
                    return None
            except EvaluationError as error:
                failure = error
        mark = len(x.policies) if x.policies is not None else 0
        outcome = combined(select(x), x)
        if outcome is None:
            if x.policies is not None:
                del x.policies[mark:]
            return None
        if x.policies is not None:
            x.policies.append(identifier)
        value = outcome.value
        if failure is not None:
            weak = {PERMIT: IND_P, DENY: IND_D}.get(value, value)
            return Outcome(weak, error=failure, policy=identifier.id)
        if value <= DENY:  # Permit or Deny
            effect = Effect.PERMIT if value == PERMIT else Effect.DENY
            try:
                obligations, advice = duties(x, effect)
            except EvaluationError as error:
                return Outcome(IND_P if value == PERMIT else IND_D, error=error, policy=identifier.id)
            if obligations or advice or outcome.policy is None:
                return Outcome(
                    value,
                    obligations=outcome.obligations + obligations,
                    advice=outcome.advice + advice,
                    policy=outcome.policy or identifier.id,
                    rule=outcome.rule,
                )
        return outcome

    return Node(evaluate, target)


def _selection(nodes: list[Node], node_targets: list[Target]) -> Callable[[Evaluation], Sequence[Node]]:
    """Which children a request can concern: those whose target names a value it has, or names none."""
    everything = tuple(nodes)
    tests = [targets.necessary(target) for target in node_targets]
    compared = targets.best_attribute(tests) if len(nodes) > 4 and tests else None
    if compared is None:
        return lambda _: everything
    groups: dict[Any, list[int]] = {}
    rest: list[int] = []
    absent: list[int] = []
    for index, found in enumerate(tests):
        test = found.get(compared)
        if test is None:
            rest.append(index)
            absent.append(index)
            continue
        if test.required:
            absent.append(index)
        for value in test.values:
            groups.setdefault(value, []).append(index)
    if len(groups) * len(rest) > _INDEX_ENTRIES:
        return lambda _: everything
    table = {value: tuple(nodes[i] for i in sorted([*found, *rest])) for value, found in groups.items()}
    unnamed = tuple(nodes[i] for i in rest)
    without = tuple(nodes[i] for i in absent)
    category, key, fold = compared

    def select(x: Evaluation) -> Sequence[Node]:
        bag = x.attributes.get(category, {}).get(key, ())
        if len(bag) == 1:
            return table.get(bag[0].lower() if fold else bag[0], unnamed)
        if not bag:
            return without
        wanted = {i for value in (folded(bag) if fold else bag) for i in groups.get(value, ())}
        return tuple(nodes[i] for i in sorted(wanted.union(rest)))

    return select
