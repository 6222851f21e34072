"""Facts that decisions rest on, remembered only while it is known that they still hold.

Whoever keeps a `FactCache` feeds it the changes it hears of, and tells it through `Freshness` whether it would hear of
one. When it would not, nothing remembered is used and nothing is remembered: no stream, no cache.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from havn.contracts.authorization import AccessLimit, Change, PolicyFacts, SubjectFacts, SubjectRef
from havn.guard.evaluation import AppPolicy
from havn.kit.clock import Clock
from havn.kit.problem import Problem

BEHIND = "snapshot_behind"
"""Code of the problem when a version was demanded that has not arrived."""
K = TypeVar("K")
V = TypeVar("V")

MAX_POLICIES = 2_000
MAX_SUBJECT_FACTS = 50_000
MAX_PARTIES = 1_000
"""Parties asked about in one call."""
WAIT_SECONDS = 2.0
"""How long a decision waits for a change that its asker knows of and this process has not heard of yet."""


class FactSource(Protocol):
    """Where facts come from: the authorization API, or inside it the database and register."""

    async def policy(self, org: str, app: str) -> PolicyFacts | None:
        """The policy in force, None when the app has none; 503 `Problem` when that cannot be told."""

    async def subject_facts(self, subject: SubjectRef, parties: list[int], token: str | None) -> list[SubjectFacts]:
        """What holds between a subject and each party, in order; 503 `Problem` when that cannot be told.

        `token` is the subject's own token, which an app must show to learn anything about it.
        """


class Freshness(Protocol):
    """Whether a change would have been heard of by now."""

    def fresh(self) -> bool:
        """True while changes arrive, with at most a second's delay."""


class _Kept(Generic[K, V]):
    """A bounded cache whose entries carry the moment until which they hold."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[K, tuple[V, datetime]] = OrderedDict()

    def get(self, key: K, now: datetime) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if now >= entry[1]:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, until: datetime) -> None:
        self._entries[key] = (value, until)
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def drop(self, unwanted: Callable[[K, V], bool]) -> None:
        for key in [key for key, (value, _) in self._entries.items() if unwanted(key, value)]:
            del self._entries[key]

    def clear(self) -> None:
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)


class FactCache:
    """Policies (compiled) and subject facts, fetched when first needed and dropped when they change."""

    def __init__(self, source: FactSource, freshness: Freshness, *, clock: Clock) -> None:
        self._source = source
        self._freshness = freshness
        self._clock = clock
        self._policies: _Kept[tuple[str, str], AppPolicy] = _Kept(MAX_POLICIES)
        self._facts: _Kept[tuple[SubjectRef, int], SubjectFacts] = _Kept(MAX_SUBJECT_FACTS)
        # Policies by content: one that comes back, or that cannot be remembered by name, is not compiled again.
        self._compiled: _Kept[tuple[str, str, str, int, AccessLimit | None], AppPolicy] = _Kept(MAX_POLICIES)
        # Grows with every change heard: what was fetched across a change is used once and not remembered.
        self._epoch = 0
        # Every change up to this version of the state has been heard.
        self._version = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    async def at_least(self, version: int, *, seconds: float = WAIT_SECONDS) -> None:
        """Return once everything up to `version` of the state has been heard, so that nothing older is used.

        503 `Problem` with the code `snapshot_behind` when that takes longer than `seconds`. While nothing is heard,
        nothing is remembered either: what decides is then fetched, and so is newer than any version that was told.
        """
        if version <= self._version:
            return
        waiter = (version, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            await asyncio.wait_for(waiter[1], seconds)
        except TimeoutError:
            if not self._freshness.fresh():
                return
            raise Problem(
                503,
                "A change that this must rest on has not arrived here yet. Try again in a moment.",
                code=BEHIND,
                headers={"Retry-After": "2"},
                atLeast=version,
            ) from None
        finally:
            self._waiters.remove(waiter)

    async def policy(self, org: str, app: str) -> AppPolicy | None:
        """The policy in force for an app, compiled; None when it has none."""
        now = self._clock()
        if self._freshness.fresh() and (kept := self._policies.get((org, app), now)) is not None:
            return kept
        epoch = self._epoch
        facts = await self._source.policy(org, app)
        if facts is None:
            return None
        identity = (facts.org, facts.app, facts.digest, facts.version, facts.limit)
        policy = self._compiled.get(identity, now)
        if policy is None:
            policy = AppPolicy(facts)
            self._compiled.put(identity, policy, datetime.max.replace(tzinfo=now.tzinfo))
        if epoch == self._epoch and self._freshness.fresh():
            self._policies.put((org, app), policy, now + timedelta(minutes=10))
        return policy

    async def subject(
        self, subject: SubjectRef, parties: Iterable[int], *, token: str | None = None
    ) -> dict[int, SubjectFacts]:
        """What holds between a subject and each of `parties`; `token` is the subject's own."""
        now = self._clock()
        found: dict[int, SubjectFacts] = {}
        wanted: list[int] = []
        fresh = self._freshness.fresh()
        for party in dict.fromkeys(parties):
            kept = self._facts.get((subject, party), now) if fresh else None
            if kept is None:
                wanted.append(party)
            else:
                found[party] = kept
        for part in _parts(wanted):
            epoch = self._epoch
            answers = await self._source.subject_facts(subject, part, token)
            remember = epoch == self._epoch and self._freshness.fresh()
            for facts in answers:
                found[facts.party_id] = facts
                if remember and facts.max_age_ms > 0:
                    until = now + timedelta(milliseconds=facts.max_age_ms)
                    self._facts.put((subject, facts.party_id), facts, until)
        return found

    def apply(self, change: Change) -> None:
        """Forget what `change` makes doubtful."""
        if change.kind != "alive":
            self._forget(change)
        if change.kind == "all":
            # A new beginning: after a database was put back, the number may be smaller than before.
            self._version = change.version or 0
        elif change.version is not None:
            self._version = max(self._version, change.version)
        for version, waiter in self._waiters:
            if version <= self._version and not waiter.done():
                waiter.set_result(None)

    def _forget(self, change: Change) -> None:
        self._epoch += 1
        if change.kind == "policy":
            self._policies.drop(lambda key, _: key == (change.org, change.app))
        elif change.kind == "facts" and change.party_id is not None:
            # What a main unit delegates holds for its sub-units too.
            self._facts.drop(lambda key, facts: change.party_id in (key[1], facts.main_party_id))
        elif change.kind == "facts":
            self._facts.clear()
        else:
            self.clear()

    def clear(self) -> None:
        """Forget everything that could have changed."""
        self._epoch += 1
        self._policies.clear()
        self._facts.clear()

    @property
    def size(self) -> tuple[int, int]:
        """How many policies and subject facts are remembered."""
        return len(self._policies), len(self._facts)


def _parts(parties: Sequence[int]) -> Iterable[list[int]]:
    for start in range(0, len(parties), MAX_PARTIES):
        yield list(parties[start : start + MAX_PARTIES])
