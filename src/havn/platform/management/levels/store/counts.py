"""Counts by minute, hour and day: added to, summed, and forgotten."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from havn.engines.levels.counts import Counts
from havn.kit.db import Connection, Database

Grain = Literal["minute", "hour", "day"]
Dimension = Literal["app", "version", "subscription"]

_NUMBERS = ("good", "bad", "excluded", "refused", "probes", "probes_bad")
_HISTOGRAMS = ("total", "backend", "gateway")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of one grain with what is to be added to it."""

    org: str
    app: str
    at: datetime
    version: str
    subscription: str
    planned: bool
    good: int
    bad: int
    excluded: int
    refused: int
    probes: int
    probes_bad: int
    total: Sequence[int]
    backend: Sequence[int]
    gateway: Sequence[int]


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which cells: None is any. `api` and `plan` are those of the subscription that was used."""

    org: str
    app: str | None = None
    version: str | None = None
    subscription: str | None = None
    api: str | None = None
    plan: str | None = None


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Maintenance that keeps requests out of the figures: from `starts` until `ends`; `app` None is the whole org."""

    org: str
    app: str | None
    starts: datetime
    ends: datetime


async def _windows(connection: Connection, orgs: Collection[str], first: datetime, last: datetime) -> list[Window]:
    """The maintenance of `orgs`, declared before it began, that touches the time from `first` to `last`."""
    rows = await connection.fetch(
        "select org, app, starts, least(ends, coalesce(cancelled, ends)) ends from level_maintenance"
        " where org = any($1) and declared < starts and starts <= $3 and ends > $2"
        " and (cancelled is null or cancelled > starts)",
        list(orgs), first, last,
    )  # fmt: skip
    return [Window(org=row["org"], app=row["app"], starts=row["starts"], ends=row["ends"]) for row in rows]


async def _add(connection: Connection, grain: Grain, rows: Sequence[Row]) -> None:
    """Add `rows` to the cells of `grain`, in the order given: the same for everybody, so that none wait in a ring."""
    columns = ", ".join(Row.__struct_fields__)
    types = ", ".join(f"{name} {_TYPES.get(name, 'bigint')}" for name in Row.__struct_fields__)
    sums = [f"{name} = kept.{name} + excluded.{name}" for name in _NUMBERS]
    sums += [f"{name} = level_add(kept.{name}, excluded.{name})" for name in _HISTOGRAMS]
    await connection.execute(
        f"insert into level_{grain} as kept ({columns}) select {columns}"  # noqa: S608  (our own words only)
        f" from jsonb_to_recordset($1) as cell({types})"
        f" on conflict (org, app, at, version, subscription, planned) do update set {', '.join(sums)}",
        list(rows),
    )


_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("org", "app", "version", "subscription"), "text"),
    **dict.fromkeys(_HISTOGRAMS, "bigint[]"),
    "at": "timestamptz",
    "planned": "boolean",
}


Spread = Callable[[Sequence[Window]], Mapping[Grain, Sequence[Row]]]
"""Given the maintenance, what is to be added to the cells of each grain."""


class CountStore:
    """Adds and sums."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def take(
        self,
        batch: str,
        source: str,
        now: datetime,
        *,
        orgs: Collection[str],
        span: tuple[datetime, datetime],
        spread: Spread,
    ) -> bool:
        """Add a batch to all grains at once; False, and nothing added, when it came before."""  # fmt: skip
        async with self._db.transaction() as connection:
            done = await connection.fetchval(
                "insert into level_batch (id, source, received) values ($1, $2, $3)"
                " on conflict do nothing returning id",
                batch, source, now,
            )  # fmt: skip
            if done is None:
                return False
            for grain, rows in spread(await _windows(connection, orgs, *span)).items():
                await _add(connection, grain, rows)
            return True

    async def sums(
        self, grain: Grain, which: Filter, starts: datetime, ends: datetime, by: Dimension | None = None
    ) -> dict[Any, dict[bool, Counts]]:
        """Sums of the cells from `starts` until before `ends`, by the values of `by`, and by whether planned.

        Without `by`, everything is under the key None.
        """
        condition, values = _where(which, starts, ends)
        key = f"level_{grain}.{by}" if by is not None else "null"
        sums = ", ".join(
            [f"sum({name})::bigint {name}" for name in _NUMBERS] + [f"level_sum({name}) {name}" for name in _HISTOGRAMS]
        )
        rows = await self._db.fetch(
            f"select {key} as key, planned, {sums} from level_{grain}"  # noqa: S608  (our own words only)
            f" where {condition} group by 1, 2 order by 1",
            *values,
        )
        found: dict[Any, dict[bool, Counts]] = {}
        for row in rows:
            numbers: dict[str, Any] = {name: row[name] for name in _NUMBERS}
            histograms: dict[str, Any] = {name: tuple(row[name]) for name in _HISTOGRAMS}
            found.setdefault(row["key"], {})[row["planned"]] = Counts(**numbers, **histograms)
        return found

    async def forget(self, *, minutes_before: datetime, days_before: datetime, batches_before: datetime) -> int:
        """Remove what is no longer kept, at most ten thousand rows of each table; returns how many."""
        removed = 0
        for table, column, before in (
            ("level_minute", "at", minutes_before),
            ("level_hour", "at", days_before),
            ("level_day", "at", days_before),
            ("level_batch", "received", batches_before),
        ):
            done = await self._db.execute(
                f"delete from {table} where ctid = any(array("  # noqa: S608  (our own words only)
                f"select ctid from {table} where {column} < $1 limit 10000))",
                before,
            )
            removed += int(done.rpartition(" ")[2])
        return removed


def _where(which: Filter, starts: datetime, ends: datetime) -> tuple[str, list[Any]]:
    conditions, values = ["org = $1", "at >= $2", "at < $3"], [which.org, starts, ends]
    for name in ("app", "version", "subscription"):
        if (value := getattr(which, name)) is not None:
            values.append(value)
            conditions.append(f"{name} = ${len(values)}")
    for name, column in (("api", "plan.api"), ("plan", "plan.id")):
        if (value := getattr(which, name)) is not None:
            values.append(value)
            conditions.append(
                "subscription in (select used.id::text"  # noqa: S608  (our own words only)
                " from subscription used join plan on plan.id = used.plan"
                f" where {column} = ${len(values)})"
            )
    return " and ".join(conditions), values


BATCHES_KEPT = timedelta(days=40)
"""How long the name of a batch is remembered: longer than a sender that was away keeps trying."""
