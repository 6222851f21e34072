"""A batch of an ingress becomes counts by minute, hour and day, all in one transaction, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from havn.contracts.levels import Batch, MinuteCount
from havn.engines.levels import periods
from havn.engines.levels.counts import Counts
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.management.levels.store.counts import CountStore, Grain, Row, Window

_AHEAD = timedelta(minutes=10)


class Ingest:
    """Takes batches."""

    def __init__(self, store: CountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def take(self, batch: Batch, org: str | None = None) -> bool:
        """Count `batch`; False when it was counted before. 400 for counts of times that cannot be.

        With `org`, 403 unless all of it is that owner's.
        """
        now = self._clock()
        if org is not None and any(each.org != org for each in batch.counts):
            raise Problem(403, "This sender may send counts of its own org only.", code="not_your_org")
        if not batch.counts:
            return True
        moments = [periods.moment(each.minute) for each in batch.counts]
        first, last = min(moments), max(moments)
        if last > now + _AHEAD:
            raise Problem(400, "The batch has counts of a time that has not come.", code="future_counts")
        if first < periods.midnight(periods.forgotten_before(now)):
            raise Problem(400, "The batch has counts of a time that is forgotten.", code="forgotten_counts")
        return await self._store.take(
            # No owner's batch can stand in another's way by its name.
            f"{org or ''}/{batch.id}",
            batch.source,
            now,
            orgs={each.org for each in batch.counts},
            span=(first, last),
            spread=lambda windows: spread(batch.counts, windows),
        )


def spread(counts: Sequence[MinuteCount], windows: Sequence[Window]) -> Mapping[Grain, Sequence[Row]]:
    """`counts` by minute, hour of UTC and day of Oslo, each cell once, in order; marked where a window covers them."""
    sums: dict[Grain, dict[tuple[str, str, datetime, str, str, bool], Counts]] = {"minute": {}, "hour": {}, "day": {}}
    for each in counts:
        at = periods.moment(each.minute)
        planned = any(
            window.org == each.org and window.app in (None, each.app) and window.starts <= at < window.ends
            for window in windows
        )
        amount = _counts(each)
        for grain, when in (
            ("minute", at),
            ("hour", periods.hour_of(each.minute)),
            ("day", periods.midnight(periods.day_of(each.minute))),
        ):
            cell = (each.org, each.app, when, each.version, each.subscription, planned)
            kept = sums[grain]  # type: ignore[index]  # one of the three
            kept[cell] = kept[cell] + amount if cell in kept else amount
    return {
        grain: [
            Row(
                org=org, app=app, at=at, version=version, subscription=subscription, planned=planned,
                good=each.good, bad=each.bad, excluded=each.excluded, refused=each.refused, probes=each.probes,
                probes_bad=each.probes_bad, total=each.total, backend=each.backend, gateway=each.gateway,
            )
            for (org, app, at, version, subscription, planned), each in sorted(cells.items(), key=lambda item: item[0])
        ]
        for grain, cells in sums.items()
    }  # fmt: skip


def _counts(each: MinuteCount) -> Counts:
    return Counts(
        good=each.good, bad=each.bad, excluded=each.excluded, refused=each.refused, probes=each.probes,
        probes_bad=each.probes_bad, total=each.total, backend=each.backend, gateway=each.gateway,
    )  # fmt: skip
