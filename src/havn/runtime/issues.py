"""One finding of validation, as the frontend reads it."""

from __future__ import annotations

import enum

import msgspec


class Severity(enum.IntEnum):
    """How much an issue matters; only errors stop the process."""

    ERROR = 1
    WARNING = 2
    INFORMATIONAL = 3
    SUCCESS = 5


class ValidationIssue(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is wrong (or worth saying) about a field, an element or the task as a whole."""

    severity: Severity
    data_element_id: str | None = None
    field: str | None = None
    """Path with indices into the element's model; absent for a message about the task."""
    code: str | None = None
    description: str | None = None
    """A sentence in the actor's language."""
    source: str = ""
    no_incremental_updates: bool = False
    custom_text_key: str | None = None
    custom_text_parameters: dict[str, str] | None = None
