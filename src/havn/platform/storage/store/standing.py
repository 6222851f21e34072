"""Where open instances stand: counted by task and by what they hold, and moved from one task to another."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from havn.contracts.standing import DataTypeStanding, TaskStanding
from havn.contracts.storage import ProcessState
from havn.platform.storage.store import Queries

_SAMPLE = 5
_OPEN = "i.org = $1 and i.app = $2 and i.process_ended is null and not i.is_hard_deleted"

_process = msgspec.json.Decoder(ProcessState)


class Standing(msgspec.Struct, frozen=True):
    """An open instance, held until the end of the transaction."""

    guid: str
    party: int
    process: ProcessState


async def tasks(queries: Queries, org: str, app: str) -> list[TaskStanding]:
    """Open instances by task."""
    rows = await queries.fetch(
        f"""select t.task_id, t.count, array(
                select i.party_id || '/' || i.guid from instance i where {_OPEN} and i.task_id = t.task_id
                order by i.guid limit {_SAMPLE})
            from (select i.task_id, count(*) from instance i where {_OPEN} and i.task_id is not null
                  group by i.task_id) t order by t.task_id""",  # noqa: S608
        org,
        app,
    )
    return [TaskStanding(task_id=row[0], count=row[1], sample=list(row[2])) for row in rows]


async def data_types(queries: Queries, org: str, app: str) -> list[DataTypeStanding]:
    """Open instances by the types of the elements they hold."""
    rows = await queries.fetch(
        f"""select d.data_type, d.count, array(
                select i.party_id || '/' || i.guid from instance i where {_OPEN} and exists (
                    select 1 from data_element e where e.instance_guid = i.guid and e.data_type = d.data_type
                    and not e.is_hard_deleted) order by i.guid limit {_SAMPLE})
            from (select e.data_type, count(distinct i.guid) from instance i
                  join data_element e on e.instance_guid = i.guid and not e.is_hard_deleted where {_OPEN}
                  group by e.data_type) d order by d.data_type""",  # noqa: S608
        org,
        app,
    )
    return [DataTypeStanding(data_type=row[0], count=row[1], sample=list(row[2])) for row in rows]


async def hold(queries: Queries, org: str, app: str, task: str, limit: int) -> Sequence[Standing]:
    """Some open instances that stand in the task, oldest first, kept from others until this transaction ends."""
    rows = await queries.fetch(
        f"select i.guid, i.party_id, i.process from instance i where {_OPEN} and i.task_id = $3"  # noqa: S608
        " order by i.guid limit $4 for update",
        org,
        app,
        task,
        limit,
    )
    return [Standing(str(row[0]), row[1], _process.decode(row[2])) for row in rows]
