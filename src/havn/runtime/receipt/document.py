"""What a receipt says, apart from how it looks: the answers with their labels, in order."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Answer(msgspec.Struct, frozen=True):
    """One question and its answer, as text; an empty answer is said to be missing."""

    label: str
    value: str


class Table(msgspec.Struct, frozen=True):
    """Several answers of the same questions: the rows of a repeating group."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


class Heading(msgspec.Struct, frozen=True):
    """A title inside a section; `level` 2 or 3."""

    text: str
    level: int = 2


class Text(msgspec.Struct, frozen=True):
    """A paragraph, without markup."""

    text: str


Block = Answer | Table | Heading | Text


class Section(msgspec.Struct, frozen=True):
    """One page of the form."""

    title: str
    blocks: Sequence[Block]


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A whole receipt."""

    language: str
    title: str
    facts: Sequence[Answer]
    """Reference number, when, who and to whom."""
    sections: Sequence[Section]
    attachments_title: str
    attachments: Sequence[str]
    nothing: str
    """What stands where an answer is missing."""
