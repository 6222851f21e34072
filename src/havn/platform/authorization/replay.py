"""Deciding recorded requests again under another policy: what would change, before it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec

from havn.contracts.authorization import AttributePair
from havn.engines.app_policy import replay
from havn.engines.xacml import compile_policy
from havn.guard.evaluation import by_party
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.authorization.decision_log import Pseudonyms
from havn.platform.authorization.policies import PolicyAdministration
from havn.platform.authorization.store.decisions import DecisionStore
from havn.platform.authorization.store.policies import PolicyStore

MAX_REQUESTS = 20_000


class ReplayQuery(msgspec.Struct, rename="camel", frozen=True):
    """The policy to try (XML text, or a kept version) and which recorded requests to try it on."""

    policy: str | None = None
    version: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 5000


class Changed(msgspec.Struct, rename="camel", frozen=True):
    """A recorded request that would be decided differently. `times` is how often it came."""

    action: str
    attributes: list[AttributePair]
    was: str
    becomes: str
    times: int
    rule: str | None


class ReplayReport(msgspec.Struct, rename="camel", frozen=True):
    """How many distinct requests and decisions were replayed, counts for each (was, becomes), and what changes."""

    distinct: int
    decisions: int
    counts: dict[str, int]
    changed: list[Changed]


class Replay:
    """Replays from the decision log."""

    def __init__(
        self,
        decisions: DecisionStore,
        policies: PolicyStore,
        administration: PolicyAdministration,
        pseudonyms: Pseudonyms,
        *,
        clock: Clock,
    ) -> None:
        self._decisions = decisions
        self._policies = policies
        self._pseudonyms = pseudonyms
        self._administration = administration
        self._clock = clock

    async def run(self, org: str, app: str, query: ReplayQuery) -> ReplayReport:
        """Compare what the policy in force says with what the other one would; nothing is stored.

        Both are evaluated now on the recorded attributes and today's access lists, so that only the policy differs.
        Identities are not recorded: rules about single persons and delegated rights do not take part.
        """
        if (query.policy is None) == (query.version is None):
            raise Problem(400, "Give a policy or a version.", code="invalid_query")
        if not 1 <= query.limit <= MAX_REQUESTS:
            raise Problem(400, f"limit is between 1 and {MAX_REQUESTS}.", code="invalid_query")
        _, present = await self._administration.document(org, app)
        compiled = compile_policy(await self._administration.chosen(org, app, query.policy, query.version))
        rows = await self._decisions.recorded(
            org, app, since=query.since, until=query.until, limit=query.limit, listed=await self._listed(org, app)
        )
        recorded = [
            replay.Recorded(
                row["action"],
                tuple(
                    (pair.id, pair.value) for pair in msgspec.json.decode(row["attributes"], type=list[AttributePair])
                ),
                row["times"],
                row["listed"],
            )
            for row in rows
        ]
        return report(replay.compare(compile_policy(present), compiled, recorded, now=self._clock()))

    async def _listed(self, org: str, app: str) -> list[tuple[str, str | None]] | None:
        """The parties on the app's access lists, as the log names them, with the actions they are listed for."""
        facts = await self._policies.in_force(org, app)
        if facts is None or facts.limit is None:
            return None
        return [
            (self._pseudonyms.of(f"party:{party}"), action)
            for party, actions in by_party(facts.limit).items()
            for action in ([None] if actions is None else sorted(actions))
        ]


def report(outcomes: Sequence[replay.Outcome]) -> ReplayReport:
    """The report of a comparison, at most 1,000 changes, commonest first."""
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts[f"{outcome.was} -> {outcome.becomes}"] += outcome.recorded.times
    changed = sorted((o for o in outcomes if o.was != o.becomes), key=lambda outcome: -outcome.recorded.times)
    return ReplayReport(
        distinct=len(outcomes),
        decisions=sum(outcome.recorded.times for outcome in outcomes),
        counts=dict(sorted(counts.items())),
        changed=[
            Changed(
                outcome.recorded.action,
                [AttributePair(*pair) for pair in outcome.recorded.attributes],
                outcome.was,
                outcome.becomes,
                outcome.recorded.times,
                outcome.rule,
            )
            for outcome in changed[:1000]
        ],
    )
