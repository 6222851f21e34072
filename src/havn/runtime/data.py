"""Form data: read a model, change it, save it, learn what else changed and what is wrong with it.

A model is plain JSON (`dict`), its list items carry `altinnRowId`. Paths into it are dotted with indices, as in layout
bindings: `applicant.children[1].name`. Every change runs the app's processors and calculations, checks the result
against the schema's shape, and is saved with the version that was read, so that two writers never overwrite each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from havn.contracts.storage import DataElement, Instance
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext
    from havn.runtime.validation import ValidationIssue

Model = dict[str, Any]


class FormData(msgspec.Struct, frozen=True):
    """The model of one data element as it was read."""

    element: DataElement
    model: Model
    version: int
    """Counts up with each change of the element's content; give it back when you write."""


class Patch(msgspec.Struct, frozen=True):
    """RFC 6902 operations for one element."""

    element_id: str
    operations: Sequence[Mapping[str, Any]]


class PatchResult(msgspec.Struct, frozen=True):
    """What a change led to."""

    instance: Instance
    models: Mapping[str, Model]
    """Element id to model: every element asked to change, and others that the app's code changed."""
    versions: Mapping[str, int]
    """Element id to version, for the same elements."""
    issues: Mapping[str, Sequence[ValidationIssue]]
    """Source to issues, for the validators that ran; an empty list clears that source's earlier issues."""


async def load(context: AppContext, actor: Actor, instance: Instance, element: DataElement) -> FormData:
    """The model of `element`, after the app's read processors. Problems: 403, 404, 409 when it is not form data."""
    raise NotImplementedError


async def load_task(context: AppContext, actor: Actor, instance: Instance) -> dict[str, FormData]:
    """The models the current task's layout uses, by data type id: the first element of each type."""
    raise NotImplementedError


async def patch(
    context: AppContext,
    actor: Actor,
    instance: Instance,
    patches: Sequence[Patch],
    *,
    ignored_validators: Sequence[str] = (),
) -> PatchResult:
    """Apply JSON Patches to one or more elements and save.

    Problems: 409 `Precondition in patch failed` (a `test` did not hold), 422 `Patch Operation Failed`, 422 when the
    result has an unknown member or a value of the wrong type, 400 when the app's code abandons, 403/409 by the access
    rules of the data type, 404 unknown element.
    """
    raise NotImplementedError


async def write_fields(
    context: AppContext,
    actor: Actor,
    instance: Instance,
    element: DataElement,
    values: Mapping[str, Any],
    *,
    expected_version: int | None = None,
    ignored_validators: Sequence[str] = (),
) -> PatchResult:
    """Set paths of one model (missing parents are made; None removes the member) and save, as an HTML form does.

    `expected_version` is the version the person saw: when another has saved since, and one of the *same fields*
    differs from what it was at that version, nothing is saved (409 `edited_elsewhere`, with `currentVersion`).
    Other problems as for `patch`.
    """
    raise NotImplementedError


async def edit(
    context: AppContext,
    actor: Actor,
    instance: Instance,
    element: DataElement,
    change: Callable[[Model], None],
    *,
    ignored_validators: Sequence[str] = (),
) -> PatchResult:
    """Let `change` alter the newest model in place and save; run again on the newer model if another saved first."""
    raise NotImplementedError


async def add_row(
    context: AppContext, actor: Actor, instance: Instance, element: DataElement, path: str
) -> tuple[PatchResult, str]:
    """Append an empty row to the list at `path`; gives the result and the new row's `altinnRowId`."""
    raise NotImplementedError


async def remove_row(
    context: AppContext, actor: Actor, instance: Instance, element: DataElement, path: str, row_id: str
) -> PatchResult:
    """Remove the row with `row_id` from the list at `path`; a row already gone is no error."""
    raise NotImplementedError
