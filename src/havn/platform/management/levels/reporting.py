"""The monthly report of an org: each agreement, whole, by version and by subscription; all apps; all maintenance."""

from __future__ import annotations

from havn.contracts.levels import Report, ReportEntry
from havn.engines.levels.periods import Month
from havn.kit.clock import Clock
from havn.platform.management.levels.measuring import Measuring, scope
from havn.platform.management.levels.store.agreements import AgreementStore
from havn.platform.management.levels.store.counts import Filter


class Reporting:
    """Makes reports."""

    def __init__(self, agreements: AgreementStore, measuring: Measuring, clock: Clock) -> None:
        self._agreements = agreements
        self._measuring = measuring
        self._clock = clock

    async def report(self, org: str, month: Month) -> Report:
        """The report of `org` for `month`, as far as it has come."""
        now = self._clock()
        entries = []
        for agreement in await self._agreements.all(org):
            which, targets = scope(agreement), agreement.targets
            whole = await self._measuring.month(month, which, targets=targets, agreement=agreement.name)
            versions = await self._measuring.month(
                month, which, targets=targets, agreement=agreement.name, by="version"
            )
            subscriptions = await self._measuring.month(
                month, which, targets=targets, agreement=agreement.name, by="subscription"
            )
            burn = await self._measuring.burn(agreement)
            entries.append(
                ReportEntry(
                    agreement=agreement,
                    whole=whole.figures[0],
                    versions=versions.figures,
                    subscriptions=subscriptions.figures,
                    burn=burn.rates,
                )
            )
        apps = await self._measuring.month(month, Filter(org=org), by="app")
        return Report(
            org=org,
            month=str(month),
            made=now,
            complete=now >= month.ends,
            entries=tuple(entries),
            apps=apps.figures,
            maintenance=tuple(await self._agreements.maintenance(org, month.starts, month.ends)),
        )
