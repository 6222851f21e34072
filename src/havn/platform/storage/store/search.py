"""Finding instances: the WHERE clause holds the given filters only, so that each question gets a plan of its own.

Pages follow (last_changed, guid) in one direction; a page continues exactly after the last row of the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from havn.platform.storage.store import Queries
from havn.platform.storage.store.rows import ELEMENTS, INSTANCE, Outline, Stored, to_stored

Column = Literal["process_ended", "due_before", "visible_after", "created", "last_changed"]
Operator = Literal[">", ">=", "<", "<=", "="]


class TimeFilter(msgspec.Struct, frozen=True):
    """`column` compared with a moment."""

    column: Column
    operator: Operator
    moment: datetime


class Position(msgspec.Struct, frozen=True):
    """Where a page ended."""

    last_changed: datetime
    guid: str


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What instances are wanted; None and empty mean any."""

    org: str | None = None
    app: str | None = None
    parties: Sequence[int] | None = None
    current_task: str | None = None
    is_complete: bool | None = None
    times: Sequence[TimeFilter] = ()
    is_archived: bool | None = None
    is_soft_deleted: bool | None = None
    is_hard_deleted: bool | None = None
    states: tuple[bool, bool, bool] | None = None
    """Whether active, archived and soft-deleted instances are wanted; a deleted one is neither of the others."""
    confirmed: bool | None = None
    not_confirmed_by: str | None = None
    reference: str | None = None
    """The last 12 hex digits of the guid, lower case."""
    text: str | None = None
    """Part of a presentation text, any case."""
    text_apps: Sequence[str] | None = None
    """With `text`: instances of these apps match whatever their texts."""
    visible_at: datetime | None = None
    started_from: datetime | None = None
    started_to: datetime | None = None
    """Bounds of when an active instance was made, or an archived one last changed."""


class _Where:
    """Clauses and their arguments, numbered as they come."""

    def __init__(self) -> None:
        self.clauses: list[str] = []
        self.arguments: list[Any] = []

    def add(self, clause: str, *values: Any) -> None:
        """`clause` with `{0}`, `{1}` … standing for `values`."""
        first = len(self.arguments) + 1
        self.arguments.extend(values)
        self.clauses.append(clause.format(*(f"${first + n}" for n in range(len(values)))))

    def text(self) -> str:
        """The clauses joined."""
        return " and ".join(self.clauses) or "true"


def _where(wanted: Filter) -> _Where:
    where = _Where()
    for clause, value in (
        ("i.org = {0}", wanted.org),
        ("i.app = {0}", wanted.app),
        ("i.task_id = {0}", wanted.current_task),
        ("i.is_archived = {0}", wanted.is_archived),
        ("i.is_soft_deleted = {0}", wanted.is_soft_deleted),
        ("i.is_hard_deleted = {0}", wanted.is_hard_deleted),
        ("right(i.guid::text, 12) = {0}", wanted.reference),
        ("(i.visible_after is null or i.visible_after <= {0})", wanted.visible_at),
        ("case when i.is_archived then i.last_changed else i.created end >= {0}", wanted.started_from),
        ("case when i.is_archived then i.last_changed else i.created end <= {0}", wanted.started_to),
    ):
        if value is not None:
            where.add(clause, value)
    if wanted.parties is not None:
        if len(wanted.parties) == 1:
            where.add("i.party_id = {0}", wanted.parties[0])
        else:
            where.add("i.party_id = any({0}::bigint[])", list(wanted.parties))
    if wanted.is_complete is not None:
        where.add("i.process_ended is not null" if wanted.is_complete else "i.task_id is not null")
    if wanted.confirmed is not None:
        # Written without a parameter, so that the partial index of unconfirmed instances can serve.
        where.add("i.confirmed" if wanted.confirmed else "not i.confirmed")
    if wanted.states is not None:
        active, archived, deleted = wanted.states
        wanted_states = [
            clause
            for clause, want in (
                ("(not i.is_archived and not i.is_soft_deleted)", active),
                ("(i.is_archived and not i.is_soft_deleted)", archived),
                ("i.is_soft_deleted", deleted),
            )
            if want
        ]
        where.add(f"({' or '.join(wanted_states)})")
    if wanted.not_confirmed_by is not None:
        where.add("not coalesce(i.confirmations @> {0}::jsonb, false)", [{"stakeholderId": wanted.not_confirmed_by}])
    for each in wanted.times:
        where.add(f"i.{each.column} {each.operator} {{0}}", each.moment)
    if wanted.text is not None:
        matches = "exists (select from jsonb_each_text(i.presentation_texts) t where t.value ilike {0})"
        if wanted.text_apps:
            where.add(
                f"({matches} or i.org || '/' || i.app = any({{1}}::text[]))",
                _pattern(wanted.text),
                list(wanted.text_apps),
            )
        else:
            where.add(matches, _pattern(wanted.text))
    return where


def _pattern(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


async def page(
    queries: Queries,
    wanted: Filter,
    links: str,
    *,
    size: int,
    descending: bool = True,
    after: Position | None = None,
    with_elements: bool = True,
) -> list[Stored]:
    """At most `size` instances in order of last change, beginning after `after`."""
    where = _where(wanted)
    order = _ordered(where, size, descending=descending, after=after)
    rows = await queries.fetch(f"{_whole(with_elements)} where {where.text()}{order}", *where.arguments)
    return [to_stored(row, links) for row in rows]


async def outlines(
    queries: Queries, wanted: Filter, *, size: int, descending: bool = True, after: Position | None = None
) -> list[Outline]:
    """As `page`, but only what decisions need of each: a fraction of the work."""
    where = _where(wanted)
    order = _ordered(where, size, descending=descending, after=after)
    rows = await queries.fetch(
        "select i.guid, i.org, i.app, i.party_id, i.last_changed, a.version, i.task_id,"
        f" case when i.task_id is null then i.process ->> 'endEvent' end{_FROM} where {where.text()}{order}",
        *where.arguments,
    )
    return [Outline(str(row[0]), *row[1:]) for row in rows]


async def chosen(
    queries: Queries, wanted: Filter, guids: Sequence[str], links: str, *, with_elements: bool = True
) -> dict[str, Stored]:
    """Those of `guids` that still pass the filter, by guid."""
    where = _where(wanted)
    where.add("i.guid = any({0}::uuid[])", list(guids))
    rows = await queries.fetch(f"{_whole(with_elements)} where {where.text()}", *where.arguments)
    return {stored.guid: stored for stored in (to_stored(row, links) for row in rows)}


_FROM = " from instance i left join application a on a.org = i.org and a.app = i.app"


def _whole(with_elements: bool) -> str:
    elements = ELEMENTS if with_elements else "null::text"
    return f"select {INSTANCE}, {elements}, a.version, null::bytea{_FROM}"


def _ordered(where: _Where, size: int, *, descending: bool, after: Position | None) -> str:
    """Order and limit; where the page begins becomes one more clause."""
    direction, sign = ("desc", "<") if descending else ("asc", ">")
    if after is not None:
        where.add(f"(i.last_changed, i.guid) {sign} ({{0}}, {{1}}::uuid)", after.last_changed, after.guid)
    where.arguments.append(size)
    return f" order by i.last_changed {direction}, i.guid {direction} limit ${len(where.arguments)}"


def position(row: Stored | Outline) -> Position:
    """Where a page that ends with `row` ends."""
    return Position(row.last_changed, row.guid)
