"""Process state: replaced alone, or together with the events of the move, both or neither."""

from __future__ import annotations

from collections.abc import Sequence

from havn.contracts.storage import (
    AuthInfo,
    InstanceEvent,
    ProcessHistoryList,
    ProcessState,
    ProcessStateUpdate,
    Reference,
)
from havn.guard.principal import Principal
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.storage import happenings
from havn.platform.storage.access import Access, not_found
from havn.platform.storage.bodies import aware_process
from havn.platform.storage.changes import Call, Changes
from havn.platform.storage.store import Connection, elements, events, instances
from havn.platform.storage.store.rows import Stamp, Stored


class Processes:
    """Moves and tells processes."""

    def __init__(self, changes: Changes, access: Access, clock: Clock) -> None:
        self._changes = changes
        self._access = access
        self._clock = clock

    async def put(self, call: Call, guid: str, state: ProcessState) -> Stored:
        """Replace the state; entering a signing task is told as an event."""
        return await self._move(call, guid, state, None, delete_generated=False)

    async def move(self, call: Call, guid: str, update: ProcessStateUpdate, *, delete_generated: bool) -> Stored:
        """Replace the state and write `update.events`; 400 unless each says who acted, on this instance.

        `delete_generated`: elements made from the task being entered are removed along with it.
        """
        if update.state is None:
            raise Problem(400, "The body must hold a state.", code="state_missing")
        for event in update.events:
            happenings.require_actor(event)
        return await self._move(call, guid, update.state, update.events, delete_generated=delete_generated)

    async def _move(
        self,
        call: Call,
        guid: str,
        state: ProcessState,
        told: Sequence[InstanceEvent] | None,
        *,
        delete_generated: bool,
    ) -> Stored:
        new = aware_process(state)
        assert new is not None

        async def allow(stored: Stored) -> None:
            await self._access.move(call.principal, stored, new)

        async def act(connection: Connection, stored: Stored) -> Stored:
            now = self._clock()
            stamp = Stamp(now, call.principal.performed_by())
            instance_id = stored.instance.id
            assert instance_id is not None
            entered = new.current_task
            enters = entered is not None and entered.element_id != stored.task
            if told is not None:
                happened = [happenings.reported(each, instance_id, now) for each in told]
            elif enters and entered is not None and entered.altinn_task_type == "signing":
                happened = [happenings.made("SentToSign", instance_id, call.principal, now)]
            else:
                happened = []
            if delete_generated and enters and entered is not None:
                made = [each.id for each in stored.instance.data if _made_from(each.references, entered.element_id)]
                if made:
                    status = stored.status.read_status
                    await elements.remove(connection, guid, [each for each in made if each], stamp, status)
            await instances.set_process(connection, guid, new, stamp)
            if happened:
                await events.insert(connection, guid, happened)
            return await self._changes.reread(connection, guid)

        return await self._changes.run(guid, call, allow, act)

    async def history(self, principal: Principal, guid: str) -> ProcessHistoryList:
        """The steps taken so far."""
        stored = await self._changes.find(guid)
        await self._access.act(principal, stored, "read")
        return ProcessHistoryList(process_history=happenings.history(await events.listed(self._changes.database, guid)))

    async def auth_info(self, party: int, guid: str) -> AuthInfo:
        """What a decision needs, for the party's instance only."""
        stored = await self._changes.find(guid)
        if stored.party != party:
            raise not_found()
        return AuthInfo(process=stored.instance.process, app_id=stored.app_id)


def _made_from(references: Sequence[Reference] | None, task: str | None) -> bool:
    return any(each.value_type == "Task" and each.value == task for each in references or ())
