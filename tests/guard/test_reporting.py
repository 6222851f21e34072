"""Reporting decisions: never in anybody's way, nothing twice, and what is lost is counted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from havn.contracts.authorization import LogBatch
from havn.engines.xacml import Decision
from havn.guard import evaluation
from havn.guard.pep import Resource
from havn.guard.reporting import DecisionReporter, Entry
from havn.kit.problem import Problem

NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Sink:
    def __init__(self) -> None:
        self.batches: list[LogBatch] = []
        self.failure: Exception | None = None

    async def log(self, batch: LogBatch) -> None:
        if self.failure is not None:
            raise self.failure
        self.batches.append(batch)


@pytest.fixture
def sink() -> Sink:
    return Sink()


def entry(number: int = 0, count: int = 1) -> Entry:
    subject = evaluation.bags([("urn:altinn:userid", "1337"), ("urn:altinn:rolecode", "dagl"), ("urn:other", "Kari")])
    resource = evaluation.bags([("urn:altinn:org", "ttd"), ("urn:altinn:partyid", "501"), ("urn:altinn:task", "T")])
    return Entry(
        at=NOW, subject="user:1337", resource=Resource("ttd", "a", 501), action=f"read{number}",
        request=evaluation.request(subject, resource, "read", NOW), decision=Decision.PERMIT, rule="r",
        policy_version=1, micros=1, count=count,
    )  # fmt: skip


async def test_decisions_go_in_order_and_once(sink) -> None:
    reporter = DecisionReporter(sink)
    for number in range(2500):
        reporter.record(entry(number))
    await reporter.flush()
    await reporter.flush()
    assert [len(batch.decisions) for batch in sink.batches] == [1000, 1000, 500]
    assert [d.action for batch in sink.batches for d in batch.decisions] == [f"read{n}" for n in range(2500)]


async def test_what_a_decision_rested_on_is_kept_without_persons(sink) -> None:
    reporter = DecisionReporter(sink)
    reporter.record(entry())
    await reporter.flush()
    kept = sink.batches[0].decisions[0].attributes
    assert kept is not None
    assert [(pair.id, pair.value) for pair in kept] == [
        ("r:urn:altinn:org", "ttd"),
        ("r:urn:altinn:task", "T"),
        ("s:urn:altinn:rolecode", "dagl"),
    ]


async def test_a_full_buffer_drops_and_counts(sink) -> None:
    reporter = DecisionReporter(sink, buffer=2)
    for count in (1, 1, 5, 7):
        reporter.record(entry(count=count))
    await reporter.flush()
    assert (len(sink.batches[0].decisions), sink.batches[0].dropped) == (2, 12)


async def test_while_the_log_is_away_decisions_wait(sink) -> None:
    reporter = DecisionReporter(sink)
    reporter.record(entry(1))
    sink.failure = Problem(503)
    with pytest.raises(Problem):
        await reporter.flush()
    reporter.record(entry(2))
    sink.failure = None
    await reporter.flush()
    assert [d.action for d in sink.batches[0].decisions] == ["read1", "read2"]


async def test_a_batch_that_can_never_be_taken_is_given_up_and_counted(sink) -> None:
    reporter = DecisionReporter(sink)
    reporter.record(entry(1))
    sink.failure = ValueError("poison")
    await reporter.flush()
    sink.failure = None
    reporter.record(entry(2))
    await reporter.flush()
    assert [d.action for d in sink.batches[0].decisions] == ["read2"]
    assert sink.batches[0].dropped == 1
