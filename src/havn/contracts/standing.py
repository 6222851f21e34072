"""Wire types of the Storage API about all open instances of an app: where they stand, and moving them."""

from __future__ import annotations

import msgspec


class TaskStanding(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many open instances stand in a task, and the ids of some of them, oldest first."""

    task_id: str
    count: int
    sample: list[str]


class DataTypeStanding(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many open instances have an element of a type, and the ids of some of them, oldest first."""

    data_type: str
    count: int
    sample: list[str]


class Standing(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the open instances of an app stand, and what they hold. Open: not ended, and not deleted for good."""

    tasks: list[TaskStanding]
    data_types: list[DataTypeStanding]


class TaskMove(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Open instances that stand in the task `source` are to stand in another."""

    source: str
    target: str
    name: str | None = None
    """Name of the target."""
    task_type: str
    """Altinn task type of the target."""
    reason: str
    """What the instances' events say of it."""


class TaskMoved(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many instances one call has moved, and whether there may be more."""

    moved: int
    more: bool
