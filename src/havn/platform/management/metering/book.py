"""Which limits a subject has: looked up by name, so that nobody but the plan says how much is allowed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_network
from uuid import UUID

import msgspec

from havn.contracts.management import Api, Period, Plan, Rate, Title, plan_id
from havn.contracts.metering import ANONYMOUS_PLAN
from havn.engines.limits import Bucket
from havn.platform.management.store import Queries, apis, subscriptions

_REMEMBERED = 20_000
DEFAULT_RATE = Rate(name="address", requests=300, seconds=60)
"""What each address may do with an open Api that has no plan called `anonymous`."""


class QuotaTerms(msgspec.Struct, frozen=True):
    """So many in a calendar period, counted for `subject`."""

    subject: str
    name: str
    most: int
    per: Period


class Terms(msgspec.Struct, frozen=True):
    """The plan that holds for a subject, and the app it is for.

    `account` is what its use is written down for: the subscription, or the Api for all callers without a key.
    """

    org: str
    app: str
    plan: Plan
    account: str
    only: str
    """The prefix of limits that may be asked for with this subject; empty: those of requests."""

    def limit(self, name: str) -> Bucket | QuotaTerms | None:
        """The limit called `name`, such as `rate:burst`; None when the plan has none of that name."""
        kind, _, wanted = name.partition(":")
        if (kind == "organisation") != (self.only == "organisation"):
            return None
        if kind == "rate":
            found = next((rate for rate in self.plan.rates if rate.name == wanted), None)
            return None if found is None else Bucket.rate(found.requests, found.seconds)
        if kind == "quota":
            quota = next((quota for quota in self.plan.quotas if quota.name == wanted), None)
            return None if quota is None else QuotaTerms(self.account, quota.name, quota.requests, quota.per)
        most = self.plan.concurrency if kind == "concurrency" else self.plan.organisation_concurrency
        return None if most is None else Bucket.slots(most)


class Book:
    """Terms by subject, remembered until the next change; `current()` is that change's number, None when unknown."""

    def __init__(self, queries: Queries, current: Callable[[], int | None], clock: Callable[[], datetime]) -> None:
        self._queries = queries
        self._current = current
        self._clock = clock
        self._version: int | None = None
        self._known: OrderedDict[str, Terms | None] = OrderedDict()

    async def terms(self, subject: str) -> Terms | None:
        """The terms of a subject as the wire names it; None when there is no such one."""
        version = self._current()
        if version is None or version != self._version:
            self._known.clear()
            self._version = version
        if subject in self._known:
            self._known.move_to_end(subject)
            return self._known[subject]
        found = await self._read(subject)
        # What was read before a change, and remembered after it, would be believed for long.
        if version is not None and version == self._current():
            self._known[subject] = found
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found

    async def _read(self, subject: str) -> Terms | None:
        kind, _, rest = subject.partition(":")
        if kind == "s":
            return await self._subscription(rest)
        if kind == "a":
            return await self._address(rest)
        return await self._organisation(rest)

    async def _subscription(self, id_: str) -> Terms | None:
        try:
            canonical = str(UUID(id_))
        except ValueError:
            return None
        if canonical != id_:
            return None
        subscription = await subscriptions.find(self._queries, id_, self._clock())
        plan = None if subscription is None else await apis.find_plan(self._queries, subscription.plan)
        return None if plan is None else await self._terms(plan.api, plan, id_)

    async def _address(self, rest: str) -> Terms | None:
        id_, slash, network = rest.partition("/")
        try:
            ip_network(network)
        except ValueError:
            return None
        api = await apis.find(self._queries, id_) if slash else None
        if api is None or api.access != "open":
            return None
        return await self._terms(id_, await anonymous_plan(self._queries, api), f"a:{id_}")

    async def _organisation(self, rest: str) -> Terms | None:
        plan_name, slash, owner = rest.partition("/")
        plan = await apis.find_plan(self._queries, plan_name) if slash and owner.isascii() and owner.isdigit() else None
        return None if plan is None else await self._terms(plan.api, plan, "", only="organisation")

    async def _terms(self, api_id: str, plan: Plan, account: str, only: str = "") -> Terms | None:
        api = await apis.find(self._queries, api_id)
        return None if api is None else Terms(api.org, api.app, plan, account, only)


async def anonymous_plan(queries: Queries, api: Api) -> Plan:
    """The plan of callers without a key: the one called `anonymous`, or a careful one of ours."""
    found = await apis.find_plan(queries, plan_id(api.id, ANONYMOUS_PLAN))
    return found or Plan(
        id=plan_id(api.id, ANONYMOUS_PLAN),
        api=api.id,
        name=ANONYMOUS_PLAN,
        title=Title(nb="Uten nøkkel", nn="Utan nøkkel", en="Without a key"),
        rates=(DEFAULT_RATE,),
    )
