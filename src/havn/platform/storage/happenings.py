"""Events of instances: made for what storage itself does, checked when others report them, and told as a history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from havn.contracts.storage import (
    EVENT_TYPES,
    InstanceEvent,
    PlatformUser,
    ProcessHistoryItem,
    ProcessState,
)
from havn.guard.principal import Principal
from havn.kit.problem import Problem
from havn.platform.storage.bodies import aware, aware_process
from havn.platform.storage.ids import new_guid

_BY_NAME = {name.lower(): name for name in EVENT_TYPES}


def platform_user(principal: Principal) -> PlatformUser:
    """The caller, as events name them."""
    return PlatformUser(
        user_id=principal.user_id,
        org_id=principal.org,
        authentication_level=principal.auth_level,
        system_user_id=principal.system_user_id,
        system_user_owner_org_no=principal.org_number if principal.system_user_id else None,
    )


def made(
    event_type: str,
    instance_id: str,
    principal: Principal,
    now: datetime,
    *,
    data_id: str | None = None,
    process: ProcessState | None = None,
    additional_info: str | None = None,
) -> InstanceEvent:
    """An event for something storage has done."""
    return InstanceEvent(
        id=new_guid(now),
        instance_id=instance_id,
        data_id=data_id,
        created=now,
        event_type=event_type,
        instance_owner_party_id=instance_id.partition("/")[0],
        user=platform_user(principal),
        process_info=process,
        additional_info=additional_info,
    )


def reported(event: InstanceEvent, instance_id: str, now: datetime) -> InstanceEvent:
    """An event that somebody else reports about this instance, ready to be written; 400 when it is about another."""
    if not event.instance_id:
        raise Problem(400, "The event names no instance.", code="event_without_instance")
    if event.instance_id.rpartition("/")[2].lower() != instance_id.rpartition("/")[2]:
        raise Problem(400, "The event is about another instance.", code="event_of_other_instance")
    event_type = _BY_NAME.get((event.event_type or "None").lower())
    if event_type is None:
        raise Problem(400, "The event's type is unknown.", code="unknown_event_type")
    return msgspec.structs.replace(
        event,
        id=new_guid(now),
        instance_id=instance_id,
        event_type=event_type,
        created=aware(event.created) or now,
        instance_owner_party_id=instance_id.partition("/")[0],
        process_info=aware_process(event.process_info),
    )


def require_actor(event: InstanceEvent) -> None:
    """400 unless the event of a process move says who moved it."""
    user = event.user
    if user is not None and (
        user.user_id is not None
        or user.org_id
        or user.end_user_system_id is not None
        or (user.system_user_id and user.system_user_owner_org_no)
    ):
        return
    raise Problem(400, "Every event must say which user, org or system acted.", code="event_without_user")


def history(events: Sequence[InstanceEvent]) -> list[ProcessHistoryItem]:
    """The process told by its events, oldest first; start and end of one task are one item."""
    items: list[ProcessHistoryItem] = []
    open_tasks: dict[str, int] = {}
    for event in events:
        kind = event.event_type or ""
        if not kind.startswith("process_"):
            continue
        info = event.process_info
        task = info.current_task if info else None
        element = task.element_id if task else None
        if kind in ("process_EndTask", "process_AbandonTask") and element in open_tasks:
            at = open_tasks.pop(element)
            items[at] = msgspec.structs.replace(
                items[at], event_type=kind, occured=event.created, ended=event.created, performed_by=_actor(event.user)
            )
            continue
        item = ProcessHistoryItem(event_type=kind, element_id=element, occured=event.created)
        if kind == "process_StartTask":
            if element is not None:
                open_tasks[element] = len(items)
            item = msgspec.structs.replace(item, started=(task.started if task else None) or event.created)
        elif kind == "process_StartEvent":
            item = msgspec.structs.replace(
                item, element_id=info.start_event if info else None, started=event.created,
                performed_by=_actor(event.user),
            )  # fmt: skip
        elif kind == "process_EndEvent":
            item = msgspec.structs.replace(
                item, element_id=info.end_event if info else None, ended=event.created,
                performed_by=_actor(event.user),
            )  # fmt: skip
        else:
            item = msgspec.structs.replace(item, ended=event.created, performed_by=_actor(event.user))
        items.append(item)
    return items


def _actor(user: PlatformUser | None) -> str | None:
    if user is None:
        return None
    return user.national_identity_number or user.org_id or user.system_user_owner_org_no
