"""Form data: read a model, change it, save it, learn what else changed and what is wrong with it.

A model is plain JSON (`dict`), its list items carry `altinnRowId`. Paths into it are dotted with indices, as in layout
bindings: `applicant.children[1].name`. Every change runs the app's processors and calculations, checks the result
against the schema's shape, and is saved with the version that was read, so that two writers never overwrite each other.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from havn.contracts.storage import DataElement, Instance
from havn.kit.problem import Problem
from havn.runtime import access, locks, service_code, validation, writing
from havn.runtime.issues import ValidationIssue
from havn.runtime.model import patch as patches_
from havn.runtime.model import paths
from havn.runtime.model.rows import ROW_ID
from havn.runtime.work import Loaded, Model, Work, add_row_ids, again_when_outrun, new_id

if TYPE_CHECKING:
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext

__all__ = [
    "FormData", "Model", "Patch", "PatchResult", "add_row", "edit", "load", "load_task", "patch", "remove_row",
    "replace", "write_fields",
]  # fmt: skip


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
    """The model of `element`, after the app's read hooks. Problems: 403, 404, 409 when it is not form data."""
    await access.require(context, actor, instance, "read")
    return await _load(Work(context, actor, instance), element)


async def load_task(context: AppContext, actor: Actor, instance: Instance) -> dict[str, FormData]:
    """The models the current task's layout may use, by data type id: the first element of each type.

    After the process has ended, every form element.
    """
    await access.require(context, actor, instance, "read")
    work = Work(context, actor, instance)
    readable = {element.id for element in await access.readable(context, actor, instance)}
    firsts: dict[str, DataElement] = {}
    for element in work.form_elements():
        if element.id in readable:
            firsts.setdefault(element.data_type or "", element)
    found = await asyncio.gather(*(_load(work, element) for element in firsts.values()))
    return dict(zip(firsts, found, strict=True))


async def _load(work: Work, element: DataElement) -> FormData:
    context, actor = work.context, work.actor
    type_ = access.data_type(context, element.data_type)
    await access.require_data_read(context, actor, work.instance, type_)
    entry = await work.form(element)
    await service_code.read(work, element, type_, entry.model)
    add_row_ids(entry.model)
    if entry.changed and not element.locked and not _closed(work.instance):
        kept = copy.deepcopy(entry.model)
        try:
            alone = Work(context, actor, work.instance)
            alone.loaded[element.id or ""] = entry
            await alone.save()
        except Problem as problem:
            # Somebody who may only read sees the same, unsaved; somebody who was outrun sees the newer next time.
            if problem.status not in (403, 409, 412):
                raise
            entry.model = kept
    return FormData(entry.element, entry.model, entry.version or 0)


def _closed(instance: Instance) -> bool:
    status = instance.status
    return status is not None and (status.is_archived or status.is_soft_deleted or status.is_hard_deleted)


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

    def change(entry: Loaded) -> None:
        for one in patches:
            if one.element_id == entry.element.id:
                _apply(entry, one)

    return await _change(context, actor, instance, [one.element_id for one in patches], change, ignored_validators)


def _apply(entry: Loaded, one: Patch) -> None:
    try:
        changed = patches_.apply(entry.model, one.operations)
    except patches_.PatchError as error:
        raise Problem(
            409 if error.precondition else 422,
            f"Operation {error.index} of the patch could not be done: {error}.",
            title="Precondition in patch failed" if error.precondition else "Patch Operation Failed",
            code="patch_precondition" if error.precondition else "patch_failed",
            previousModel=entry.original,
            dataElementId=one.element_id,
            patchOperationIndex=error.index,
        ) from None
    if not isinstance(changed, dict):
        raise Problem(422, "A model is an object.", title="Patch operation did not deserialize", code="model_mismatch")
    entry.model = changed


async def write_fields(
    context: AppContext,
    actor: Actor,
    instance: Instance,
    element: DataElement,
    values: Mapping[str, Any],
    *,
    seen: Mapping[str, Any] | None = None,
    expected_version: int | None = None,
    ignored_validators: Sequence[str] = (),
) -> PatchResult:
    """Set paths of one model (missing parents are made; None removes the member) and save, as an HTML form does.

    `expected_version` is the version the person saw, `seen` the values they saw at the paths: when another has saved
    since, and a path now holds neither what was seen nor what is written, nothing is saved (409 `edited_elsewhere`
    with `fields`). Without `seen` any newer version is a 409. Other problems as for `patch`.
    """

    def change(entry: Loaded) -> None:
        if expected_version is not None and entry.version != expected_version:
            _same_fields(entry, values, seen)
        _put(entry, values)

    return await _change(context, actor, instance, [element.id or ""], change, ignored_validators)


def _same_fields(entry: Loaded, values: Mapping[str, Any], seen: Mapping[str, Any] | None) -> None:
    if seen is None:
        lost = sorted(values)
    else:
        lost = [
            path
            for path, value in values.items()
            if not patches_.equal(now := paths.get(entry.model, path), seen.get(path))
            and not patches_.equal(now, value)
        ]
    if lost:
        raise Problem(
            409,
            "Somebody else has changed this since you opened it.",
            code="edited_elsewhere",
            fields=lost,
            currentVersion=entry.version,
        )


def _put(entry: Loaded, values: Mapping[str, Any]) -> None:
    for path, value in values.items():
        try:
            paths.put(entry.model, path, value)
        except paths.PathError as error:
            raise Problem(422, f"The field cannot be set: {error}.", code="unknown_path", field=path) from None


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
    return await _change(
        context, actor, instance, [element.id or ""], lambda entry: change(entry.model), ignored_validators
    )


async def replace(
    context: AppContext, actor: Actor, instance: Instance, element: DataElement, model: Model
) -> PatchResult:
    """Put `model`, whole, in the place of what is there."""

    def change(entry: Loaded) -> None:
        entry.model = copy.deepcopy(model)

    return await _change(context, actor, instance, [element.id or ""], change, None)


async def add_row(
    context: AppContext, actor: Actor, instance: Instance, element: DataElement, path: str
) -> tuple[PatchResult, str]:
    """Append an empty row to the list at `path`; gives the result and the new row's `altinnRowId`."""
    row_id = new_id()

    def change(model: Model) -> None:
        rows = paths.get(model, path)
        if rows is None:
            rows = []
            paths.put(model, path, rows)
        if not isinstance(rows, list):
            raise Problem(422, f"{path} is not a list.", code="unknown_path", field=path)
        rows.append({ROW_ID: row_id})

    return await edit(context, actor, instance, element, change), row_id


async def remove_row(
    context: AppContext, actor: Actor, instance: Instance, element: DataElement, path: str, row_id: str
) -> PatchResult:
    """Remove the row with `row_id` from the list at `path`; a row already gone is no error."""

    def change(model: Model) -> None:
        rows = paths.get(model, path)
        if isinstance(rows, list):
            rows[:] = [row for row in rows if not (isinstance(row, dict) and row.get(ROW_ID) == row_id)]

    return await edit(context, actor, instance, element, change)


async def _change(
    context: AppContext,
    actor: Actor,
    instance: Instance,
    element_ids: Sequence[str],
    change: Callable[[Loaded], None],
    ignored_validators: Sequence[str] | None,
) -> PatchResult:
    """Read, change, run the app's code, save with the versions read; all of it again when another was first.

    No validation when `ignored_validators` is None.
    """
    fresh: Instance | None = instance

    async def attempt() -> PatchResult:
        nonlocal fresh
        here = fresh or await context.clients.storage.instance(instance.id or "", actor.credentials)
        fresh = None
        work = Work(context, actor, here)
        for element_id in dict.fromkeys(element_ids):
            await _open(work, element_id)
        for element_id in dict.fromkeys(element_ids):
            entry = work.loaded[element_id]
            change(entry)
            context.models.check(entry.type.id, entry.model)
        await writing.run_hooks(work)
        touched = [e for e in work.loaded.values() if e.changed or e.element.id in element_ids]
        if ignored_validators is None:
            await work.save()
            issues: Mapping[str, Sequence[ValidationIssue]] = {}
        else:
            # The same models are judged and written: nothing changes them any more.
            issues = await validation.incremental(work, ignored_validators)
            await work.save()
        return PatchResult(
            work.instance,
            {entry.element.id or "": entry.model for entry in touched},
            {entry.element.id or "": entry.version or 0 for entry in touched},
            issues,
        )

    result: PatchResult = await again_when_outrun(attempt)
    return result


async def _open(work: Work, element_id: str) -> None:
    element = work.instance.element(element_id)
    if element is None:
        raise Problem(404, "The instance has no such element.", code="unknown_element")
    type_ = access.data_type(work.context, element.data_type)
    await access.require_data_write(work.context, work.actor, work.instance, type_, "update")
    if element.locked:
        await locks.reopen(work.context, work.actor, work.instance, element, type_)
    await work.form(element)
