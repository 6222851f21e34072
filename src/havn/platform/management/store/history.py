"""The history of changes, which is only added to (the table refuses anything else)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from havn.contracts.management import HistoryEntry
from havn.platform.management.store import Queries


async def add(
    queries: Queries,
    *,
    at: datetime,
    who: str,
    address: str,
    action: str,
    object_: str,
    org: str | None,
    consumer: str | None,
    before: Any,
    after: Any,
) -> None:
    """Write one change, in the transaction that makes it."""
    await queries.execute(
        """insert into history(at, who, address, action, object, org, consumer, before, after)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
        at, who, address, action, object_, org, consumer, before, after,
    )  # fmt: skip


async def listed(
    queries: Queries,
    *,
    org: str | None = None,
    consumer: str | None = None,
    object_: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[HistoryEntry]:
    """The newest changes first, of an owner, a consumer or one object, from before entry number `before`."""
    rows = await queries.fetch(
        """select id, at, who, address, action, object, before, after from history
           where ($1::text is null or org = $1) and ($2::text is null or consumer = $2)
             and ($3::text is null or object = $3) and ($4::bigint is null or id < $4)
           order by id desc limit $5""",
        org, consumer, object_, before, limit,
    )  # fmt: skip
    return [HistoryEntry(**dict(row)) for row in rows]
