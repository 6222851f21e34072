"""Figures of use: a subscription's days, and who still uses an Api."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta

from havn.contracts.management import Consumer, PlanTerms, QuotaStanding, Subscription, Usage
from havn.engines.limits import calendar
from havn.kit.clock import Clock
from havn.platform.management.store import Database, applications, subscriptions, usage

DAYS = 30


class Figures:
    """Reads what enforcement has counted."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    async def daily(self, subscription: str, days: int = DAYS) -> list[Usage]:
        """The days with requests among the last `days`, oldest first."""
        return await usage.daily(self._db, [subscription], _first(self._clock(), days))

    async def quotas(self, subscription: str, plan: PlanTerms) -> list[QuotaStanding]:
        """Where each quota of the subscription's plan stands in the period that goes on."""
        used = await usage.quotas(self._db, subscription)
        found = []
        for quota in plan.quotas:
            period = calendar.span(quota.per, self._clock())
            found.append(
                QuotaStanding(
                    name=quota.name,
                    per=quota.per,
                    requests=quota.requests,
                    used=used.get((quota.name, period.first), 0),
                    until=period.end,
                )
            )
        return found

    async def consumers(self, api: str) -> list[Consumer]:
        """Everybody who has or had access to the Api: those who used it last come first.

        Subscriptions that never got access (pending, rejected) are left out.
        """
        now = self._clock()
        found = [
            each
            for each in await subscriptions.of_apis(self._db, [api], now)
            if each.state not in ("pending", "rejected")
        ]
        counted: Counter[str] = Counter()
        for day in await usage.daily(self._db, [each.id for each in found], _first(now, DAYS)):
            counted[day.subscription] += day.allowed
        contacts = {}
        for number in {each.owner for each in found}:
            for application in await applications.owned_by(self._db, number):
                contacts[application.id] = application.contact
        return [
            Consumer(
                subscription=each.id,
                state=each.state,
                plan=each.plan,
                application_name=each.application_name,
                owner=each.owner,
                owner_name=each.owner_name,
                contact=contacts.get(each.application, ""),
                last_used=each.last_used,
                requests=counted[each.id],
            )
            for each in sorted(found, key=_used, reverse=True)
        ]


def _used(subscription: Subscription) -> tuple[bool, float]:
    used = subscription.last_used
    return (used is not None, used.timestamp() if used is not None else 0.0)


def _first(now: datetime, days: int) -> date:
    return (now.astimezone(calendar.ZONE) - timedelta(days=days - 1)).date()
