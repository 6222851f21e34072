"""The policy decision point: completes requests, finds the policies, decides, and remembers what it decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from havn.contracts.authorization import ACTION, ACTION_ID, DelegatedRight
from havn.engines.xacml import Decision, DecisionRequest, PolicyError, Request, Result, Status, names
from havn.guard.evaluation import AppPolicy
from havn.guard.facts import FactCache
from havn.guard.pep import Resource
from havn.guard.reporting import DecisionReporter, Entry
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.authorization.bags import Unanswerable
from havn.platform.authorization.context import Completed, ContextHandler
from havn.platform.authorization.metrics import Asked, DecisionMetrics


class Decided(msgspec.Struct, frozen=True):
    """A result and how it came about."""

    result: Result
    completed: Completed | None = None
    policy: AppPolicy | None = None
    right: DelegatedRight | None = None


class Answer(msgspec.Struct, frozen=True):
    """The results of one call in the order asked; `fault` when facts were lacking, so that a refusal means nothing."""

    decided: list[Decided]
    fault: bool = False

    @property
    def results(self) -> list[Result]:
        """The results alone."""
        return [entry.result for entry in self.decided]


_Outcome = tuple[str, Resource, str, Decision, str | None]


class DecisionPoint:
    """Decides requests with any number of sub-requests."""

    def __init__(
        self,
        facts: FactCache,
        context: Callable[[], ContextHandler],
        reporter: DecisionReporter,
        metrics: DecisionMetrics,
        *,
        clock: Clock,
    ) -> None:
        self._facts = facts
        self._context = context
        self._reporter = reporter
        self._metrics = metrics
        self._clock = clock

    async def decide(
        self,
        asked: DecisionRequest,
        *,
        allowed: Callable[[Completed], None] | None = None,
        api: Literal["internal", "external"] = "internal",
    ) -> Answer:
        """Decide every sub-request.

        `allowed` raises a 403 `Problem` for what the asker may not ask about. Facts that cannot be had make everything
        Indeterminate, with `fault`. `api` is the kind of route that asked, for the metrics.
        """
        started = time.perf_counter()
        answer = await self._decide(asked, allowed, api)
        if answer.fault:
            self._metrics.undecided(Decision.INDETERMINATE.value, api, len(answer.decided))
        self._metrics.called(api, time.perf_counter() - started)
        return answer

    async def _decide(self, asked: DecisionRequest, allowed: Callable[[Completed], None] | None, api: Asked) -> Answer:
        try:
            completed = await self._context().complete(asked.requests)
            if allowed is not None:
                for entry in completed:
                    if isinstance(entry, Completed):
                        allowed(entry)
            decided = await self._evaluate(completed, api)
        except Problem as problem:
            if problem.status < 500:
                raise
            return self._failed(asked, problem.detail or "Facts are lacking just now.")
        except PolicyError as error:
            return self._failed(asked, f"The policy in force cannot be used: {error.message}")
        return Answer(decided)

    async def _evaluate(self, completed: Sequence[Completed | Unanswerable], api: Asked) -> list[Decided]:
        decided: list[Decided | None] = [None] * len(completed)
        by_app: dict[tuple[str, str], list[int]] = {}
        for number, entry in enumerate(completed):
            if isinstance(entry, Unanswerable):
                decided[number] = Decided(Result(decision=Decision.INDETERMINATE, status=entry.status))
            else:
                by_app.setdefault((entry.resource.org, entry.resource.app), []).append(number)
        # All of them before anything is decided: what fails here fails the whole call, and none of it is logged.
        policies = [await self._facts.policy(org, app) for org, app in by_app]
        if unanswerable := sum(entry is not None for entry in decided):
            self._metrics.undecided(Decision.INDETERMINATE.value, api, unanswerable)
        for ((org, app), numbers), policy in zip(by_app.items(), policies, strict=True):
            group = [entry for number in numbers if isinstance(entry := completed[number], Completed)]
            if policy is None:
                outcomes = _without_policy(org, app, group)
                self._metrics.undecided(Decision.NOT_APPLICABLE.value, api, len(group))
            else:
                outcomes = self._evaluate_app(policy, group, api)
            for number, outcome in zip(numbers, outcomes, strict=True):
                decided[number] = outcome
        return [entry for entry in decided if entry is not None]

    def _evaluate_app(self, policy: AppPolicy, group: Sequence[Completed], api: Asked) -> list[Decided]:
        now = self._clock()
        started = time.perf_counter_ns()
        results = policy.decide_many(
            [entry.request for entry in group], [entry.facts.rights if entry.facts else () for entry in group], now
        )
        micros = max(1, (time.perf_counter_ns() - started) // 1000 // len(group))
        decided = []
        outcomes: dict[_Outcome, list[Completed]] = {}
        for entry, (result, right) in zip(group, results, strict=True):
            decided.append(Decided(result, entry, policy, right))
            rule = right.id if right is not None else result.rule
            key = (entry.subject, _without_instance(entry.resource), _action(entry.request), result.decision, rule)
            outcomes.setdefault(key, []).append(entry)
        # One line in the log for each distinct outcome; the instance where it is the only one.
        for (subject, place, action, decision, rule), entries in outcomes.items():
            self._reporter.record(
                Entry(
                    at=now, subject=subject, resource=entries[0].resource if len(entries) == 1 else place,
                    action=action, request=entries[0].request, decision=decision, rule=rule,
                    policy_version=policy.version, micros=micros, count=len(entries),
                )
            )  # fmt: skip
            self._metrics.decided(policy.org, policy.app, decision.value, api, count=len(entries), micros=micros)
        return decided

    @staticmethod
    def _failed(asked: DecisionRequest, message: str) -> Answer:
        status = Status(code=names.PROCESSING_ERROR, message=message)
        return Answer(
            [
                Decided(Result(decision=Decision.INDETERMINATE, status=status, attributes=request.echo))
                for request in asked.requests
            ],
            fault=True,
        )


def _without_policy(org: str, app: str, group: Sequence[Completed]) -> list[Decided]:
    status = Status(message=f"There is no policy for {org}/{app}.")
    return [
        Decided(Result(decision=Decision.NOT_APPLICABLE, status=status, attributes=entry.request.echo), entry)
        for entry in group
    ]


def _without_instance(place: Resource) -> Resource:
    return Resource(place.org, place.app, place.party_id, None, place.task, place.end_event)


def _action(request: Request) -> str:
    return " ".join(str(value) for value in request.attributes.get(ACTION, {}).get(ACTION_ID, ()))
