"""Open instances that a new version has no place for: found beforehand, and moved where somebody says where to.

Pure: where instances stand, and the app folders before and after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from havn.appfolder import AppFolder
from havn.appfolder.folder import is_form_data
from havn.contracts.difference import Stranded
from havn.contracts.standing import Standing, TaskMove
from havn.kit.problem import Problem

_WORDS = {
    "task": "the task {}",
    "dataType": "data of the type {}",
    "schema": "data of the type {}, which has no schema",
}


def stranded(standing: Standing, before: AppFolder | None, after: AppFolder) -> list[Stranded]:
    """Who would be stranded: by task, then by data type, then by schema."""
    found = [
        Stranded(what="task", id=each.task_id, count=each.count, sample=each.sample)
        for each in standing.tasks
        if after.process.task(each.task_id) is None
    ]
    for each in standing.data_types:
        data_type = after.data_type(each.data_type)
        if data_type is None:
            found.append(Stranded(what="dataType", id=each.data_type, count=each.count, sample=each.sample))
        elif (
            before is not None
            and before.schema(each.data_type) is not None
            and not (is_form_data(data_type) and after.schema(each.data_type) is not None)
        ):
            found.append(Stranded(what="schema", id=each.data_type, count=each.count, sample=each.sample))
    return found


def moves(mapping: Mapping[str, str], after: AppFolder, reason: str) -> list[TaskMove]:
    """The moves that a mapping of old tasks to new ones asks for. Raises a 400 `Problem`."""
    found = []
    for source, target in mapping.items():
        task = after.process.task(target)
        if task is None or task.service:
            there = ", ".join(each.id for each in after.process.tasks if not each.service)
            raise Problem(
                400, f"Instances cannot be moved to {target[:60]}: the new release has the tasks {there}.",
                code="unknown_task",
            )  # fmt: skip
        if after.process.task(source) is not None:
            raise Problem(
                400, f"The new release still has the task {source[:60]}, so nothing is moved from it.",
                code="task_not_gone",
            )  # fmt: skip
        found.append(TaskMove(source=source, target=target, name=task.name, task_type=task.task_type, reason=reason))
    return found


def left(found: Sequence[Stranded], mapping: Mapping[str, str]) -> list[Stranded]:
    """Those whom the mapping does not help."""
    return [each for each in found if not (each.what == "task" and each.id in mapping)]


def sentence(found: Sequence[Stranded]) -> str:
    """Who would be stranded, for people."""
    parts = [
        f"{each.count} open {'instance' if each.count == 1 else 'instances'} "
        f"{'in' if each.what == 'task' else 'with'} {_WORDS[each.what].format(each.id)}"
        f" (such as {each.sample[0]})"
        for each in found
        if each.sample
    ]
    return f"The new release has no place for {'; '.join(parts)}."
