"""Leaving a task: its data is cleaned, the app's hooks run, its elements are locked, and its receipt is made.

All of it can be done again: cleaning what is clean changes nothing, and a receipt made before is made anew.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from havn.contracts.storage import DataElement
from havn.kit.problem import Problem
from havn.runtime import hook_data, receipts, visible
from havn.runtime.access import PDF_TYPE, is_form
from havn.runtime.hooks import TaskContext
from havn.runtime.model.rows import without_row_ids
from havn.runtime.process import outcome
from havn.runtime.work import Loaded, NewElement, Work


async def complete(work: Work, task: str) -> None:
    """Do what belongs to completing `task`. On a failure its elements are opened again."""
    await _open(work, task)
    try:
        await _clean(work, task)
        await _hooks(work, "task_end", task)
        await work.save()
        await _lock(work, task)
        if receipts.wanted_at_end(work.context, task):
            await receipts.make(work, task, [task])
    except BaseException:
        await _open(work, task)
        raise


async def abandon(work: Work, task: str) -> None:
    """Do what belongs to leaving `task` by reject."""
    await _hooks(work, "task_abandon", task)
    await work.save()


async def remove_temporary(work: Work) -> None:
    """Mark the elements that are not to outlive the process (`autoDeleteOnProcessEnd`) for removal."""
    for element in list(work.instance.data):
        type_ = work.context.folder.data_types.get(element.data_type or "")
        if type_ is None or type_.app_logic is None or not type_.app_logic.auto_delete_on_process_end:
            continue
        if element.delete_status is None or not element.delete_status.is_hard_deleted:
            await work.context.clients.storage.delete_data(
                work.instance.id or "", element.id or "", work.actor.credentials, delay=True
            )


async def _hooks(work: Work, kind: str, task: str) -> None:
    for hook in work.context.hooks.of(kind, task):
        given = TaskContext(**hook_data.of_instance(work, task=task))
        outcome.check(await hook_data.run(hook, given), hook.name)


async def _clean(work: Work, task: str) -> None:
    """Row ids, hidden data (when the app asks for it) and shadow fields go."""
    hidden = await visible.evaluate(work) if work.context.app_flag("RemoveHiddenData", default=False) else None
    for entry in await work.forms(_elements(work, task, forms_only=True)):
        if hidden is not None:
            entry.model = hidden.without_hidden(entry)
        entry.model = without_row_ids(entry.model)
        _shadow(work, entry)


def _shadow(work: Work, entry: Loaded) -> None:
    logic = entry.type.app_logic
    shadow = logic.shadow_fields if logic is not None else None
    if shadow is None or not shadow.prefix:
        return
    stripped = _without_prefix(entry.model, shadow.prefix)
    if shadow.save_to_data_type is None:
        entry.model = stripped
        return
    target = work.context.folder.data_types.get(shadow.save_to_data_type)
    if target is None:
        raise Problem(500, "The app's shadow fields name an unknown data type.", code="app_misconfigured")
    for element in work.form_elements(target.id) or [e for e in work.instance.data if e.data_type == target.id]:
        work.remove(element.id or "")
    work.add(NewElement(target, model=copy.deepcopy(stripped)))


def _without_prefix(value: Any, prefix: str) -> Any:
    if isinstance(value, dict):
        return {key: _without_prefix(item, prefix) for key, item in value.items() if not key.startswith(prefix)}
    if isinstance(value, list):
        return [_without_prefix(item, prefix) for item in value]
    return value


async def _lock(work: Work, task: str) -> None:
    """Lock the task's elements; 409 when one was changed after it was validated."""
    validated: Mapping[str, Loaded] = work.loaded
    for element in _elements(work, task):
        entry = validated.get(element.id or "")
        before = entry.element.content_hash if entry is not None else element.content_hash
        locked = await work.context.clients.storage.lock_data(
            work.instance.id or "", element.id or "", work.actor.credentials
        )
        work.replace_element(locked)
        if before and locked.content_hash and before != locked.content_hash:
            raise Problem(409, "The form was changed while it was being submitted. Try again.", code="edited_elsewhere")


async def _open(work: Work, task: str) -> None:
    for element in _elements(work, task):
        if element.locked:
            opened = await work.context.clients.storage.unlock_data(
                work.instance.id or "", element.id or "", work.actor.credentials
            )
            work.replace_element(opened)


def _elements(work: Work, task: str, *, forms_only: bool = False) -> list[DataElement]:
    found = []
    for element in work.instance.data:
        type_ = work.context.folder.data_types.get(element.data_type or "")
        if type_ is None or type_.task_id != task or type_.id == PDF_TYPE or element.id in work.removed:
            continue
        if not forms_only or is_form(type_):
            found.append(element)
    return found
