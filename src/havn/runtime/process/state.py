"""Where an instance stands, with what the actor may do there, as the frontend reads it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from havn.contracts.storage import Instance
from havn.runtime import access, service_code
from havn.runtime.hooks import AuthorizeContext
from havn.runtime.hooks.calling import call
from havn.runtime.work import current_task

if TYPE_CHECKING:
    from havn.engines.process import Task
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext


class UserAction(msgspec.Struct, frozen=True, rename="camel"):
    """An action of the current task and whether the actor may take it."""

    id: str
    authorized: bool
    type: str
    """`ProcessAction` or `ServerAction`."""


class CurrentTask(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The task an instance stands in."""

    flow: int | None
    started: datetime | None
    element_id: str
    element_type: str
    name: str | None
    altinn_task_type: str
    ended: datetime | None = None
    validated: None = None
    flow_type: str | None = None
    actions: dict[str, bool]
    user_actions: list[UserAction]
    read: bool
    write: bool


class TaskElement(msgspec.Struct, frozen=True, rename="camel"):
    """A task of the process definition."""

    element_id: str
    element_type: str
    altinn_task_type: str


class AppProcessState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The process of an instance with what the actor may do."""

    started: datetime | None
    start_event: str | None
    current_task: CurrentTask | None
    ended: datetime | None
    end_event: str | None
    process_tasks: list[TaskElement]


async def state(context: AppContext, actor: Actor, instance: Instance) -> AppProcessState:
    """Where the instance stands and which actions the actor may take. Problem 403 without read access."""
    process = instance.process
    info = process.current_task if process else None
    task = context.folder.process.task(info.element_id or "") if info else None
    custom = {action.id: action.type for action in task.actions} if task is not None else {}
    if task is not None and task.task_type == "confirmation":
        custom.setdefault("confirm", "processAction")
    names = list(dict.fromkeys(["read", "write", *custom]))
    allowed = await access.permitted(context, actor, instance, names)
    if not allowed["read"]:
        # Asked again for the answer that says why, such as a sign-in that is too weak.
        await access.require(context, actor, instance, "read")
    for name in custom:
        allowed[name] = allowed[name] and await agreed(context, actor, instance, name)
    current = None
    if info is not None:
        current = CurrentTask(
            flow=info.flow,
            started=info.started,
            element_id=info.element_id or "",
            element_type=_element_type(task),
            name=info.name,
            altinn_task_type=info.altinn_task_type or "",
            ended=info.ended,
            flow_type=info.flow_type,
            actions={name: yes for name, yes in allowed.items() if custom.get(name) != "serverAction"},
            user_actions=[
                UserAction(name, yes, "ServerAction" if custom.get(name) == "serverAction" else "ProcessAction")
                for name, yes in allowed.items()
            ],
            read=allowed["read"],
            write=allowed["write"],
        )
    return AppProcessState(
        started=process.started if process else None,
        start_event=process.start_event if process else None,
        current_task=current,
        ended=process.ended if process else None,
        end_event=process.end_event if process else None,
        process_tasks=[
            TaskElement(each.id, _element_type(each), each.task_type) for each in context.folder.process.tasks
        ],
    )


async def agreed(context: AppContext, actor: Actor, instance: Instance, action: str) -> bool:
    """Whether the app's own code agrees to an action that the policy permits; it can only say no."""
    for hook in context.hooks.of("authorize_action", action):
        given = AuthorizeContext(
            **service_code.common(context, actor), instance=instance, task=current_task(instance), action=action
        )
        if await call(hook, given) is not True:
            return False
    return True


def _element_type(task: Task | None) -> str:
    return "ServiceTask" if task is not None and task.service else "Task"
