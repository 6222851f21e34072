"""Moving an instance through its process: where it stands, what the actor may do there, and the next step.

`next_task` is safe to call again after any failure, a killed process included: the move itself is one write in storage
guarded by the instance's version, and everything before it can be repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from havn.contracts.storage import Instance
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext


class UserAction(msgspec.Struct, frozen=True, rename="camel"):
    """An action of the current task and whether the actor may take it."""

    id: str
    authorized: bool
    type: str
    """`ProcessAction` or `ServerAction`."""


class CurrentTask(msgspec.Struct, frozen=True, rename="camel"):
    """The task an instance stands in, as the frontend reads it."""

    flow: int | None
    started: str | None
    element_id: str
    element_type: str
    name: str | None
    altinn_task_type: str
    ended: str | None
    validated: None
    flow_type: str | None
    actions: dict[str, bool]
    user_actions: list[UserAction]
    read: bool
    write: bool


class TaskElement(msgspec.Struct, frozen=True, rename="camel"):
    """A task of the process definition."""

    element_id: str
    element_type: str
    altinn_task_type: str


class AppProcessState(msgspec.Struct, frozen=True, rename="camel"):
    """The process of an instance with what the actor may do."""

    started: str | None
    start_event: str | None
    current_task: CurrentTask | None
    ended: str | None
    end_event: str | None
    process_tasks: list[TaskElement]


async def state(context: AppContext, actor: Actor, instance: Instance) -> AppProcessState:
    """Where the instance stands and which actions the actor may take. Problem 403 without read access."""
    raise NotImplementedError


async def next_task(
    context: AppContext, actor: Actor, instance: Instance, action: str | None = None
) -> tuple[Instance, AppProcessState]:
    """Leave the current task (submit, confirm, reject) and enter the next; service tasks are run through.

    Problems: 409 `Validation failed for task` with `validationIssues`; 409 other conflicts (already ended, another
    move under way, no flow to follow); 403 the action is not permitted; 500 when the app's own code or the PDF fails.
    """
    raise NotImplementedError
