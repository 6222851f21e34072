"""What may be remembered: only while changes would be heard, never across a change, never past its time."""

from __future__ import annotations

import asyncio

import pytest

from havn.contracts.authorization import AttributePair, Change, PolicyFacts, SubjectFacts, SubjectRef
from havn.guard.facts import FactCache
from havn.kit.problem import Problem

POLICY = (
    b'<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p" Version="1.0" RuleCombiningAlgId='
    b'"urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides"><Target/>'
    b'<Rule RuleId="r" Effect="Permit"/></Policy>'
)
KARI = SubjectRef(user_id=1)


class Source:
    def __init__(self) -> None:
        self.policies = 0
        self.asked: list[list[int]] = []
        self.role = "dagl"
        self.max_age_ms = 60_000
        self.gate: asyncio.Event | None = None
        self.is_fresh = True

    def fresh(self) -> bool:
        return self.is_fresh

    async def policy(self, org: str, app: str) -> PolicyFacts | None:
        self.policies += 1
        return PolicyFacts(org, app, self.policies, str(self.policies), POLICY) if app != "none" else None

    async def subject_facts(self, subject: SubjectRef, parties: list[int], token: str | None) -> list[SubjectFacts]:
        self.asked.append(parties)
        facts = [
            SubjectFacts(p, [AttributePair("urn:altinn:rolecode", self.role)], [], self.max_age_ms) for p in parties
        ]
        if self.gate is not None:
            await self.gate.wait()
        return facts


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache(source, clock) -> FactCache:
    return FactCache(source, source, clock=clock)


async def test_a_fact_is_fetched_once_and_together(cache, source) -> None:
    await cache.subject(KARI, [1, 2, 2])
    found = await cache.subject(KARI, [2, 3])
    assert source.asked == [[1, 2], [3]]
    assert sorted(found) == [2, 3]
    await cache.subject(KARI, range(10, 2510))
    assert [len(part) for part in source.asked[2:]] == [1000, 1000, 500]


async def test_a_change_drops_what_it_names_and_no_more(cache, source) -> None:
    await cache.subject(KARI, [1, 2])
    await cache.policy("ttd", "a")
    await cache.policy("ttd", "b")
    cache.apply(Change("facts", party_id=1))
    cache.apply(Change("policy", "ttd", "a"))
    assert cache.size == (1, 1)
    cache.apply(Change("facts"))
    assert cache.size == (1, 0)
    cache.apply(Change("all"))
    assert cache.size == (0, 0)


async def test_alive_drops_nothing(cache) -> None:
    await cache.subject(KARI, [1])
    cache.apply(Change("alive"))
    assert cache.size == (0, 1)


async def test_what_is_fetched_while_a_change_is_on_its_way_is_not_remembered(cache, source) -> None:
    source.gate = asyncio.Event()
    fetching = asyncio.create_task(cache.subject(KARI, [1]))
    while not source.asked:  # noqa: ASYNC110
        await asyncio.sleep(0)
    source.role = "nobody"
    cache.apply(Change("facts", party_id=1))
    source.gate.set()
    assert (await fetching)[1].attributes[0].value == "dagl"
    assert (await cache.subject(KARI, [1]))[1].attributes[0].value == "nobody"


async def test_without_freshness_nothing_is_used_and_nothing_is_remembered(cache, source) -> None:
    await cache.subject(KARI, [1])
    source.is_fresh = False
    await cache.subject(KARI, [1])
    await cache.policy("ttd", "a")
    source.is_fresh = True
    assert len(source.asked) == 2
    await cache.policy("ttd", "a")
    assert source.policies == 2


async def test_a_fact_is_kept_no_longer_than_it_holds(cache, source, clock) -> None:
    source.max_age_ms = 1000
    await cache.subject(KARI, [1])
    clock.forward(0.9)
    await cache.subject(KARI, [1])
    assert len(source.asked) == 1
    clock.forward(0.2)
    await cache.subject(KARI, [1])
    assert len(source.asked) == 2


async def test_an_app_without_a_policy_is_asked_about_again(cache, source) -> None:
    assert await cache.policy("ttd", "none") is None
    assert await cache.policy("ttd", "none") is None
    assert source.policies == 2


async def test_a_snapshot_that_lags_waits_and_then_says_so(cache, source) -> None:
    cache.apply(Change("all", version=5))
    await cache.at_least(5)
    with pytest.raises(Problem) as behind:
        await cache.at_least(6, seconds=0.01)
    assert (behind.value.status, behind.value.code) == (503, "snapshot_behind")
    waiting = asyncio.create_task(cache.at_least(7))
    await asyncio.sleep(0)
    cache.apply(Change("policy", "ttd", "permit", version=6))
    await asyncio.sleep(0)
    assert not waiting.done()
    cache.apply(Change("alive", version=7))
    await waiting
    # Where nothing is heard nothing is remembered either: what decides is fetched, and so is new enough.
    source.is_fresh = False
    await cache.at_least(8, seconds=0.01)
    # A database that was put back counts from where it stands.
    source.is_fresh = True
    cache.apply(Change("all", version=3))
    with pytest.raises(Problem):
        await cache.at_least(5, seconds=0.01)
