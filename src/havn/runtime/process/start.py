"""Entering a task: its elements are opened, the app's hooks run, and the data it wants is made.

All of it can be done again: an element that is there is not made twice, and one made by an attempt that was cut short
is found by its key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from havn.contracts.application import DataType
from havn.runtime import hook_data, prefilling
from havn.runtime.access import is_form
from havn.runtime.hooks import TaskContext
from havn.runtime.process import outcome
from havn.runtime.work import NewElement, Work


async def begin(work: Work, task: str, flow: int, prefill: Mapping[str, Any] | None = None) -> None:
    """Do what belongs to entering `task`; `flow` is the number of this step in the instance's history."""
    await _unlock(work, task)
    for hook in work.context.hooks.of("task_start", task):
        given = TaskContext(**hook_data.of_instance(work, task=task), prefill=prefill or {})
        outcome.check(await hook_data.run(hook, given), hook.name)
    await make_missing(work, task, flow, prefill)
    await work.save()


async def make_missing(work: Work, task: str, flow: int, prefill: Mapping[str, Any] | None = None) -> bool:
    """Add the task's auto-created elements that are not there; true when there were any to add."""
    missing = missing_types(work, task)
    for type_ in missing:
        model = await prefilling.new_model(work, type_, prefill)
        work.add(NewElement(type_, model=model, key=f"auto:{work.instance.guid}:{type_.id}:{flow}"))
    return bool(missing)


def missing_types(work: Work, task: str) -> list[DataType]:
    """The data types of which the task makes an element by itself, and of which there is none."""
    present = {element.data_type for element in work.instance.data} | {new.type.id for new in work.added}
    return [
        type_
        for type_ in work.context.folder.data_types.values()
        if type_.task_id == task
        and is_form(type_)
        and type_.app_logic is not None
        and type_.app_logic.auto_create
        and type_.id not in present
    ]


async def _unlock(work: Work, task: str) -> None:
    """Open the elements of a task that is entered again."""
    types = work.context.folder.data_types
    for element in list(work.instance.data):
        type_ = types.get(element.data_type or "")
        if element.locked and type_ is not None and type_.task_id == task:
            opened = await work.context.clients.storage.unlock_data(
                work.instance.id or "", element.id or "", work.actor.credentials
            )
            work.replace_element(opened)
