"""The next step of an instance's process.

The state changes by one write in storage, its events with it, guarded by the instance's version. Everything before that
write can be done again, so a process that is killed anywhere leaves an instance that either moved or did not, and on
which the same call can be made once more. Whoever asks twice is answered with the state that the first call led to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from havn.contracts.storage import (
    ABANDON,
    COMPLETE,
    Instance,
    InstanceEvent,
    PlatformUser,
    ProcessElementInfo,
    ProcessState,
    ProcessStateUpdate,
)
from havn.engines.process import EndEvent, Task
from havn.guard.principal import Kind, Principal
from havn.kit.problem import Problem
from havn.runtime import access, hook_data, locks, validation
from havn.runtime.hooks import ActionFailed, TaskContext
from havn.runtime.process import actions, end, routing, service_tasks, start
from havn.runtime.process.state import AppProcessState, agreed, state
from havn.runtime.work import Work, current_task

if TYPE_CHECKING:
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext

REJECT = "reject"
MAX_ROUNDS = 100
UNSUPPORTED = frozenset({"signing", "payment"})
_log = structlog.get_logger("runtime")


async def next_task(
    context: AppContext,
    actor: Actor,
    instance: Instance,
    action: str | None = None,
    *,
    on_behalf_of: str | None = None,
) -> tuple[Instance, AppProcessState]:
    """Leave the current task (submit, confirm, reject) and enter the next; service tasks are run through.

    Problems: 409 `Validation failed for task` with `validationIssues`; 409 other conflicts (already ended, another
    move under way, no flow to follow); 403 the action is not permitted; 500 when the app's own code or the PDF fails.
    """
    task = _task(context, instance)
    if action is not None:
        await access.require(context, actor, instance, action)
    else:
        await access.require(context, actor, instance, *task.next_actions)
    if not await agreed(context, actor, instance, action or task.next_actions[0]):
        raise Problem(403, "The app does not permit this action.", code="action_refused")
    async with locks.moving(context, actor, instance) as holder:
        fresh = await context.clients.storage.instance(instance.id or "", actor.credentials)
        if _place(fresh) != _place(instance):
            # Somebody (or the same call, sent twice) moved it on while this one waited.
            return fresh, await state(context, actor, fresh)
        moved = await _through(context, holder, fresh, action, on_behalf_of)
    return moved, await state(context, actor, moved)


async def complete_process(context: AppContext, actor: Actor, instance: Instance) -> tuple[Instance, AppProcessState]:
    """Move on until the process has ended. Problems as for `next_task`; 409 after a hundred moves."""
    for _ in range(MAX_ROUNDS):
        if current_task(instance) is None:
            return instance, await state(context, actor, instance)
        instance, _state = await next_task(context, actor, instance)
    raise Problem(409, "The process does not come to an end.", code="endless_process")


async def _through(
    context: AppContext, actor: Actor, instance: Instance, action: str | None, on_behalf_of: str | None
) -> Instance:
    for _ in range(MAX_ROUNDS):
        instance = await _move(Work(context, actor, instance), action, on_behalf_of)
        task = context.folder.process.task(current_task(instance) or "")
        if task is None or not task.service:
            return instance
        action, on_behalf_of = None, None
    raise Problem(409, "The process runs in a circle of service tasks.", code="endless_process")


async def _move(work: Work, action: str | None, on_behalf_of: str | None) -> Instance:
    context = work.context
    task = _task(context, work.instance)
    if task.service and action != REJECT:
        action = await service_tasks.execute(work, task)
    elif action is not None:
        answer = await actions.handle(work, action, on_behalf_of=on_behalf_of)
        if answer is not None and isinstance(answer.result, ActionFailed):
            raise actions.failure(answer.result)
    rejecting = action == REJECT and (task.service or task.action(REJECT) is not None)
    if not task.service and not rejecting:
        await _validate(work)
    following = await routing.following(work, task.id, action)
    if isinstance(following, Task) and following.task_type in UNSUPPORTED:
        raise Problem(500, f"Tasks of type {following.task_type} are not supported.", code="unsupported_task")
    flow = ((work.instance.process and work.instance.process.current_task) or ProcessElementInfo()).flow or 1
    if action == REJECT:
        await end.abandon(work, task.id)
    else:
        await end.complete(work, task.id)
    if isinstance(following, Task):
        await start.begin(work, following.id, flow + 1)
    else:
        await end.remove_temporary(work)
    update = _update(work, task, following, action, flow)
    moved = await _write(work, update)
    if isinstance(following, EndEvent):
        await _ended(work, moved)
    return moved


async def _validate(work: Work) -> None:
    issues = await validation.full(work)
    if validation.has_errors(issues):
        raise Problem(
            409,
            "The form has errors that must be mended first.",
            title="Validation failed for task",
            code="validation_failed",
            validationIssues=issues,
        )


async def _write(work: Work, update: ProcessStateUpdate) -> Instance:
    """The one write that moves the instance; 409 when it stands elsewhere than this call believed."""
    storage, instance_id = work.context.clients.storage, work.instance.id or ""
    newest = await storage.instance(instance_id, work.actor.credentials)
    if _place(newest) != _place(work.instance):
        raise Problem(409, "The instance was moved on by somebody else.", code="moved_elsewhere")
    try:
        return await storage.move_process(instance_id, update, work.actor.credentials, if_match=newest.version)
    except Problem as problem:
        if problem.status == 412:
            raise Problem(409, "The instance was changed just now. Try again.", code="moved_elsewhere") from None
        raise


async def _ended(work: Work, moved: Instance) -> None:
    """What follows the end; the instance is archived, so a failure here is logged and does not undo it."""
    context = work.context
    after = Work(context, work.actor, moved)
    for hook in context.hooks.of("process_end"):
        try:
            await hook_data.run(hook, TaskContext(**hook_data.of_instance(after, read_only=True)))
        except Problem as problem:
            _log.error("process_end_failed", hook=hook.name, reason=problem.detail)
    if context.folder.metadata.auto_delete_on_process_end:
        await context.clients.storage.delete_instance(moved.id or "", work.actor.credentials, hard=True)


def _update(work: Work, task: Task, following: Task | EndEvent, action: str | None, flow: int) -> ProcessStateUpdate:
    now, before = work.context.clock(), work.instance.process or ProcessState()
    flow_type = ABANDON if action == REJECT else COMPLETE
    left = before.current_task or ProcessElementInfo(element_id=task.id)
    done = msgspec.structs.replace(before, current_task=msgspec.structs.replace(left, ended=now, flow_type=flow_type))
    events = [_event(work, "process_AbandonTask" if action == REJECT else "process_EndTask", done)]
    if isinstance(following, Task):
        after = msgspec.structs.replace(
            before,
            current_task=ProcessElementInfo(
                flow=flow + 1,
                started=now,
                element_id=following.id,
                name=following.name,
                altinn_task_type=following.task_type,
                flow_type=flow_type,
            ),
        )
        events.append(_event(work, "process_StartTask", after))
    else:
        after = msgspec.structs.replace(before, current_task=None, ended=now, end_event=following.id)
        events += [_event(work, "process_EndEvent", after), _event(work, "Submited", after)]
    return ProcessStateUpdate(state=after, events=events)


def started(work: Work, task: Task) -> list[InstanceEvent]:
    """The events of a process that has begun with `task`."""
    process = work.instance.process or ProcessState()
    first = msgspec.structs.replace(process, current_task=None)
    return [_event(work, "process_StartEvent", first), _event(work, "process_StartTask", process)]


def _event(work: Work, kind: str, process: ProcessState) -> InstanceEvent:
    return InstanceEvent(
        instance_id=work.instance.id,
        instance_owner_party_id=str(work.instance.party_id),
        event_type=kind,
        created=work.context.clock(),
        user=platform_user(work.actor.principal),
        process_info=process,
    )


def platform_user(principal: Principal) -> PlatformUser:
    """Who did it, as events name them."""
    if principal.kind is Kind.SYSTEM_USER:
        return PlatformUser(
            system_user_id=principal.system_user_id,
            system_user_owner_org_no=principal.org_number,
            authentication_level=principal.auth_level,
        )
    return PlatformUser(
        user_id=principal.user_id,
        org_id=principal.org or (principal.org_number if principal.user_id is None else None),
        authentication_level=principal.auth_level,
    )


def _task(context: AppContext, instance: Instance) -> Task:
    process = instance.process
    if process is None or process.started is None:
        raise Problem(409, "The process has not started.", code="not_started")
    if process.ended is not None or process.current_task is None:
        raise Problem(409, "The process has ended.", code="process_ended")
    task = context.folder.process.task(process.current_task.element_id or "")
    if task is None:
        raise Problem(
            409, "The instance stands in a task that this version of the app does not have.", code="unknown_task"
        )
    return task


def _place(instance: Instance) -> tuple[str | None, int | None]:
    process = instance.process
    current = process.current_task if process else None
    return (current.element_id, current.flow) if current else (None, None)
