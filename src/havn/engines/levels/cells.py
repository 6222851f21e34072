"""Records gathered into cells: one for each org, app, version, subscription and minute."""

from __future__ import annotations

from typing import NamedTuple

from havn.engines.levels.counts import Counts, Tally
from havn.engines.levels.records import Record

MAX_KINDS = 500
"""Versions and subscriptions told apart for one app in one gathering; what is beyond counts as `other`."""
OTHER = "other"


class Cell(NamedTuple):
    """What a count is about."""

    org: str
    app: str
    version: str
    subscription: str
    minute: int


class Gathering:
    """Counts records by cell until `take`."""

    def __init__(self) -> None:
        self._tallies: dict[Cell, Tally] = {}
        self._kinds: dict[tuple[str, str], set[tuple[str, str]]] = {}

    def __len__(self) -> int:
        return len(self._tallies)

    def add(self, record: Record) -> None:
        """Count one request."""
        kinds = self._kinds.setdefault((record.org, record.app), set())
        kind = (record.version, record.subscription)
        if kind not in kinds:
            # An app names its own versions: one gone wild must not fill the tables for everybody.
            if len(kinds) >= MAX_KINDS:
                kind = (OTHER, OTHER)
            else:
                kinds.add(kind)
        cell = Cell(record.org, record.app, *kind, record.minute)
        tally = self._tallies.get(cell)
        if tally is None:
            tally = self._tallies[cell] = Tally()
        tally.add(record)

    def take(self) -> dict[Cell, Counts]:
        """What was gathered; begin anew."""
        found = {cell: tally.counts() for cell, tally in self._tallies.items()}
        self._tallies.clear()
        self._kinds.clear()
        return found
