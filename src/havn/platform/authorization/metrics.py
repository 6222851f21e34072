"""What the decision point counts, for Prometheus: decisions by result and kind of policy, never by person.

The names are those of Altinn's own meter `altinn.pdp.decisions`, as Prometheus writes them. Labels are bounded: a
resource is named only once it has a policy, and beyond `MOST_SERIES` all further ones are `other`.
"""

from __future__ import annotations

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from havn.contracts.resources import REGISTERED, resource_id

Asked = Literal["internal", "external", "reported"]
"""How a decision was asked for: by the platform's own routes, by `authorize`, or told to the log by whoever made it."""

MOST_SERIES = 10_000
_LABELS = ("resource_owner_org", "resource_id", "pdp_api_kind", "policy_kind", "result")
_OTHER = "other"
_MOST_AT_ONCE = 1_000_000


class DecisionMetrics:
    """Counters of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._decisions = Counter("altinn_pdp_decisions", "Decisions made.", _LABELS, registry=self.registry)
        self._seconds = Histogram(
            "altinn_pdp_decision_seconds", "Evaluation of one decision, facts at hand.", ("policy_kind", "result"),
            buckets=(2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 0.02, 0.1, 1), registry=self.registry,
        )  # fmt: skip
        self._calls = Histogram(
            "altinn_pdp_call_seconds", "A call for decisions, facts fetched for it included.", ("pdp_api_kind",),
            buckets=(5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5), registry=self.registry,
        )  # fmt: skip
        self._missed = Counter(
            "altinn_pdp_decisions_unlogged", "Decisions that the log misses, as told by those who made them.",
            registry=self.registry,
        )  # fmt: skip
        self._known: dict[tuple[str, ...], Counter] = {}

    def decided(self, org: str, app: str, result: str, asked: Asked, *, count: int, micros: int) -> None:
        """`count` decisions with one policy, which took `micros` each; `app` is the name that the policy is kept by."""
        kind = "resource" if app.startswith(REGISTERED) else "app"
        self._count((org, resource_id(org, app), asked, kind, result), count)
        self._seconds.labels(kind, result).observe(max(0, micros) / 1e6)

    def undecided(self, result: str, asked: Asked, count: int) -> None:
        """`count` decisions that no policy made: there is none, or what they rest on cannot be had."""
        self._count(("", "", asked, "none", result), count)

    def missed(self, count: int) -> None:
        """`count` decisions were made that the log is never told of."""
        self._missed.inc(max(0, count))

    def called(self, asked: Asked, seconds: float) -> None:
        """A call for decisions was answered."""
        self._calls.labels(asked).observe(seconds)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)

    def _count(self, labels: tuple[str, str, str, str, str], count: int) -> None:
        counter = self._known.get(labels)
        if counter is None:
            named = labels if len(self._known) < MOST_SERIES else (_OTHER, _OTHER, *labels[2:])
            counter = self._decisions.labels(*named)
            if named is labels:
                self._known[labels] = counter
        counter.inc(max(0, min(count, _MOST_AT_ONCE)))
