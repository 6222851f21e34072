"""What a new version of an app must reckon with: where its open instances stand, and moving them out of a task."""

from __future__ import annotations

import msgspec

from havn.contracts import standing as contract
from havn.contracts.standing import TaskMove, TaskMoved
from havn.contracts.storage import InstanceEvent, PlatformUser, ProcessElementInfo, ProcessState
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.storage.ids import new_guid
from havn.platform.storage.store import Database, events, instances, standing
from havn.platform.storage.store.rows import Stamp

_AT_ONCE = 200
_LONGEST = 200


class OpenInstances:
    """The open instances of apps, as the control plane sees them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def standing(self, org: str, app: str) -> contract.Standing:
        """Counted by task and by the types of their elements."""
        return contract.Standing(
            tasks=await standing.tasks(self._database, org, app),
            data_types=await standing.data_types(self._database, org, app),
        )

    async def move(self, org: str, app: str, move: TaskMove) -> TaskMoved:
        """Move some instances, each with its events, all in one transaction.

        One that another call has moved meanwhile stands in the task no more and is left alone, so that this can be
        repeated until there are no more. Raises 400.
        """
        texts = (move.source, move.target, move.task_type, move.reason)
        if not all(texts) or max(map(len, texts)) > _LONGEST or move.source == move.target:
            raise Problem(400, "A move names two different tasks, a type and a reason.", code="invalid_move")
        now = self._clock()
        stamp = Stamp(now, org)
        async with self._database.transaction() as connection:
            held = await standing.hold(connection, org, app, move.source, _AT_ONCE)
            for each in held:
                left = each.process.current_task or ProcessElementInfo()
                entered = ProcessElementInfo(
                    flow=(left.flow or 0) + 1,
                    started=now,
                    element_id=move.target,
                    name=move.name,
                    altinn_task_type=move.task_type,
                )
                moved = msgspec.structs.replace(each.process, current_task=entered)
                await instances.set_process(connection, each.guid, moved, stamp)
                told = [
                    InstanceEvent(
                        id=new_guid(now),
                        instance_id=f"{each.party}/{each.guid}",
                        created=now,
                        event_type=kind,
                        instance_owner_party_id=str(each.party),
                        user=PlatformUser(org_id=org),
                        process_info=_at(each.process, task),
                        additional_info=move.reason,
                    )
                    for kind, task in (
                        ("process_AbandonTask", msgspec.structs.replace(left, ended=now)),
                        ("process_StartTask", entered),
                    )
                ]
                await events.insert(connection, each.guid, told)
        return TaskMoved(moved=len(held), more=len(held) == _AT_ONCE)


def _at(process: ProcessState, task: ProcessElementInfo) -> ProcessState:
    return msgspec.structs.replace(process, current_task=task)
