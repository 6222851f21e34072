"""A policy ready to decide: one request, or many that share attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from havn.engines.xacml import dispatch, limits, names
from havn.engines.xacml.combining import DENY, EXTENDED, PERMIT, Outcome
from havn.engines.xacml.compiler import Compiler, constant_duties
from havn.engines.xacml.errors import EvaluationError
from havn.engines.xacml.evaluation import Evaluation
from havn.engines.xacml.explain import explain
from havn.engines.xacml.explanation import Explanation
from havn.engines.xacml.model import (
    OK,
    Decision,
    DecisionRequest,
    Effect,
    PolicyIdentifier,
    Request,
    Result,
    Status,
)
from havn.engines.xacml.policy import Policy, PolicyDocument, PolicySet, Reference, Rule
from havn.engines.xacml.references import Resolver, resolve_all
from havn.engines.xacml.targets import legacy
from havn.engines.xacml.usage import used_attributes

Permitted = Callable[[Request, Evaluation], bool]
_WORDS = {PERMIT: Decision.PERMIT, DENY: Decision.DENY}


class CompiledPolicy:
    """One policy with all it refers to, compiled. Safe to share between threads.

    `decide(request)` gives the `Result`. `attributes` are those that the policy looks at, for whoever fetches facts;
    `reads_content` tells whether it also looks at XML content.
    """

    __slots__ = (
        "_permitted",
        "_plain",
        "_used",
        "attributes",
        "decide",
        "document",
        "reads_content",
        "references",
        "root",
    )

    def __init__(
        self, document: PolicyDocument, root: Policy | PolicySet, references: dict[Reference, Policy | PolicySet]
    ) -> None:
        self.document = document
        self.root = root
        self.references = references
        self.attributes, self.reads_content = used_attributes(parts_of(root, references))
        by_category: dict[str, set[Any]] = {}
        for designator in self.attributes:
            by_category.setdefault(designator.category, set()).add(designator.key)
        self._used = tuple((category, tuple(keys)) for category, keys in by_category.items())
        self._plain: Callable[[Request], Result]
        self._permitted: Permitted | None = None
        self.decide: Callable[[Request], Result]
        if isinstance(root, Policy) and dispatch.is_plain(root):
            self.decide = dispatch.build(root, _answers(root), entry=self._special)
            self._plain = _quick(root, self.decide)
        else:
            self._plain, self._permitted = _evaluator(root, references)
            self.decide = self._careful

    def decide_many(self, requests: Iterable[Request]) -> list[Result]:
        """Decide requests in order, each distinct set of the attributes that matter once."""
        if self.reads_content:
            return [self.decide(request) for request in requests]
        plain, used = self._plain, self._used
        known: dict[Any, Result] = {}
        parts: dict[tuple[int, int], int] = {}  # category dictionaries seen, by identity, as small numbers
        numbers: dict[Any, int] = {}
        kept = requests if isinstance(requests, list | tuple) else list(requests)
        results: list[Result] = []
        for request in kept:
            if request.error is not None:
                results.append(self._special(request))
                continue
            key: list[Any] = [request.now]
            for place, (category, keys) in enumerate(used):
                bags = request.attributes.get(category)
                if bags is None:
                    key.append(-1)
                    continue
                number = parts.get((place, id(bags)))
                if number is None:
                    values = (place, *map(bags.get, keys))
                    number = parts[place, id(bags)] = numbers.setdefault(values, len(numbers))
                key.append(number)
            distinct = (*key, request.return_policy_ids)
            result = known.get(distinct)
            if result is None:
                result = known[distinct] = plain(request)
            if request.echo:
                result = _echoed(result, request)
            results.append(result)
        return results

    def explain(self, request: Request) -> Explanation:
        """Why a request is decided as it is. Much slower than deciding; it reveals the policy."""
        return explain(self.root, self.references, request, self.decide(request), self._permitted)

    def _careful(self, request: Request) -> Result:
        return self._special(request) if request.special else self._plain(request)

    def _special(self, request: Request) -> Result:
        """Requests with an error, or attributes to return."""
        if request.error is not None:
            result = Result(decision=Decision.INDETERMINATE, status=request.error, extended="DP")
        else:
            result = self._plain(request)
        return _echoed(result, request) if request.echo else result


def compile_policy(
    document: PolicyDocument,
    resolver: Resolver | None = None,
    *,
    bounds: limits.Limits = limits.DEFAULT,
    legacy_target_matching: bool = False,
) -> CompiledPolicy:
    """Compile a policy and what it refers to; PolicyError for references that cannot be followed.

    `legacy_target_matching` reads targets as the first Altinn engine did: for comparing, never for deciding.
    """
    root, references = resolve_all(document, resolver, bounds)
    if legacy_target_matching:
        root = _with_legacy_targets(root)
        references = {reference: _with_legacy_targets(part) for reference, part in references.items()}
    return CompiledPolicy(document, root, references)


def decide(policy: CompiledPolicy, asked: DecisionRequest) -> list[Result]:
    """All results that a call asks for; with CombinedDecision, one."""
    if len(asked.requests) == 1 and not asked.combined:
        return [policy.decide(asked.requests[0])]
    results = policy.decide_many(asked.requests)
    return [combined(results)] if asked.combined else results


def combined(results: Sequence[Result]) -> Result:
    """One result for all (multiple decision profile 3.1): theirs if they agree and carry no obligations or advice."""
    first = results[0].decision
    if any(r.obligations or r.advice for r in results):
        message = "decisions with obligations or advice cannot be combined"
    elif any(r.decision is not first for r in results):
        message = "the decisions differ"
    elif first is Decision.INDETERMINATE:
        return Result(decision=first, status=results[0].status, extended=results[0].extended)
    else:
        policies = tuple(dict.fromkeys(p for r in results for p in r.policies))
        return Result(decision=first, policies=policies, policy=results[0].policy, rule=results[0].rule)
    return Result(decision=Decision.INDETERMINATE, status=Status(names.PROCESSING_ERROR, message), extended="DP")


def parts_of(root: Policy | PolicySet, references: dict[Reference, Policy | PolicySet]) -> list[Policy | PolicySet]:
    """Every policy and policy set, each once."""
    found: dict[int, Policy | PolicySet] = {}
    queue: list[Policy | PolicySet] = [root]
    while queue:
        part = queue.pop()
        if id(part) not in found:
            found[id(part)] = part
            if isinstance(part, PolicySet):
                queue += [references[c] if isinstance(c, Reference) else c for c in part.children]
    return list(found.values())


def _answers(policy: Policy) -> Callable[[Rule | None, Effect | None], Result]:
    """Ready results for a policy on the fast path."""
    made = {
        effect: (constant_duties(policy.obligations, effect), constant_duties(policy.advice, effect))
        for effect in Effect
    }

    def answer(rule: Rule | None, effect: Effect | None) -> Result:
        if effect is None:
            return Result(decision=Decision.NOT_APPLICABLE, wire={})
        obligations, advice = made[effect]
        return Result(
            decision=Decision(effect.value),
            obligations=obligations,
            advice=advice,
            policy=policy.id,
            rule=rule.id if rule else None,
            wire={},
        )

    return answer


def _quick(policy: Policy, decide: Callable[[Request], Result]) -> Callable[[Request], Result]:
    """The fast path for requests that want nothing echoed, with the policy's identifier when that is wanted."""
    identifier = (PolicyIdentifier(policy.id, policy.version),)

    def quick(request: Request) -> Result:
        result = decide(request.bare() if request.special else request)
        if request.return_policy_ids and result.decision is not Decision.NOT_APPLICABLE:
            return msgspec.structs.replace(result, policies=identifier, wire=None)
        return result

    return quick


def _evaluator(
    root: Policy | PolicySet, references: dict[Reference, Policy | PolicySet]
) -> tuple[Callable[[Request], Result], Permitted]:
    """The general way: an evaluation per request, its outcome made a result; and what access-permitted asks."""
    evaluate = Compiler(references).node(root).evaluate
    nothing = Result(decision=Decision.NOT_APPLICABLE, wire={})

    def permitted(request: Request, asker: Evaluation) -> bool:
        x = Evaluation(request, None)
        x.steps = asker.steps
        outcome = evaluate(x)
        asker.steps = x.steps
        if outcome is not None and outcome.error is not None:
            raise outcome.error
        return outcome is not None and outcome.value == PERMIT

    def full(request: Request) -> Result:
        x = Evaluation(request, permitted)
        try:
            outcome = evaluate(x)
        except RecursionError:
            return _indeterminate("DP", EvaluationError(names.PROCESSING_ERROR, "the policy nests too deep"), x)
        if outcome is None:
            return nothing
        word = _WORDS.get(outcome.value)
        if word is None:
            error = outcome.error or EvaluationError(names.PROCESSING_ERROR, "no decision could be made")
            return _indeterminate(EXTENDED[outcome.value], error, x, outcome)
        return Result(
            decision=word,
            status=OK,
            obligations=outcome.obligations,
            advice=outcome.advice,
            policies=tuple(x.policies or ()),
            policy=outcome.policy,
            rule=outcome.rule,
        )

    return full, permitted


def _indeterminate(extended: str, error: EvaluationError, x: Evaluation, outcome: Outcome | None = None) -> Result:
    return Result(
        decision=Decision.INDETERMINATE,
        status=Status(error.code, error.message, error.missing),
        policies=tuple(x.policies or ()),
        extended=extended,
        policy=outcome.policy if outcome else None,
        rule=outcome.rule if outcome else None,
    )


def _echoed(result: Result, request: Request) -> Result:
    """The result with the attributes that were to be returned."""
    return Result(
        decision=result.decision,
        status=result.status,
        obligations=result.obligations,
        advice=result.advice,
        attributes=request.echo,
        policies=result.policies,
        extended=result.extended,
        policy=result.policy,
        rule=result.rule,
        wire=result.wire,
    )


def _with_legacy_targets(part: Policy | PolicySet) -> Policy | PolicySet:
    # The first engine looked at targets of rules only.
    if isinstance(part, Policy):
        rules = tuple(msgspec.structs.replace(rule, target=legacy(rule.target)) for rule in part.rules)
        return msgspec.structs.replace(part, target=(), rules=rules)
    children = tuple(c if isinstance(c, Reference) else _with_legacy_targets(c) for c in part.children)
    return msgspec.structs.replace(part, target=(), children=children)
