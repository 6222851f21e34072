"""What expressions and components ask that is neither in the layout nor in the models: fetched before, asked later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

Model = Mapping[str, Any]


class Element(msgspec.Struct, frozen=True):
    """What the layout asks of a data element of the instance."""

    id: str
    data_type: str
    filename: str | None = None
    size: int = 0
    content_type: str = ""
    tags: Sequence[str] = ()
    scan: str = "NotApplicable"
    locked: bool = False


class Choice(msgspec.Struct, frozen=True):
    """An option as it was found: its label is a text key or text."""

    value: str | float | bool | None
    label: str
    description: str | None = None
    help_text: str | None = None


FindText = Callable[[str, Sequence[int], Mapping[str, Model]], str | None]


def _no_text(_key: str, _rows: Sequence[int], _models: Mapping[str, Model]) -> str | None:
    return None


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What expressions and components ask that is not in the layout or the models."""

    language: str = "nb"
    find_text: FindText = _no_text
    """The text with a key, or None; `rows` are the indices of the row it stands in."""
    instance: Mapping[str, str | None] | None = None
    """`instanceId`, `appId`, `instanceOwnerPartyId`, `instanceOwnerPartyType`, `instanceOwnerName`."""
    settings: Mapping[str, Any] = {}
    """`FrontEndSettings`."""
    elements: Sequence[Element] = ()
    actions: frozenset[str] = frozenset()
    """What the user may do in the current task."""
    choices: Mapping[tuple[str, frozenset[tuple[str, str]]], Sequence[Choice]] = {}
    """Options that were fetched, by id (lower case) and query."""
    read_only: bool = False
    """Whether nothing may be changed, whatever the layout says."""
    today: date | None = None
    """The day in Norway, for bounds such as `today`; None leaves such bounds out."""
    page_address: Callable[[str], str] = lambda page: page


class Row(msgspec.Struct, frozen=True):
    """One row of a list: its place now, and its id, which stays."""

    index: int
    id: str
    hidden: bool = False
