"""A decision point inside the asking process: the XACML engine on a snapshot of policies and subject facts.

No click costs a round trip for a decision, and no decision calls back. The work grows with distinct circumstances
(party, place in the process, action), not with the number of instances.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import msgspec
import structlog

from havn.contracts import authorization as contract
from havn.contracts.authorization import DelegatedRight, SubjectRef
from havn.engines.xacml import Decision, PolicyError, Request, Result
from havn.guard import evaluation, xacml
from havn.guard.evaluation import AppPolicy, Bags
from havn.guard.facts import FactCache
from havn.guard.pep import Outcome, Resource
from havn.guard.principal import Kind, Principal
from havn.guard.remote import unavailable
from havn.guard.reporting import DecisionReporter, Entry, subject_reference
from havn.kit.clock import Clock
from havn.kit.problem import Problem

_log = structlog.get_logger("guard")
_REFUSED = Outcome(permit=False)
_NONE: AbstractSet[str] = frozenset()
_Circumstance = tuple[str, str, int | None, str | None, str | None, str | None]


class SnapshotDecisionPoint:
    """Decides in this process with what `facts` knows; `reporter` takes each decision to the decision log."""

    def __init__(self, facts: FactCache, *, clock: Clock, reporter: DecisionReporter | None = None) -> None:
        self._facts = facts
        self._clock = clock
        self._reporter = reporter

    async def outcomes(
        self, principal: Principal, resources: Sequence[Resource], actions: Sequence[str]
    ) -> list[dict[str, Outcome]]:
        """As `DecisionPoint.outcomes`; 503 `snapshot_behind` when what the caller knows of has not arrived here."""
        if principal.at_least is not None:
            await self._facts.at_least(principal.at_least)
        try:
            return await self._outcomes(principal, resources, actions)
        except Problem as problem:
            raise unavailable() from problem
        except PolicyError as error:
            # It was loaded when it was published: another version of the engine runs here. Nobody may be let through.
            _log.error("policy_refused", source=error.source, line=error.line)
            raise unavailable() from error

    async def _outcomes(
        self, principal: Principal, resources: Sequence[Resource], actions: Sequence[str]
    ) -> list[dict[str, Outcome]]:
        subject = reference(principal)
        own = evaluation.bags(xacml.subject(principal))
        by_app: dict[tuple[str, str], list[int]] = {}
        for number, resource in enumerate(resources):
            by_app.setdefault((resource.org, resource.app), []).append(number)
        parties = {resource.party_id for resource in resources if resource.party_id is not None}
        facts = {}
        if subject is not None and parties:
            facts = await self._facts.subject(subject, parties, token=principal.token)
        subjects: dict[int | None, Bags] = {None: own}
        for party, found in facts.items():
            subjects[party] = _joined(own, found.attributes)
        outcomes: list[dict[str, Outcome]] = [{} for _ in resources]
        # Instances that somebody was given a right on, by party: only these can fare otherwise than their neighbours.
        singled = {
            party: {evaluation.bare(right.instance_id) for right in found.rights if right.instance_id is not None}
            for party, found in facts.items()
        }
        for (org, app), numbers in by_app.items():
            policy = await self._facts.policy(org, app)
            if policy is None:
                for number in numbers:
                    outcomes[number] = dict.fromkeys(actions, _REFUSED)
                continue
            groups: dict[_Circumstance, list[int]] = {}
            for number in numbers:
                resource = resources[number]
                named = singled.get(resource.party_id, _NONE) if resource.party_id is not None else _NONE
                groups.setdefault(_circumstance(resource, policy, named), []).append(number)
            self._decide(principal, policy, groups, resources, actions, subjects, facts, outcomes)
        return outcomes

    def _decide(
        self,
        principal: Principal,
        policy: AppPolicy,
        groups: dict[_Circumstance, list[int]],
        resources: Sequence[Resource],
        actions: Sequence[str],
        subjects: dict[int | None, Bags],
        facts: dict[int, contract.SubjectFacts],
        outcomes: list[dict[str, Outcome]],
    ) -> None:
        """Decide once for each group of resources in equal circumstances, and give all of them the outcome."""
        now = self._clock()
        requests: list[Request] = []
        rights: list[Sequence[DelegatedRight]] = []
        for numbers in groups.values():
            first = resources[numbers[0]]
            place = evaluation.bags(xacml.whole_resource(first))
            who = subjects.get(first.party_id, subjects[None])
            held = facts[first.party_id].rights if first.party_id in facts else ()
            for action in actions:
                requests.append(evaluation.request(who, place, action, now))
                rights.append(held)
        who_asks = subject_reference(principal)
        started = time.perf_counter_ns()
        results = policy.decide_many(requests, rights, now)
        micros = max(1, (time.perf_counter_ns() - started) // 1000 // max(1, len(requests)))
        answers = iter(zip(requests, results, strict=True))
        for numbers in groups.values():
            mapping: dict[str, Outcome] = {}
            for action in actions:
                request, (result, right) = next(answers)
                mapping[action] = to_outcome(result)
                if self._reporter is not None:
                    self._reporter.record(
                        Entry(
                            at=now, subject=who_asks, resource=_logged(resources, numbers), action=action,
                            request=request,
                            decision=result.decision, rule=right.id if right is not None else result.rule,
                            policy_version=policy.version, micros=micros, count=len(numbers),
                        )
                    )  # fmt: skip
            for number in numbers:
                outcomes[number] = mapping


def reference(principal: Principal) -> SubjectRef | None:
    """Whom to fetch facts about; None for a caller who has no relations to parties (a service owner's token)."""
    if principal.kind is Kind.SYSTEM_USER:
        return SubjectRef(system_user_id=principal.system_user_id)
    if principal.user_id is not None:
        return SubjectRef(user_id=principal.user_id, party_id=principal.party_id)
    if principal.kind is Kind.SERVICE_OWNER:
        return None
    if principal.party_id is not None:
        return SubjectRef(party_id=principal.party_id)
    if principal.org_number is not None:
        return SubjectRef(org_number=principal.org_number)
    return None


def to_outcome(result: Result) -> Outcome:
    """A result in the enforcer's terms; a level that is no number refuses."""
    if result.decision is not Decision.PERMIT:
        return _REFUSED
    levels: dict[str, int] = {}
    for obligation in result.obligations:
        for assignment in obligation.assignments:
            if assignment.category in (contract.MINIMUM_LEVEL, contract.MINIMUM_LEVEL_ORG):
                try:
                    level = int(assignment.text)
                except ValueError:
                    return _REFUSED
                levels[assignment.category] = max(level, levels.get(assignment.category, level))
    return Outcome(True, levels.get(contract.MINIMUM_LEVEL), levels.get(contract.MINIMUM_LEVEL_ORG))


def _logged(resources: Sequence[Resource], numbers: Sequence[int]) -> Resource:
    """What the log says was acted on: the instance only where it is the only one."""
    first = resources[numbers[0]]
    return first if len(numbers) == 1 else msgspec.structs.replace(first, instance_id=None)


def _circumstance(resource: Resource, policy: AppPolicy, named: AbstractSet[str]) -> _Circumstance:
    """What a decision can depend on; the instance only where the policy looks at instances, or a right names this."""
    instance = resource.instance_id
    if instance is not None and not policy.names_instances and not (named and evaluation.bare(instance) in named):
        instance = None
    return (resource.org, resource.app, resource.party_id, instance, resource.task, resource.end_event)


def _joined(own: Bags, added: Sequence[contract.AttributePair]) -> Bags:
    joined = dict(own)
    for pair in added:
        held = joined.get(pair.id, ())
        if pair.value not in held:
            joined[pair.id] = (*held, pair.value)
    return joined
