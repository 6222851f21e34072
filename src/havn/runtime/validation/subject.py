"""What is validated: the models of one task, the layout evaluated with them, and what a request changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from havn.contracts.application import DataType
from havn.runtime import visible
from havn.runtime.issues import ValidationIssue
from havn.runtime.model.patch import operations
from havn.runtime.model.paths import without_indices
from havn.runtime.visible import Evaluated
from havn.runtime.work import Loaded, Work

if TYPE_CHECKING:
    from havn.runtime.context import AppContext

Changed = Mapping[str, frozenset[str]]
"""Data type id to the fields (without indices) that changed."""


class Subject:
    """Read once for all validators of a request."""

    def __init__(self, work: Work, task: str, forms: Sequence[Loaded], layout: Evaluated | None) -> None:
        self.work = work
        self.task = task
        self.forms = forms
        self.layout = layout

    @classmethod
    async def of(cls, work: Work, task: str) -> Subject:
        """The task's form elements, those of types that belong to no task included."""
        forms = await work.forms(
            [e for e in work.form_elements() if _of_task(work.context.folder.data_types[e.data_type or ""], task)]
        )
        return cls(work, task, forms, await visible.evaluate(work))

    @property
    def context(self) -> AppContext:
        """The app."""
        return self.work.context

    @property
    def language(self) -> str:
        """What messages are written in."""
        return self.work.actor.language

    def types(self) -> list[DataType]:
        """The data types of this task."""
        return [type_ for type_ in self.context.folder.data_types.values() if type_.task_id == self.task]

    def changed_fields(self) -> Changed:
        """What this request has changed and not yet saved."""
        return {
            change.data_type: frozenset(
                without_indices(_dotted(str(operation["path"])))
                for operation in operations(change.previous or {}, change.current or {})
            )
            or frozenset({""})
            for change in self.work.changes()
        }


class Validator(msgspec.Struct, frozen=True):
    """One source of issues."""

    source: str
    run: Callable[[Subject], Awaitable[list[ValidationIssue]]]
    incremental: bool = True
    data_types: frozenset[str] | None = None
    """Which types' changes matter to it; None for any."""
    fields: frozenset[str] = frozenset()
    """Which fields' changes matter, with all below and above them; empty for any."""

    def concerned(self, changed: Changed) -> bool:
        """Whether the changes matter to it."""
        for data_type, fields in changed.items():
            if self.data_types is not None and data_type not in self.data_types:
                continue
            if not self.fields or any(_touches(own, field) for own in self.fields for field in fields):
                return True
        return False


def _touches(own: str, field: str) -> bool:
    return field in (own, "") or own.startswith(f"{field}.") or field.startswith(f"{own}.")


def _dotted(pointer: str) -> str:
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    return ".".join(part for part in parts if not part.isdigit())


def _of_task(type_: DataType, task: str) -> bool:
    return type_.task_id is None or type_.task_id == task
