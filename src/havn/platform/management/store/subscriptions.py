"""Subscriptions: which application has which plan, and in what state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from havn.contracts.management import Subscription, SubscriptionState
from havn.platform.management.store import Queries

# Time ends a subscription by itself; nobody has to come by and write it down.
_SELECT = """
    select s.id::text, s.application::text, s.plan, p.api, s.reason, s.purpose, s.created, s.expires,
        case when s.state in ('active', 'suspended') and s.expires <= $1 then 'expired' else s.state end state,
        a.name application_name, a.owner, a.owner_name,
        (select max(k.last_used) from api_key k where k.subscription = s.id) last_used
    from subscription s join plan p on p.id = s.plan join application a on a.id = s.application"""


async def add(queries: Queries, subscription: Subscription) -> None:
    """Write a new one; UniqueViolation when the application has or awaits the plan already."""
    await queries.execute(
        """insert into subscription(id, application, plan, state, reason, purpose, created, expires)
           values ($1, $2, $3, $4, $5, $6, $7, $8)""",
        subscription.id, subscription.application, subscription.plan, subscription.state, subscription.reason,
        subscription.purpose, subscription.created, subscription.expires,
    )  # fmt: skip


async def settle(queries: Queries, application: str, plan: str, now: datetime) -> None:
    """Write down that what time has ended is ended, so that the plan can be asked for anew."""
    await queries.execute(
        """update subscription set state = 'expired'
           where application = $1 and plan = $2 and state in ('active', 'suspended') and expires <= $3""",
        application,
        plan,
        now,
    )


async def find(queries: Queries, id_: str, now: datetime) -> Subscription | None:
    """One subscription as it is at `now`; `id_` is a uuid."""
    row = await queries.fetchrow(f"{_SELECT} where s.id = $2", now, id_)
    return None if row is None else subscription(row)


async def hold(queries: Queries, id_: str, now: datetime) -> Subscription | None:
    """As `find`, kept from change by others until the transaction ends."""
    row = await queries.fetchrow(f"{_SELECT} where s.id = $2 for update of s", now, id_)
    return None if row is None else subscription(row)


async def change(queries: Queries, id_: str, state: SubscriptionState, reason: str, expires: datetime | None) -> None:
    """Write a new state, with why and until when."""
    await queries.execute(
        "update subscription set state = $2, reason = $3, expires = $4 where id = $1", id_, state, reason, expires
    )


async def of_owners(queries: Queries, owners: Sequence[str], now: datetime) -> list[Subscription]:
    """Consumers' subscriptions, newest first."""
    rows = await queries.fetch(f"{_SELECT} where a.owner = any($2) order by s.id desc", now, list(owners))
    return [subscription(row) for row in rows]


async def of_application(queries: Queries, application: str, now: datetime) -> list[Subscription]:
    """An application's subscriptions, newest first."""
    rows = await queries.fetch(f"{_SELECT} where s.application = $2 order by s.id desc", now, application)
    return [subscription(row) for row in rows]


async def of_apis(queries: Queries, apis: Sequence[str], now: datetime) -> list[Subscription]:
    """Everybody's subscriptions to `apis`, newest first."""
    rows = await queries.fetch(f"{_SELECT} where p.api = any($2) order by s.id desc", now, list(apis))
    return [subscription(row) for row in rows]


def subscription(row: Any) -> Subscription:
    """The row's subscription."""
    return Subscription(**dict(row))
