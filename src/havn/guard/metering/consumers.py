"""Keys and the plans they open: asked about once, remembered while every change would be heard of.

What is remembered of a key is used without question while the stream of changes vouches for it, and for three seconds
without the stream. After that it is asked about again. When nobody can be asked, a plan that says so (`storeAway:
open`) holds on for an hour; every other key is answered 503.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from havn.contracts.management import Match, Plan
from havn.contracts.metering import Grant, KeyAnswer
from havn.engines import api_keys
from havn.engines.limits import Matcher, matcher
from havn.guard.metering.allowance import AGAIN_SECONDS, Allowance, Tally
from havn.guard.metering.portions import Limits, Portions
from havn.kit.problem import Problem

UNPROVEN_SECONDS = 3.0
HELD_ON_SECONDS = 3600.0
_REMEMBERED = 20_000
_PERIOD_SECONDS = {"day": 86_400, "week": 604_800, "month": 2_592_000}


class LimitSet:
    """The limits that count one sort of request, and how they are announced."""

    __slots__ = ("limits", "policy", "slotted")

    def __init__(self, limits: Limits, policy: bytes) -> None:
        self.limits = limits
        self.policy = policy
        self.slotted = any(each.slots for each in limits)


class Consumer:
    """One subscription, or one address without a key: its plan made ready for questions."""

    def __init__(self, plan: Plan, subject: str, portions: Portions, *, grant: Grant | None = None) -> None:
        self.plan = plan
        self.grant = grant
        self.subscription = b"" if grant is None else grant.subscription.encode()
        self.until = None if grant is None or grant.until is None else grant.until.timestamp()
        self.observes = plan.mode == "observe"
        self.tally = Tally(subject, None if grant is None else grant.prefix)
        self._covers = _any(plan.covers)
        self._excludes = _any(plan.excludes)
        self._limits = _limits(plan, subject, portions, grant)
        self._sets: dict[tuple[int, ...], LimitSet] = {}
        # Most plans count every request: then there is one set, and nothing to match.
        self._only = (
            self._set(tuple(range(len(self._limits))))
            if not plan.excludes and all(not (limit.methods or limit.paths) for limit in (*plan.rates, *plan.quotas))
            else None
        )

    def covers(self, method: str, path: str) -> bool:
        """Whether the plan opens this request at all."""
        return self._covers is None or self._covers(method, path)

    def limits(self, method: str, path: str) -> LimitSet | None:
        """The limits that count this request; None when none does."""
        if self._only is not None:
            return self._only if self._only.limits else None
        if self._excludes is not None and self._excludes(method, path):
            return None
        which = tuple(place for place, (matches, _, _) in enumerate(self._limits) if matches(method, path))
        return (self._sets.get(which) or self._set(which)) if which else None

    def _set(self, which: tuple[int, ...]) -> LimitSet:
        chosen = [self._limits[place] for place in which]
        made = LimitSet(
            tuple(allowance for _, allowance, _ in chosen), ", ".join(policy for _, _, policy in chosen).encode()
        )
        self._sets[which] = made
        return made


def _limits(plan: Plan, subject: str, portions: Portions, grant: Grant | None) -> list[tuple[Matcher, Allowance, str]]:
    made: list[tuple[Matcher, Allowance, str]] = []
    for rate in plan.rates:
        allowance = portions.allowance(
            subject, f"rate:{rate.name}", rate.name, rate.requests, step=rate.seconds / rate.requests
        )
        policy = f'"{rate.name}";q={rate.requests};w={rate.seconds}'
        made.append((matcher(rate.methods, rate.paths), allowance, policy))
    for quota in plan.quotas:
        allowance = portions.allowance(subject, f"quota:{quota.name}", quota.name, quota.requests)
        policy = f'"{quota.name}";q={quota.requests};w={_PERIOD_SECONDS[quota.per]}'
        made.append((matcher(quota.methods, quota.paths), allowance, policy))
    everything = matcher()
    if plan.concurrency is not None:
        made.append((everything, *_slots(portions, subject, "concurrency", plan.concurrency)))
    if plan.organisation_concurrency is not None and grant is not None:
        whole = f"o:{plan.id}/{grant.owner}"
        made.append((everything, *_slots(portions, whole, "organisation", plan.organisation_concurrency)))
    return made


def _slots(portions: Portions, subject: str, limit: str, most: int) -> tuple[Allowance, str]:
    return portions.allowance(subject, limit, limit, most), f'"{limit}";q={most};qu="concurrent-requests"'


def _any(matches: tuple[Match, ...]) -> Matcher | None:
    """Whether any of several matches holds; None when there are none."""
    made = [matcher(match.methods, match.paths) for match in matches]
    return (lambda method, path: any(each(method, path) for each in made)) if made else None


class Registrar(Protocol):
    """Who knows whose key it is."""

    async def key(self, key: str) -> KeyAnswer:
        """As `MeteringClient.key`; a `Problem` when it cannot be asked."""


class Witness(Protocol):
    """Whether what is remembered can still be believed."""

    generation: int
    """Grows with every change heard of."""

    def fresh(self) -> bool:
        """Whether a change would have been heard of by now."""


class Known:
    """What a key opens: a consumer, nothing here (`known`), or nothing anywhere."""

    __slots__ = ("asked", "consumer", "generation", "known")

    def __init__(self, consumer: Consumer | None, *, known: bool, generation: int, asked: float) -> None:
        self.consumer = consumer
        self.known = known
        self.generation = generation
        self.asked = asked


class Consumers:
    """Who calls, by key or by address."""

    def __init__(
        self, registrar: Registrar, witness: Witness, portions: Portions, *, monotonic: Callable[[], float]
    ) -> None:
        self._registrar = registrar
        self._witness = witness
        self._portions = portions
        self._monotonic = monotonic
        self._keys: OrderedDict[bytes, Known] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Known]] = {}
        self._silent_until = 0.0
        self._addresses: OrderedDict[tuple[str, str], Consumer] = OrderedDict()

    def remembered(self, digest: bytes) -> Known | None:
        """What is known of a key and can be used without question."""
        known = self._keys.get(digest)
        if known is None or known.generation != self._witness.generation:
            return None
        if self._witness.fresh() or self._monotonic() - known.asked < UNPROVEN_SECONDS:
            return known
        return None

    async def find(self, key: bytes) -> Known:
        """What a key opens; 503 `Problem` when it cannot be known."""
        digest = hashlib.sha256(key).digest()
        known = self.remembered(digest)
        if known is not None:
            return known
        parsed = api_keys.parse(key.decode("latin-1"))
        if parsed is None:
            # Mistyped or not ours: nobody needs to be asked.
            return Known(None, known=False, generation=0, asked=0.0)
        task = self._asking.get(digest)
        if task is None:
            task = asyncio.create_task(self._ask(digest, parsed.text))
            self._asking[digest] = task
            task.add_done_callback(lambda done: self._asked(digest, done))
        return await asyncio.shield(task)

    def _asked(self, digest: bytes, task: asyncio.Task[Known]) -> None:
        del self._asking[digest]
        if not task.cancelled():
            # Looked at here, since everybody who waited may have left.
            task.exception()

    async def _ask(self, digest: bytes, key: str) -> Known:
        generation, begun = self._witness.generation, self._monotonic()
        if begun < self._silent_until:
            return self._held_on(digest, begun)
        try:
            answer = await self._registrar.key(key)
        except Problem:
            self._silent_until = self._monotonic() + AGAIN_SECONDS
            return self._held_on(digest, begun)
        grant = answer.grant
        consumer = (
            None if grant is None else Consumer(grant.plan, f"s:{grant.subscription}", self._portions, grant=grant)
        )
        # Told of a change meanwhile, so this may be how it was before: good for this request, and no other.
        known = Known(consumer, known=answer.known, generation=generation, asked=begun)
        self._keys[digest] = known
        self._keys.move_to_end(digest)
        if len(self._keys) > _REMEMBERED:
            self._keys.popitem(last=False)
        return known

    def _held_on(self, digest: bytes, now: float) -> Known:
        """What was known when it could last be asked, if the plan holds on to that; else the 503 `Problem`."""
        before = self._keys.get(digest)
        if (
            before is not None
            and before.consumer is not None
            and before.consumer.plan.store_away == "open"
            and now - before.asked < HELD_ON_SECONDS
        ):
            return before
        raise Problem(
            503,
            "Whose key this is cannot be found out just now.",
            code="management_unavailable",
            headers={"Retry-After": "2"},
        )

    def address(self, api: str, plan: Plan, address: str) -> Consumer:
        """The consumer that callers of an open Api from one address are."""
        subject = f"a:{api}/{network(address)}"
        found = self._addresses.get((plan.id, subject))
        if found is None or found.plan is not plan:
            found = Consumer(plan, subject, self._portions)
            self._addresses[(plan.id, subject)] = found
            if len(self._addresses) > _REMEMBERED:
                self._addresses.popitem(last=False)
        return found


def network(address: str) -> str:
    """What one caller without a key is taken to be: an IPv4 address, or the /64 that one IPv6 subscriber has."""
    try:
        parsed = ipaddress.ip_address(address.strip().strip("[]").partition("%")[0])
    except ValueError:
        return "0.0.0.0"  # noqa: S104 - not listened on: all whose address is not known are one caller
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
