"""The portions this process holds of every limit, and the one conversation in which they are settled.

One settlement is under way at a time, and carries everything that has come up since the last one. While there is
nothing held and nothing to tell, nothing is sent.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol
from weakref import WeakValueDictionary

import structlog

from havn.contracts.metering import Ask, Passed, Settled, Settlement
from havn.guard.metering.allowance import AGAIN_SECONDS, TICK_SECONDS, Allowance, Tally
from havn.kit.problem import Problem

TELL_SECONDS = 1.0
_BATCH = 1000
_TRIES = 4
_CLOSE_SECONDS = 4.0
_log = structlog.get_logger("guard")


class Office(Protocol):
    """Where portions come from."""

    async def settle(self, settlement: Settlement) -> Settled:
        """As `MeteringClient.settle`; a `Problem` when it cannot be reached."""


class Refusal:
    """Why a request did not get through: the limits that are reached, or those that cannot be asked about."""

    __slots__ = ("away", "limits")

    def __init__(self, limits: tuple[Allowance, ...], *, away: bool) -> None:
        self.limits = limits
        self.away = away


Limits = tuple[Allowance, ...]


def spend(limits: Limits, now: float) -> bool:
    """Take one unit of every limit, or none of any."""
    for each in limits:
        if each.units <= 0 or each.until <= now:
            return False
    for each in limits:
        each.units -= 1
        each.used += 1
        if each.slots:
            each.busy += 1
    return True


class Portions:
    """All allowances of this process; keep `running()` open while serving."""

    def __init__(
        self,
        office: Office,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        tick_seconds: float = TICK_SECONDS,
        pause_seconds: float = AGAIN_SECONDS,
    ) -> None:
        self._office = office
        self._pause = pause_seconds
        self._closing = False
        self.monotonic = monotonic
        self._tick = tick_seconds
        self._holder = uuid.uuid4().hex
        # Whoever can still use an allowance keeps it alive; there is never a second one for the same limit.
        self._known: WeakValueDictionary[tuple[str, str], Allowance] = WeakValueDictionary()
        self._active: set[Allowance] = set()
        self._tallies: set[Tally] = set()
        self._told = 0.0
        self._wake = asyncio.Event()
        self._round: asyncio.Future[None] | None = None
        self._away = False

    def allowance(self, subject: str, limit: str, name: str, most: int, *, step: float = 0.0) -> Allowance:
        """The allowance of a subject's limit, with its size as it is now."""
        known = self._known.get((subject, limit))
        if known is None:
            known = Allowance(subject, limit, name, most, step=step, now=self.monotonic())
            self._known[(subject, limit)] = known
        known.most, known.step = most, step
        return known

    def try_now(self, limits: Limits) -> bool:
        """Take one unit of every limit from what is at hand; True when that was enough."""
        if not spend(limits, self.monotonic()):
            return False
        for each in limits:
            if not each.active:
                self._activate(each)
            if each.units < each.low and each.sent is None:
                # Before it runs out, so that nobody has to wait.
                self._wake.set()
        return True

    async def acquire(self, limits: Limits) -> Refusal | None:
        """Take one unit of every limit, asking for what is lacking; the reason when that cannot be."""
        for _ in range(_TRIES):
            if self.try_now(limits):
                return None
            now = self.monotonic()
            lacking = [each for each in limits if each.units <= 0 or each.until <= now]
            if refusal := self._refusal(lacking, now):
                return refusal
            if self._away:
                # Nobody waits for what has just failed; asking goes on in the background.
                for each in lacking:
                    each.need = max(each.need, 1)
                    self._activate(each)
                return Refusal(tuple(lacking), away=True)
            for each in lacking:
                each.need += 1
                self._activate(each)
            for each in limits:
                # What is at hand of the other limits must still be there afterwards.
                each.waiting += 1
            try:
                await self._next_round()
            finally:
                for each in limits:
                    each.waiting -= 1
        return None if self.try_now(limits) else Refusal(limits, away=True)

    def give_back(self, limits: Limits) -> None:
        """A request is done: its slots are free."""
        for each in limits:
            if each.slots:
                each.busy -= 1
                each.units += 1

    def refused(self, limits: Limits, *, observed: bool) -> None:
        """Count a refusal for each limit that was reached."""
        for each in limits:
            if observed:
                each.observed += 1
            else:
                each.rejected += 1
            self._activate(each)

    def tell(self, tally: Tally) -> None:
        """Have a tally told soon."""
        if not tally.active:
            tally.active = True
            self._tallies.add(tally)
            if not self._active:
                self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Portions]:
        """Settle in the background for as long as the block lasts, and give everything back at its end."""
        task = asyncio.create_task(self._run(), name="portions")
        try:
            yield self
        finally:
            # Not cut off: the answer under way may bring a portion, which is to be given back too.
            self._closing = True
            self._wake.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(task, _CLOSE_SECONDS)

    def _refusal(self, lacking: Sequence[Allowance], now: float) -> Refusal | None:
        denied = tuple(each for each in lacking if each.denied_until > now)
        if denied:
            return Refusal(denied, away=False)
        away = tuple(each for each in lacking if each.away_until > now)
        return Refusal(away, away=True) if away else None

    def _activate(self, each: Allowance) -> None:
        if not each.active:
            each.active = True
            self._active.add(each)
            # The loop may be asleep without a tick.
            self._wake.set()

    async def _next_round(self) -> None:
        if self._round is None:
            self._round = asyncio.get_running_loop().create_future()
        self._wake.set()
        # Others wait for the same round, which goes on when one of them leaves.
        await asyncio.shield(self._round)

    async def _run(self) -> None:
        while not self._closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._tick if self._active or self._tallies else None):
                    await self._wake.wait()
            self._wake.clear()
            waited_for, self._round = self._round, None
            try:
                await self.settle()
            except Exception:  # noqa: BLE001 - requests must not wait for ever, and the next settlement may do
                _log.exception("settlement_failed")
                self._away = True
            finally:
                _let_go(waited_for)
            if self._away:
                _let_go(self._round)
                self._round = None
                if not self._closing:
                    await asyncio.sleep(self._pause)
        _let_go(self._round)
        await self.settle(all_back=True)

    async def settle(self, *, all_back: bool = False) -> None:
        """Settle all that has come up, now. `all_back`: and give up whatever is held."""
        now = self.monotonic()
        asks: list[tuple[Allowance, Ask]] = []
        for each in list(self._active):
            asked = each.ask(now, all_back=all_back)
            if asked is not None:
                asks.append((each, asked))
            elif each.at_rest:
                each.active = False
                self._active.discard(each)
        tallies = list(self._tallies) if all_back or now - self._told >= TELL_SECONDS else []
        if tallies:
            self._told = now
            self._tallies.clear()
        while asks or tallies:
            part, asks = asks[:_BATCH], asks[_BATCH:]
            told, tallies = tallies[:_BATCH], tallies[_BATCH:]
            await self._settle(part, told)

    async def _settle(self, asks: list[tuple[Allowance, Ask]], tallies: list[Tally]) -> None:
        passed = [_passed(tally) for tally in tallies]
        settlement = Settlement(holder=self._holder, asks=tuple(asked for _, asked in asks), passed=tuple(passed))
        begun = self.monotonic()
        try:
            answer = await self._office.settle(settlement)
        except Problem as problem:
            self._failed(asks, tallies, passed, problem)
            return
        except BaseException:
            self._restore(asks, tallies, passed)
            raise
        if len(answer.leases) != len(asks):
            self._failed(asks, tallies, passed, Problem(502, "API management did not answer every question."))
            return
        self._away = False
        now = self.monotonic()
        for (each, _), lease in zip(asks, answer.leases, strict=True):
            each.settled(lease, begun, now)

    def _failed(
        self, asks: list[tuple[Allowance, Ask]], tallies: list[Tally], passed: list[Passed], problem: Problem
    ) -> None:
        if not self._away:
            _log.warning("metering_unavailable", status=problem.status)
        self._away = True
        self._restore(asks, tallies, passed)

    def _restore(self, asks: list[tuple[Allowance, Ask]], tallies: list[Tally], passed: list[Passed]) -> None:
        now = self.monotonic()
        for each, asked in asks:
            each.not_settled(asked, now)
        for tally, entry in zip(tallies, passed, strict=True):
            tally.allowed += entry.allowed
            tally.rejected += entry.rejected
            tally.observed += entry.observed
            self.tell(tally)


def _let_go(waited_for: asyncio.Future[None] | None) -> None:
    if waited_for is not None and not waited_for.done():
        waited_for.set_result(None)


def _passed(tally: Tally) -> Passed:
    entry = Passed(
        subject=tally.subject,
        prefix=tally.prefix,
        allowed=tally.allowed,
        rejected=tally.rejected,
        observed=tally.observed,
    )
    tally.allowed = tally.rejected = tally.observed = 0
    tally.active = False
    return entry
