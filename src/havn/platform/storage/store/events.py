"""Events of instances."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from havn.contracts.storage import InstanceEvent
from havn.platform.storage.store import Queries

_event = msgspec.json.Decoder(InstanceEvent)


async def insert(queries: Queries, instance: str, events: Sequence[InstanceEvent]) -> None:
    """Write events; each has its id, time and type."""
    await queries.execute(
        """insert into instance_event (instance_guid, guid, created, event_type, document)
           select $1, * from unnest($2::uuid[], $3::timestamptz[], $4::text[], $5::jsonb[])""",
        instance,
        [event.id for event in events],
        [event.created for event in events],
        [event.event_type for event in events],
        list(events),
    )


async def listed(
    queries: Queries,
    instance: str,
    *,
    types: Sequence[str] = (),
    start: datetime | None = None,
    end: datetime | None = None,
) -> list[InstanceEvent]:
    """Oldest first; of `types` (any case), from `start` to `end`, both included, when given."""
    clauses, arguments = ["instance_guid = $1"], [instance]
    for clause, value in (
        ("lower(event_type) = any({})", [each.lower() for each in types]),
        ("created >= {}", start),
        ("created <= {}", end),
    ):
        if value:
            arguments.append(value)  # type: ignore[arg-type]
            clauses.append(clause.format(f"${len(arguments)}"))
    rows = await queries.fetch(
        f"select document from instance_event where {' and '.join(clauses)} order by created, id",  # noqa: S608
        *arguments,
    )
    return [_event.decode(row[0]) for row in rows]


async def find(queries: Queries, instance: str, guid: str) -> InstanceEvent | None:
    """One event of this instance."""
    document = await queries.fetchval(
        "select document from instance_event where instance_guid = $1 and guid = $2", instance, guid
    )
    return None if document is None else _event.decode(document)
