"""What has been used, as enforcement counts it: requests of a subscription by day, Norwegian time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from havn.contracts.management import Usage
from havn.platform.management.store import Queries


async def daily(queries: Queries, subscriptions: Sequence[str], since: date) -> list[Usage]:
    """Each subscription's days with any requests from `since` on, oldest first."""
    rows = await queries.fetch(
        """select subject, day, allowed, rejected, observed from use_by_day
           where subject = any($1) and day >= $2 order by day, subject""",
        list(subscriptions),
        since,
    )
    return [
        Usage(
            subscription=row["subject"],
            day=row["day"].isoformat(),
            allowed=row["allowed"],
            rejected=row["rejected"],
            observed=row["observed"],
        )
        for row in rows
    ]


async def quotas(queries: Queries, subscription: str) -> dict[tuple[str, date], int]:
    """What a subscription has used of each quota, by its name and the first day of the period."""
    rows = await queries.fetch("select quota, first, used from quota_use where subject = $1", subscription)
    return {(row["quota"], row["first"]): row["used"] for row in rows}
