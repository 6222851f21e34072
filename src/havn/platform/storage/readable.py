"""Full pages of what a caller may read.

What a caller may read is told by policy, one decision for each distinct circumstance, and policy is not SQL: rights on
single instances, obligations of level, conditions on anything. So rows are read in order and those that are refused
passed over until the page is full. The first read takes whole rows, which is all there is to do for most callers; after
it only outlines are read, in growing windows, and of those the ones that are shown are fetched whole.

One page looks at no more than `MOST_LOOKED_AT` rows beside its first read. It continues after the last row that it
shows, or, where that bound ends it and it is short, after the last row that it looked at: a walk leaves none out and
shows none twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from havn.guard.principal import Principal
from havn.platform.storage.access import Access, resource
from havn.platform.storage.store import Database, search
from havn.platform.storage.store.rows import Outline, Stored
from havn.platform.storage.store.search import Filter, Position

MOST_LOOKED_AT = 10_000
"""Rows that one page looks at, beside those of its first read."""

_FIRST_WINDOW, _GROWTH = 200, 4

Row = TypeVar("Row", Stored, Outline)
Rows = Sequence[Stored] | Sequence[Outline]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, page by page."""

    principal: Principal
    filter: Filter
    actions: Sequence[str] = ("read",)
    """What to tell of each instance whether the caller may; "read", without which none is shown, is among them."""
    choose: Callable[[Rows], Awaitable[list[bool]]] | None = None
    """Which of some rows the question is about, beside what the filter says; None for all of them."""
    descending: bool = True
    with_elements: bool = True


class Seen(msgspec.Struct, frozen=True):
    """An instance that the caller may read, and those of the actions asked about that they may do."""

    stored: Stored
    may: frozenset[str]


class ReadablePage(msgspec.Struct, frozen=True):
    """What is shown, in order. `after` is where to go on; None when there is nothing more to show."""

    seen: list[Seen]
    after: Position | None


class Readable:
    """Reads such pages."""

    def __init__(self, database: Database, access: Access, links: str) -> None:
        self._database = database
        self._access = access
        self._links = links

    async def page(self, asked: Question, *, size: int, after: Position | None = None) -> ReadablePage:
        """The next `size` instances after `after` that the caller may read.

        Fewer only at the end, or when `size` + `MOST_LOOKED_AT` rows have been looked at without filling the page; then
        `after` is set, so that an empty page can have a next one. An instance that changes while its page is made is
        shown as it is afterwards, and only if it may be read then.
        """
        first = await search.page(
            self._database, asked.filter, self._links,
            size=size, descending=asked.descending, after=after, with_elements=asked.with_elements,
        )  # fmt: skip
        seen = {row.guid: Seen(row, may) for row, may in await self._readable(asked, first)}
        if len(first) < size:
            return ReadablePage(list(seen.values()), None)
        after = search.position(first[-1])
        left, window = MOST_LOOKED_AT, max(_FIRST_WINDOW, 2 * _GROWTH * (size - len(seen)))
        while left and len(seen) < size:
            window = min(window, left)
            rows = await search.outlines(
                self._database, asked.filter, size=window, descending=asked.descending, after=after
            )
            readable = await self._readable(asked, rows)
            taken = readable[: size - len(seen)]
            for each in await self._whole(asked, taken):
                # In rising order an instance that has changed meanwhile comes a second time: the later one counts.
                seen.pop(each.stored.guid, None)
                seen[each.stored.guid] = each
            if len(taken) < len(readable):
                after = search.position(taken[-1][0])
            elif len(rows) < window:
                return ReadablePage(list(seen.values()), None)
            else:
                after = search.position(rows[-1])
            left -= window
            window *= _GROWTH
        return ReadablePage(list(seen.values()), after)

    async def _readable(self, asked: Question, rows: Sequence[Row]) -> list[tuple[Row, frozenset[str]]]:
        """Those of `rows` that are asked about and may be read, with what may be done."""
        if asked.choose is not None:
            rows = [row for row, is_asked in zip(rows, await asked.choose(rows), strict=True) if is_asked]
        permitted = await self._access.permitted(asked.principal, rows, asked.actions)
        return [(row, may) for row, may in zip(rows, permitted, strict=True) if "read" in may]

    async def _whole(self, asked: Question, taken: Sequence[tuple[Outline, frozenset[str]]]) -> list[Seen]:
        """The instances of some outlines. What has come to stand elsewhere since is decided about anew."""
        if not taken:
            return []
        guids = [outline.guid for outline, _ in taken]
        found = await search.chosen(self._database, asked.filter, guids, self._links, with_elements=asked.with_elements)
        may = {outline.guid: may for outline, may in taken}
        moved = [
            found[outline.guid]
            for outline, _ in taken
            if outline.guid in found and resource(found[outline.guid]) != resource(outline)
        ]
        for row in moved:
            del may[row.guid]
        may.update({row.guid: now for row, now in await self._readable(asked, moved)})
        return [Seen(found[guid], may[guid]) for guid in guids if guid in found and guid in may]
