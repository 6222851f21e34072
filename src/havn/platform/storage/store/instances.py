"""Instances: one by guid, made, changed, removed."""

# ruff: noqa: S608 - the statements differ by column lists of ours; every value is an argument
from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from havn.contracts.storage import (
    CompleteConfirmation,
    Instance,
    InstanceEvent,
    InstanceOwner,
    InstanceStatus,
    ProcessState,
    ReadStatus,
    ResourceLinks,
    Substatus,
)
from havn.platform.storage.store import Queries
from havn.platform.storage.store.rows import ELEMENTS, INSTANCE, Stamp, Stored, to_stored

FIND = f"""
select {INSTANCE}, {ELEMENTS}, a.version,
    (select l.secret_hash from instance_lock l where l.instance_guid = i.guid and l.locked_until > clock_timestamp())
from instance i left join application a on a.org = i.org and a.app = i.app
where i.guid = $1"""

INSERT = """
with made as (
    insert into instance (guid, org, app, party_id, owner, due_before, visible_after, process, task_id, process_ended,
        is_archived, archived, is_soft_deleted, soft_deleted, is_hard_deleted, hard_deleted, read_status, substatus,
        data_values, created, created_by, last_changed, last_changed_by)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $20, $21)
), written as (
    insert into instance_event (instance_guid, guid, created, event_type, document) values ($1, $22, $20, $23, $24)
)
insert into idempotency (caller, key, request, instance_guid, created)
select $21, $25, $26, $1, $20 where $25::text is not null"""


async def find(queries: Queries, guid: str, links: str) -> Stored | None:
    """The instance with its elements, in one statement."""
    row = await queries.fetchrow(FIND, guid)
    return None if row is None else to_stored(row, links)


class Hold(msgspec.Struct, frozen=True):
    """What is true of an instance for as long as the transaction that asked lasts."""

    version: int
    lock_hash: bytes | None


async def hold(queries: Queries, guid: str) -> Hold | None:
    """Keep others from changing the instance until the end of this transaction."""
    row = await queries.fetchrow(
        "select i.version, (select l.secret_hash from instance_lock l"
        " where l.instance_guid = i.guid and l.locked_until > clock_timestamp())"
        " from instance i where i.guid = $1 for update",
        guid,
    )
    return None if row is None else Hold(row[0], row[1])


class NewInstance(msgspec.Struct, frozen=True):
    """An instance about to be written. `key` is the caller's idempotency key, `request` what it was used for."""

    guid: str
    org: str
    app: str
    party: int
    owner: InstanceOwner
    status: InstanceStatus
    process: ProcessState | None
    due_before: datetime | None
    visible_after: datetime | None
    data_values: dict[str, str] | None
    stamp: Stamp
    event: InstanceEvent
    key: str | None = None
    request: str | None = None


async def insert(queries: Queries, new: NewInstance) -> None:
    """Write instance, event and key in one statement; `UniqueViolation` when the caller has used the key before."""
    await queries.execute(INSERT, *insert_arguments(new))


def insert_arguments(new: NewInstance) -> tuple[object, ...]:
    """The arguments of `INSERT`."""
    status, process = new.status, new.process
    return (
        new.guid,
        new.org,
        new.app,
        new.party,
        new.owner,
        new.due_before,
        new.visible_after,
        process,
        process.current_task.element_id if process and process.current_task else None,
        process.ended if process else None,
        status.is_archived,
        status.archived,
        status.is_soft_deleted,
        status.soft_deleted,
        status.is_hard_deleted,
        status.hard_deleted,
        status.read_status,
        status.substatus,
        new.data_values,
        new.stamp.at,
        new.stamp.by,
        new.event.id,
        new.event.event_type,
        new.event,
        new.key,
        new.request,
    )


def to_new(new: NewInstance, links: str, application_version: int) -> Stored:
    """What `find` would give for `new` once it is written."""
    instance_id = f"{new.party}/{new.guid}"
    instance = Instance(
        id=instance_id,
        instance_owner=new.owner,
        app_id=f"{new.org}/{new.app}",
        org=new.org,
        self_links=ResourceLinks(platform=f"{links}/instances/{instance_id}"),
        due_before=new.due_before,
        visible_after=new.visible_after,
        process=new.process,
        status=new.status,
        data_values=new.data_values,
        created=new.stamp.at,
        created_by=new.stamp.by,
        last_changed=new.stamp.at,
        last_changed_by=new.stamp.by,
        version=1,
    )
    return Stored(instance, new.guid, new.org, new.app, new.party, 1, application_version, None)


async def set_process(queries: Queries, guid: str, process: ProcessState, stamp: Stamp) -> None:
    """Replace the process state; the first time it has ended the instance becomes archived."""
    await queries.execute(
        """update instance set version = version + 1, process = $2, task_id = $3, process_ended = $4,
           is_archived = is_archived or $4::timestamptz is not null,
           archived = case when is_archived then archived else $4 end,
           last_changed = $5, last_changed_by = $6 where guid = $1""",
        guid,
        process,
        process.current_task.element_id if process.current_task else None,
        process.ended,
        stamp.at,
        stamp.by,
    )


async def mark_deleted(queries: Queries, guid: str, stamp: Stamp, *, hard: bool) -> None:
    """Soft: flag and time. Hard: both flags; an earlier time of soft deletion is kept."""
    await queries.execute(
        """update instance set version = version + 1, is_soft_deleted = true,
           soft_deleted = case when $4 then coalesce(soft_deleted, $2) else $2 end,
           is_hard_deleted = is_hard_deleted or $4,
           hard_deleted = case when $4 then coalesce(hard_deleted, $2) else hard_deleted end,
           last_changed = $2, last_changed_by = $3 where guid = $1""",
        guid,
        stamp.at,
        stamp.by,
        hard,
    )


async def mark_undeleted(queries: Queries, guid: str, stamp: Stamp) -> None:
    """Take back a soft deletion."""
    await queries.execute(
        """update instance set version = version + 1, is_soft_deleted = false, soft_deleted = null,
           last_changed = $2, last_changed_by = $3 where guid = $1""",
        guid,
        stamp.at,
        stamp.by,
    )


async def confirm(queries: Queries, guid: str, confirmation: CompleteConfirmation, stamp: Stamp) -> None:
    """Add a stakeholder's confirmation; `confirmed` says that the owning org has."""
    await queries.execute(
        """update instance set version = version + 1, confirmations = coalesce(confirmations, '[]') || $2::jsonb,
           confirmed = confirmed or org = $3, last_changed = $4, last_changed_by = $5 where guid = $1""",
        guid,
        [confirmation],
        confirmation.stakeholder_id,
        stamp.at,
        stamp.by,
    )


async def set_read_status(queries: Queries, guid: str, status: ReadStatus) -> None:
    """Without moving the time of last change."""
    await queries.execute("update instance set version = version + 1, read_status = $2 where guid = $1", guid, status)


async def set_substatus(queries: Queries, guid: str, substatus: Substatus, stamp: Stamp) -> None:
    """Replace the whole substatus."""
    await queries.execute(
        """update instance set version = version + 1, substatus = $2, last_changed = $3, last_changed_by = $4
           where guid = $1""",
        guid,
        substatus,
        stamp.at,
        stamp.by,
    )


async def merge_texts(queries: Queries, guid: str, texts: Mapping[str, str | None]) -> None:
    """Merge presentation texts by key; None or empty removes. The time of last change stays."""
    await _merge(queries, guid, "presentation_texts", texts)


async def merge_values(queries: Queries, guid: str, values: Mapping[str, str | None]) -> None:
    """Merge data values by key; None or empty removes. The time of last change stays."""
    await _merge(queries, guid, "data_values", values)


async def _merge(queries: Queries, guid: str, column: str, changes: Mapping[str, str | None]) -> None:
    await queries.execute(
        f"""update instance set version = version + 1,
            {column} = nullif((coalesce({column}, '{{}}') || $2::jsonb) - $3::text[], '{{}}') where guid = $1""",
        guid,
        {name: value for name, value in changes.items() if value},
        [name for name, value in changes.items() if not value],
    )


async def replayed(queries: Queries, caller: str, key: str) -> tuple[str, str, str | None] | None:
    """What an idempotency key was used for: the request, and the guids of instance and element it made."""
    row = await queries.fetchrow(
        "select request, instance_guid, element_guid from idempotency where caller = $1 and key = $2", caller, key
    )
    return None if row is None else (row[0], str(row[1]), None if row[2] is None else str(row[2]))


async def forget_keys(queries: Queries, before: datetime) -> None:
    """Drop idempotency keys first used before a time."""
    await queries.execute("delete from idempotency where created < $1", before)
