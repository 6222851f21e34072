"""What was measured of an org's apps in a month, and how fast the budgets burn now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from urllib.parse import urlencode

import msgspec

from havn.contracts.levels import Agreement, BurnRates, CountSums, FiguresAnswer, Measured, Targets
from havn.engines.levels.counts import Counts
from havn.engines.levels.figures import Target, burn_rate, burns_fast, figures
from havn.engines.levels.periods import Month
from havn.kit.clock import Clock
from havn.platform.management.levels.store.counts import CountStore, Dimension, Filter

FIGURES = "/management/api/v1/levels/figures"


class Burn(msgspec.Struct, frozen=True):
    """Burn rates, and whether they call for an alert."""

    rates: BurnRates
    fast: bool


class Measuring:
    """Reads counts and makes figures of them."""

    def __init__(self, store: CountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def month(
        self,
        month: Month,
        which: Filter,
        *,
        targets: Targets | None = None,
        agreement: str | None = None,
        by: Dimension | None = None,
    ) -> FiguresAnswer:
        """The figures of `month`, against `targets`; `agreement` is the name by which the same can be asked again."""
        sums = await self._store.sums("day", which, month.starts, month.ends, by)
        if by is None and not sums:
            sums = {None: {}}
        rows = [
            _measured(which, month, value, by, parts, targets, agreement)
            for value, parts in sums.items()
        ]  # fmt: skip
        return FiguresAnswer(
            month=str(month),
            starts=month.starts,
            ends=month.ends,
            latency_ms=targets.latency_ms if targets is not None else None,
            figures=tuple(rows),
        )

    async def burn(self, agreement: Agreement) -> Burn:
        """How fast the budget of `agreement` is used now, by minutes that are over."""
        now = self._clock().replace(second=0, microsecond=0)
        availability = exact(agreement.targets.availability)
        which = scope(agreement)
        spans = [await self._between(which, now - span, now) for span in _SPANS]
        hour, six_hours, three_days = spans
        rates = BurnRates(
            hour=shown(burn_rate(hour, availability)),
            six_hours=shown(burn_rate(six_hours, availability)),
            three_days=shown(burn_rate(three_days, availability)),
        )
        return Burn(rates, burns_fast(hour, six_hours, availability))

    async def _between(self, which: Filter, starts: datetime, ends: datetime) -> Counts:
        sums = await self._store.sums("minute", which, starts, ends)
        return sums.get(None, {}).get(False, Counts())


_SPANS = (timedelta(hours=1), timedelta(hours=6), timedelta(days=3))


def scope(agreement: Agreement) -> Filter:
    """Which requests an agreement is about."""
    return Filter(org=agreement.org, app=agreement.app, api=agreement.api, plan=agreement.plan)


def exact(percent: float) -> Fraction:
    """A number that people wrote, as they wrote it: 99.9 is 999/10, not the binary fraction nearest to it."""
    return Fraction(repr(percent))


def shown(share: Fraction | None) -> float | None:
    """A share as it is shown: four decimals, and never rounded up to a whole that it is not."""
    if share is None:
        return None
    rounded = round(share, 4)
    if rounded == 100 and share < 100:
        return 99.9999
    return float(rounded)


def _measured(
    which: Filter,
    month: Month,
    value: object,
    by: Dimension | None,
    parts: Mapping[bool, Counts],
    targets: Targets | None,
    agreement: str | None,
) -> Measured:
    counts = parts.get(False, Counts())
    target = (
        Target(
            availability=exact(targets.availability),
            latency_ms=targets.latency_ms,
            latency_share=exact(targets.latency_share) if targets.latency_share is not None else None,
        )
        if targets is not None
        else None
    )
    found = figures(counts, target)
    names = {name: getattr(which, name) for name in ("org", "app", "version", "subscription", "api", "plan")}
    if by is not None:
        names[by] = value
    query = {name: text for name, text in names.items() if text is not None} | {"month": str(month)}
    if agreement is not None:
        query["agreement"] = agreement
    return Measured(
        **names,
        counts=_sums(counts),
        planned=_sums(parts.get(True, Counts())),
        availability=shown(found.availability),
        backend_share=shown(found.backend_share),
        gateway_share=shown(found.gateway_share),
        total_share=shown(found.total_share),
        budget_left=shown(found.budget_left),
        bad_left=shown(found.bad_left),
        kept=found.kept,
        query=f"{FIGURES}?{urlencode(query)}",
    )


def _sums(counts: Counts) -> CountSums:
    return CountSums(
        valid=counts.valid,
        good=counts.good,
        bad=counts.bad,
        excluded=counts.excluded,
        refused=counts.refused,
        probes=counts.probes,
        probes_bad=counts.probes_bad,
    )
