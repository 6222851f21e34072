"""The lock of an instance: one row, taken, extended and released by single statements on the database's clock."""

from __future__ import annotations

import enum

from havn.platform.storage.store import Queries


async def take(queries: Queries, instance: str, lock_id: str, secret_hash: bytes, by: str, ttl_seconds: int) -> bool:
    """Take the lock unless somebody holds it."""
    return (
        await queries.fetchval(
            """insert into instance_lock as l (instance_guid, id, locked_until, locked_by, secret_hash)
               values ($1, $2, clock_timestamp() + make_interval(secs => $5), $3, $4)
               on conflict (instance_guid) do update set id = excluded.id, locked_until = excluded.locked_until,
                   locked_by = excluded.locked_by, secret_hash = excluded.secret_hash
               where l.locked_until <= clock_timestamp()
               returning 1""",
            instance,
            lock_id,
            by,
            secret_hash,
            float(ttl_seconds),
        )
        is not None
    )


class Extension(enum.Enum):
    """What came of an attempt to extend a lock."""

    DONE = enum.auto()
    UNKNOWN = enum.auto()
    WRONG_SECRET = enum.auto()
    EXPIRED = enum.auto()


async def extend(queries: Queries, instance: str, lock_id: str, secret_hash: bytes, ttl_seconds: int) -> Extension:
    """Hold for `ttl_seconds` from now; 0 ends it now."""
    row = await queries.fetchrow(
        """with before as (
               select secret_hash = $3 as known, locked_until > clock_timestamp() as held
               from instance_lock where instance_guid = $1 and id = $2 for update
           ), extended as (
               update instance_lock set locked_until = clock_timestamp() + make_interval(secs => $4)
               where instance_guid = $1 and id = $2 and exists (select from before where known and held)
           )
           select known, held from before""",
        instance,
        lock_id,
        secret_hash,
        float(ttl_seconds),
    )
    if row is None:
        return Extension.UNKNOWN
    if not row[0]:
        return Extension.WRONG_SECRET
    return Extension.DONE if row[1] else Extension.EXPIRED
