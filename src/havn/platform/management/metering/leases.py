"""Settling with enforcing processes: what they used is counted, what they return is taken back, new portions go out."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import structlog

from havn.contracts.metering import SLOT_SECONDS, VALID_SECONDS, Ask, Lease, Passed, Settled, Settlement
from havn.engines.limits import Bucket, Span, span
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.management.metering import store
from havn.platform.management.metering.book import Book, QuotaTerms, Terms
from havn.platform.management.metering.rates import RateStore, Request, StoreAwayError
from havn.platform.management.metering.store import DayUse, QuotaUse
from havn.platform.management.store import Queries, keys

_log = structlog.get_logger("management")
_UNKNOWN, _AWAY = Lease(fault="unknown"), Lease(fault="away")
# A process that was cut off may tell of a period that has ended since.
_LATE = timedelta(days=40)


class Whose(msgspec.Struct, frozen=True):
    """The app that settles."""

    org: str
    app: str


class Leases:
    """Settles with any app, each about its own Apis only."""

    def __init__(self, queries: Queries, rates: RateStore, book: Book, clock: Clock) -> None:
        self._queries = queries
        self._rates = rates
        self._book = book
        self._clock = clock
        self._store_away = False

    async def settle(self, whose: Whose, settlement: Settlement) -> Settled:
        """One `Lease` for each ask. 400 `Problem` when a limit is asked for twice."""
        if len({(ask.subject, ask.limit) for ask in settlement.asks}) < len(settlement.asks):
            raise Problem(400, "A limit is asked for twice.", code="asked_twice")
        leases: list[Lease] = [_UNKNOWN] * len(settlement.asks)
        rates: list[tuple[int, Request]] = []
        quotas: list[tuple[int, Ask, QuotaTerms]] = []
        for place, ask in enumerate(settlement.asks):
            terms = await self._terms(whose, ask.subject)
            limit = None if terms is None else terms.limit(ask.limit)
            if isinstance(limit, Bucket):
                rates.append((place, _request(settlement.holder, ask, limit)))
            elif limit is not None:
                quotas.append((place, ask, limit))
        await self._settle_rates(rates, leases)
        try:
            await self._settle_quotas(quotas, leases)
            await self._write_down(whose, settlement.passed)
        except Problem as problem:
            if problem.status != 503:
                raise
            for place, _, _ in quotas:
                leases[place] = _AWAY
        return Settled(leases=tuple(leases))

    async def _terms(self, whose: Whose, subject: str) -> Terms | None:
        terms = await self._book.terms(subject)
        return terms if terms is not None and (terms.org, terms.app) == (whose.org, whose.app) else None

    async def _settle_rates(self, rates: list[tuple[int, Request]], leases: list[Lease]) -> None:
        try:
            answers = await self._rates.settle([request for _, request in rates])
        except StoreAwayError as error:
            if not self._store_away:
                _log.error("counter_store_unavailable", reason=str(error))
            self._store_away = True
            for place, _ in rates:
                leases[place] = _AWAY
            return
        if rates:
            self._store_away = False
        for (place, request), taken in zip(rates, answers, strict=True):
            leases[place] = Lease(
                granted=taken.granted,
                remaining=taken.remaining,
                more_in=taken.wait / 1_000_000,
                valid_for=request.valid / 1_000_000,
            )

    async def _settle_quotas(self, quotas: list[tuple[int, Ask, QuotaTerms]], leases: list[Lease]) -> None:
        if not quotas:
            return
        now = self._clock()
        uses: dict[tuple[str, str, date], QuotaUse] = {}
        wanted: list[tuple[int, Ask, Span, tuple[str, str, date]]] = []
        for place, ask, terms in quotas:
            period = span(terms.per, now)
            told = ask.first if ask.first is not None and period.first - _LATE <= ask.first else period.first
            asked = QuotaUse(
                subject=terms.subject,
                quota=terms.name,
                first=min(told, period.first),
                most=terms.most,
                used=ask.used,
                returned=ask.returned,
                rejected=ask.rejected,
                observed=ask.observed,
            )
            if asked.first != period.first:
                # Its period is over: what is settled belongs to the old one, what it gets to the new.
                _add(uses, asked)
                asked = QuotaUse(subject=terms.subject, quota=terms.name, first=period.first, most=terms.most)
            _add(uses, msgspec.structs.replace(asked, need=ask.need, want=ask.want))
            wanted.append((place, ask, period, _name(asked)))
        answers = dict(zip(uses, await store.settle_quotas(self._queries, list(uses.values())), strict=True))
        # Callers without a key have one account between them: needs first, then what each would have besides.
        portions = {name: portion for name, (portion, _) in answers.items()}
        granted = dict.fromkeys((place for place, *_ in wanted), 0)
        for wish in ("need", "want"):
            for place, ask, _, name in wanted:
                part = min(portions[name], max(0, getattr(ask, wish) - granted[place]))
                granted[place] += part
                portions[name] -= part
        for place, _, period, name in wanted:
            until = (period.end - now).total_seconds()
            leases[place] = Lease(
                granted=granted[place],
                remaining=answers[name][1],
                more_in=until,
                valid_for=until,
                first=period.first,
            )

    async def _write_down(self, whose: Whose, passed: tuple[Passed, ...]) -> None:
        totals: dict[str, DayUse] = {}
        touched: dict[str, None] = {}
        for entry in passed:
            terms = await self._terms(whose, entry.subject)
            if terms is None:
                continue
            before = totals.get(terms.account)
            totals[terms.account] = DayUse(
                subject=terms.account,
                allowed=entry.allowed + (before.allowed if before else 0),
                rejected=entry.rejected + (before.rejected if before else 0),
                observed=entry.observed + (before.observed if before else 0),
            )
            if entry.prefix is not None:
                touched[entry.prefix] = None
        if totals:
            now = self._clock()
            await store.add_use(self._queries, span("day", now).first, list(totals.values()))
            await keys.touch_last_used(self._queries, dict.fromkeys(touched, now))


def _request(holder: str, ask: Ask, bucket: Bucket) -> Request:
    seconds = VALID_SECONDS if bucket.requests else SLOT_SECONDS
    return Request(
        key=f"{ask.subject}|{ask.limit}",
        bucket=bucket,
        holder=holder,
        keeps=ask.keeps,
        returned=ask.returned,
        need=ask.need,
        want=ask.want,
        valid=int(seconds * 1_000_000),
    )


def _name(use: QuotaUse) -> tuple[str, str, date]:
    return use.subject, use.quota, use.first


def _add(uses: dict[tuple[str, str, date], QuotaUse], use: QuotaUse) -> None:
    name = _name(use)
    before = uses.get(name)
    if before is None:
        uses[name] = use
        return
    counts = ("used", "returned", "need", "want", "rejected", "observed")
    uses[name] = msgspec.structs.replace(
        use, **{count: getattr(before, count) + getattr(use, count) for count in counts}
    )
