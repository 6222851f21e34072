"""Partial evaluation: for whom and where an action is permitted, as a condition that a database can put to its rows.

A decision about an instance of an app depends on its party and on the place where its process stands, and on nothing
else, unless the policy or a delegated right names single instances. So each party and place is decided once, by the
same decision point as any instance, and what is permitted becomes clauses; the instances themselves are not looked at.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from havn.contracts import authorization as contract
from havn.contracts.authorization import DelegatedRight
from havn.engines.app_policy.reading import rules
from havn.engines.xacml import DecisionRequest, Policy, PolicyDocument
from havn.engines.xacml.policy import Target
from havn.engines.xacml.usage import used_attributes
from havn.guard import evaluation, xacml
from havn.guard.evaluation import AppPolicy
from havn.guard.pep import Outcome, Resource
from havn.guard.snapshot import to_outcome
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.authorization.context import Completed
from havn.platform.authorization.pdp import Answer, DecisionPoint

_EQUAL = "urn:oasis:names:tc:xacml:1.0:function:string-equal"
_PLACES = (contract.TASK, contract.END_EVENT)
# Not what a task or end event can be called: it stands for all those that the policy does not name.
_OTHER = "(any other)"


class Stage(NamedTuple):
    """Where a process stands; neither: it has not begun."""

    task: str | None = None
    end_event: str | None = None


class Clause(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """Instances of these parties at these places, or anywhere; with `instances` only those.

    Places are `tasks`, `end_events`, `not_begun`, and with `other_tasks` or `other_end_events` every one not in `named`
    of the filter. `min_level` is the level of sign-in that is needed.
    """

    parties: list[int]
    min_level: int = 0
    everywhere: bool = False
    tasks: list[str] = []
    end_events: list[str] = []
    not_begun: bool = False
    other_tasks: bool = False
    other_end_events: bool = False
    instances: list[str] | None = None


class Filter(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """When `action` is permitted on an instance of `app`: when any clause holds.

    `named_tasks` and `named_end_events` are those that "other" leaves out. `each` is true when the policy looks at
    single instances in a way that no condition tells: then there are no clauses, and each instance must be asked about.
    """

    app: str
    action: str
    clauses: list[Clause] = []
    named_tasks: list[str] = []
    named_end_events: list[str] = []
    each: bool = False


class Residuals:
    """Computes filters through the decision point."""

    def __init__(self, decisions: DecisionPoint, *, clock: Clock) -> None:
        self._decisions = decisions
        self._clock = clock

    async def filters(
        self,
        subject: evaluation.Bags,
        apps: Sequence[tuple[str, str]],
        parties: Sequence[int],
        actions: Sequence[str],
        allowed: Callable[[Completed], None],
    ) -> list[Filter]:
        """A filter for each app and action, in order. 413 for too many decisions, 503 when facts are lacking."""
        found: list[Filter] = []
        for org, app in apps:
            first = await self._ask(subject, [Resource(org, app, party) for party in parties], actions[:1], allowed)
            policy = next((entry.policy for entry in first.decided if entry.policy is not None), None)
            rights = [
                right
                for entry in first.decided
                if entry.completed is not None and entry.completed.facts is not None
                for right in entry.completed.facts.rights
                if _about(right, org, app)
            ]
            if policy is None:
                found += [Filter(app=f"{org}/{app}", action=action) for action in actions]
                continue
            if policy.names_instances or not _compares_places_plainly(policy.compiled.document):
                found += [Filter(app=f"{org}/{app}", action=action, each=True) for action in actions]
                continue
            found += await self._app(subject, policy, parties, actions, rights, allowed)
        return found

    async def _app(
        self,
        subject: evaluation.Bags,
        policy: AppPolicy,
        parties: Sequence[int],
        actions: Sequence[str],
        rights: Sequence[DelegatedRight],
        allowed: Callable[[Completed], None],
    ) -> list[Filter]:
        tasks, ends = _named(policy.compiled.document, rights)
        stages = [
            Stage(),
            *(Stage(task) for task in (*tasks, _OTHER)),
            *(Stage(None, end) for end in (*ends, _OTHER)),
        ]
        instances = sorted({right.instance_id for right in rights if right.instance_id is not None})
        places = [
            Resource(policy.org, policy.app, party, instance, stage.task, stage.end_event)
            for party in parties
            for instance in (None, *(_whole(one, party) for one in instances if _belongs(one, party)))
            for stage in stages
        ]
        answer = await self._ask(subject, places, actions, allowed)
        results = iter(answer.results)
        outcomes = [{action: to_outcome(next(results)) for action in actions} for _ in places]
        return [
            Filter(
                app=f"{policy.org}/{policy.app}",
                action=action,
                clauses=_clauses(places, [row[action] for row in outcomes], len(stages)),
                named_tasks=tasks,
                named_end_events=ends,
            )
            for action in actions
        ]

    async def _ask(
        self,
        subject: evaluation.Bags,
        places: Sequence[Resource],
        actions: Sequence[str],
        allowed: Callable[[Completed], None],
    ) -> Answer:
        if len(places) * len(actions) > contract.MAX_SUB_REQUESTS:
            raise Problem(413, f"That is more than {contract.MAX_SUB_REQUESTS} decisions.", code="too_many")
        now = self._clock()
        requests = [
            evaluation.request(subject, bags, action, now)
            for bags in (evaluation.bags(xacml.whole_resource(place)) for place in places)
            for action in actions
        ]
        answer = await self._decisions.decide(DecisionRequest(requests=tuple(requests)), allowed=allowed)
        if answer.fault:
            raise Problem(
                503, "Facts that the decisions rest on are lacking just now.", code="authorization_unavailable",
                headers={"Retry-After": "2"},
            )  # fmt: skip
        return answer


_At = tuple[int, bool, tuple[Stage, ...], str | None]


def _clauses(places: Sequence[Resource], outcomes: Sequence[Outcome], stages: int) -> list[Clause]:
    """What is permitted, parties with the same answer together."""
    at: dict[tuple[int, str | None], dict[int, list[Stage]]] = {}
    for place, outcome in zip(places, outcomes, strict=True):
        if outcome.permit and place.party_id is not None:
            levels = at.setdefault((place.party_id, place.instance_id), {})
            levels.setdefault(outcome.minimum_level or 0, []).append(Stage(place.task, place.end_event))
    grouped: dict[_At, list[int]] = {}
    for (party, instance), levels in at.items():
        for level, where in levels.items():
            general = at.get((party, None), {}).get(level)
            # A single instance is worth a clause only where more is permitted of it than of all others.
            if instance is None or where != general:
                grouped.setdefault((level, len(where) == stages, tuple(where), instance), []).append(party)
    return [
        Clause(
            parties=parties,
            min_level=level,
            everywhere=everywhere,
            tasks=[s.task for s in where if s.task not in (None, _OTHER)] if not everywhere else [],
            end_events=[s.end_event for s in where if s.end_event not in (None, _OTHER)] if not everywhere else [],
            not_begun=not everywhere and Stage() in where,
            other_tasks=not everywhere and Stage(_OTHER) in where,
            other_end_events=not everywhere and Stage(None, _OTHER) in where,
            instances=[instance] if instance is not None else None,
        )
        for (level, everywhere, where, instance), parties in grouped.items()
    ]


def _named(document: PolicyDocument, rights: Iterable[DelegatedRight]) -> tuple[list[str], list[str]]:
    """The tasks and end events that the policy or a right names."""
    pairs = {(pair.id, pair.value) for view in rules(document) for grant in view.grants for pair in grant.resource} | {
        (pair.id, pair.value) for right in rights for pair in right.resource
    }
    # A policy's own target names places too, and every rule stands inside it: `rules` takes both together.
    return (
        sorted(value for id_, value in pairs if id_ == contract.TASK),
        sorted(value for id_, value in pairs if id_ == contract.END_EVENT),
    )


def _compares_places_plainly(document: PolicyDocument) -> bool:
    """Whether tasks and end events are compared by equality in targets, and used nowhere else."""
    root = document.root
    if not isinstance(root, Policy) or any(view.cut for view in rules(document)):
        return False
    if _OTHER in itertools.chain(*_named(document, ())):
        return False
    if not all(_plain(target) for target in (root.target, *(rule.target for rule in root.rules))):
        return False
    bare = msgspec.structs.replace(
        root, target=(), rules=tuple(msgspec.structs.replace(rule, target=()) for rule in root.rules)
    )
    elsewhere, _ = used_attributes([bare])
    return not any(attribute.id in _PLACES for attribute in elsewhere)


def _plain(target: Target) -> bool:
    return all(
        getattr(match.attribute, "id", None) not in _PLACES or match.function.id == _EQUAL
        for any_of in target
        for all_of in any_of
        for match in all_of
    )


def _about(right: DelegatedRight, org: str, app: str) -> bool:
    held = {pair.id: pair.value for pair in right.resource}
    return held.get(contract.ORG) == org and held.get(contract.APP) == app


def _whole(instance: str, party: int) -> str:
    return instance if "/" in instance else f"{party}/{instance}"


def _belongs(instance: str, party: int) -> bool:
    head = instance.rpartition("/")[0]
    return not head or head == str(party)
