"""Keys: their salted digests, what they open, and when they were last used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from havn.contracts.management import Api, Application, Key, Plan, Subscription
from havn.platform.management.store import Queries

_api = msgspec.json.Decoder(Api)
_plan = msgspec.json.Decoder(Plan)

_STATE = "case when k.revoked is not null then 'revoked' when k.expires <= $1 then 'expired' else 'active' end state"
_COLUMNS = f"k.prefix, k.subscription::text, k.created, k.expires, k.last_used, {_STATE}"


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept, and everything that it opens, in one look-up."""

    key: Key
    salt: bytes
    digest: bytes
    subscription: Subscription
    plan: Plan
    api: Api
    application: Application

    def __repr__(self) -> str:
        """Without the digest."""
        return f"<StoredKey {self.key.prefix}>"


async def find_key(queries: Queries, prefix: str, now: datetime) -> StoredKey | None:
    """The key with this prefix, whatever its state at `now` and that of its subscription."""
    row = await queries.fetchrow(
        f"""select {_COLUMNS}, k.salt, k.digest, s.id::text s_id, s.application::text s_application, s.plan,
                   s.reason, s.purpose, s.created s_created, s.expires s_expires,
                   case when s.state in ('active', 'suspended') and s.expires <= $1 then 'expired'
                        else s.state end s_state,
                   a.name, a.owner, a.owner_name, a.contact, a.created a_created,
                   p.document p_document, i.document i_document
            from api_key k join subscription s on s.id = k.subscription join application a on a.id = s.application
                join plan p on p.id = s.plan join api i on i.id = p.api
            where k.prefix = $2""",  # noqa: S608 - constant columns
        now,
        prefix,
    )
    if row is None:
        return None
    plan, api = _plan.decode(row["p_document"]), _api.decode(row["i_document"])
    return StoredKey(
        key=key(row),
        salt=row["salt"],
        digest=row["digest"],
        subscription=Subscription(
            id=row["s_id"],
            application=row["s_application"],
            plan=row["plan"],
            api=api.id,
            state=row["s_state"],
            created=row["s_created"],
            expires=row["s_expires"],
            reason=row["reason"],
            purpose=row["purpose"],
            application_name=row["name"],
            owner=row["owner"],
            owner_name=row["owner_name"],
        ),
        plan=plan,
        api=api,
        application=Application(
            id=row["s_application"],
            name=row["name"],
            owner=row["owner"],
            owner_name=row["owner_name"],
            contact=row["contact"],
            created=row["a_created"],
        ),
    )


async def touch_last_used(queries: Queries, used: Mapping[str, datetime]) -> None:
    """Write when each key (by prefix) was last used; an earlier moment than the one written changes nothing."""
    await queries.execute(
        """update api_key k set last_used = u.at from unnest($1::text[], $2::timestamptz[]) u(prefix, at)
           where k.prefix = u.prefix and (k.last_used is null or k.last_used < u.at)""",
        list(used),
        list(used.values()),
    )


async def add(queries: Queries, new: Key, salt: bytes, digest: bytes) -> None:
    """Write a new key."""
    await queries.execute(
        "insert into api_key(prefix, subscription, salt, digest, created, expires) values ($1, $2, $3, $4, $5, $6)",
        new.prefix, new.subscription, salt, digest, new.created, new.expires,
    )  # fmt: skip


async def of_subscription(queries: Queries, subscription: str, now: datetime) -> list[Key]:
    """A subscription's keys, oldest first, as they are at `now`."""
    rows = await queries.fetch(
        f"select {_COLUMNS} from api_key k where k.subscription = $2 order by k.created, k.prefix",  # noqa: S608
        now,
        subscription,
    )
    return [key(row) for row in rows]


async def revoke(queries: Queries, prefix: str, now: datetime) -> None:
    """End a key."""
    await queries.execute("update api_key set revoked = $2 where prefix = $1 and revoked is null", prefix, now)


async def expire(queries: Queries, prefix: str, at: datetime) -> None:
    """Let a key end at `at`, unless it ends before."""
    await queries.execute("update api_key set expires = least(expires, $2) where prefix = $1", prefix, at)


def key(row: Any) -> Key:
    """The row's key."""
    return Key(**{name: row[name] for name in Key.__struct_fields__})
