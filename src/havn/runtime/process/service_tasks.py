"""Automatic tasks: the PDF task that is built in, and the app's own kinds."""

from __future__ import annotations

import structlog

from havn.engines.process import Task
from havn.kit.problem import Problem
from havn.runtime import hook_data, receipts
from havn.runtime.hooks import Done, Failed, Retry, TaskContext
from havn.runtime.process import outcome
from havn.runtime.work import Work

_log = structlog.get_logger("runtime")


async def execute(work: Work, task: Task) -> str | None:
    """Run the task; gives the action to move on with (None: plain). 500 when it failed and the process must wait.

    The app's own code wins over what is built in.
    """
    hook = work.context.hooks.first("service_task", task.task_type)
    if hook is not None:
        result = await hook_data.run(hook, TaskContext(**hook_data.of_instance(work, task=task.id)))
        await work.save()
        if isinstance(result, Failed) and result.action is not None:
            _log.warning("service_task_failed", task=task.id, reason=result.reason, action=result.action)
            return result.action
        if isinstance(result, Retry | Failed):
            _log.warning("service_task_failed", task=task.id, reason=result.reason)
            raise outcome.failure(result)
        if result is not None and not isinstance(result, Done):
            raise Problem(500, "The app's own code failed.", code="app_code_failed")
        return None
    if task.task_type == "pdf":
        config = task.pdf
        await receipts.make(
            work,
            task.id,
            (config.task_ids if config else ()) or [task.id],
            filename_key=config.filename_text_key if config else None,
        )
        return None
    raise Problem(
        500, f"The app has no code for service tasks of type {task.task_type}.", code="unsupported_service_task"
    )
