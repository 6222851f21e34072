"""Quotas and usage in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import msgspec

from havn.platform.management.store import Queries


class QuotaUse(msgspec.Struct, frozen=True, kw_only=True):
    """One settlement of one quota: `most` in the period that begins on `first`."""

    subject: str
    quota: str
    first: date
    most: int
    used: int = 0
    returned: int = 0
    need: int = 0
    want: int = 0
    rejected: int = 0
    observed: int = 0


async def settle_quotas(queries: Queries, uses: Sequence[QuotaUse]) -> list[tuple[int, int]]:
    """Settle them all in one statement; the portion and what remains, in the order given."""
    rows = await queries.fetch(
        # In one order everywhere, so that two settlements never wait for each other.
        """select u.n, s.portion, s.remaining from (
               select * from unnest($1::text[], $2::text[], $3::date[], $4::bigint[], $5::bigint[], $6::bigint[],
                   $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
                   with ordinality u(subject, quota, first, most, used, returned, need, want, rejected, observed, n)
               order by subject, quota, first) u
           cross join lateral settle_quota(subject, quota, first, most, used, returned, need, want, rejected,
               observed) s""",
        *([getattr(use, name) for use in uses] for name in QuotaUse.__struct_fields__),
    )
    found = {row["n"]: (row["portion"], row["remaining"]) for row in rows}
    return [found[place] for place in range(1, len(uses) + 1)]


class DayUse(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one subject to add to a day."""

    subject: str
    allowed: int
    rejected: int
    observed: int


async def add_use(queries: Queries, day: date, uses: Sequence[DayUse]) -> None:
    """Add to the day's requests; each subject once."""
    await queries.execute(
        """insert into use_by_day as d (subject, day, allowed, rejected, observed)
           select u.subject, $1, u.allowed, u.rejected, u.observed
           from unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) u(subject, allowed, rejected, observed)
           order by u.subject
           on conflict (subject, day) do update set allowed = d.allowed + excluded.allowed,
               rejected = d.rejected + excluded.rejected, observed = d.observed + excluded.observed""",
        day,
        *([getattr(use, name) for use in uses] for name in DayUse.__struct_fields__),
    )
