"""The door that facts come in through: parties, users and roles as an import brings them, and their rows.

All of an import is written in one transaction of the caller's, who holds the register's write lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from havn.contracts.register import Organization, PartyType, Person, RoleSource
from havn.kit.db import Connection
from havn.platform.register.parties import fold


class NewParty(msgspec.Struct, frozen=True, kw_only=True):
    """A party as an import brings it. Without `id` the register gives one; with `user_id` 0 also a user id.

    `main_unit` is the uuid of the main unit; it comes before its sub-units in an import.
    """

    uuid: str
    type: PartyType
    external_urn: str
    number: str | None
    name: str
    id: int | None = None
    unit_type: str | None = None
    main_unit: str | None = None
    replaced_by: str | None = None
    person: Person | None = None
    organization: Organization | None = None
    date_of_birth: date | None = None
    email: str | None = None
    deleted_at: datetime | None = None
    user_id: int | None = None
    username: str | None = None
    external_identity: str | None = None


class NewRole(msgspec.Struct, frozen=True, kw_only=True):
    """A role as an import brings it: `to_party` holds it for `from_party` (both uuids)."""

    from_party: str
    to_party: str
    code: str
    source: RoleSource


# The order of the columns is that of `_values`.
_SAVE_PARTY = """
    insert into party as p (id, uuid, type, external_urn, number, name, folded, unit_type, main_unit, replaced_by,
        detail, date_of_birth, email, created, modified, deleted_at)
    values (coalesce($1::int, (select id from party where uuid = $2::uuid),
            case when $3::smallint = 2 then nextval('organization_id') else nextval('person_id') end::int),
        $2::uuid, $3::smallint, $4, $5, $6, $7, $8, (select id from party where uuid = $9::uuid),
        (select id from party where uuid = $10::uuid), $11, $12, $13, $14, $14, $15)
    on conflict (uuid) do update set
        name = excluded.name, folded = excluded.folded, unit_type = excluded.unit_type,
        main_unit = excluded.main_unit, replaced_by = excluded.replaced_by, detail = excluded.detail,
        date_of_birth = excluded.date_of_birth, email = excluded.email, deleted_at = excluded.deleted_at,
        modified = excluded.modified, version = excluded.version
    where (p.name, p.unit_type, p.main_unit, p.replaced_by, p.detail, p.date_of_birth, p.email, p.deleted_at)
        is distinct from (excluded.name, excluded.unit_type, excluded.main_unit, excluded.replaced_by,
            excluded.detail, excluded.date_of_birth, excluded.email, excluded.deleted_at)
"""
_SAVE_USER = """
    insert into account(user_id, party_id, username, external_identity)
    select coalesce(nullif($2::int, 0), nextval('user_id')::int), id, $3, $4 from party where uuid = $1::uuid
    on conflict (party_id) do update
    set username = excluded.username, external_identity = excluded.external_identity
"""


async def save_parties(connection: Connection, parties: Sequence[NewParty], now: datetime) -> None:
    """Write parties, and users of theirs; what has not changed keeps its version."""
    await connection.executemany(_SAVE_PARTY, [_values(party, now) for party in parties])
    users = [party for party in parties if party.user_id is not None]
    await connection.executemany(
        _SAVE_USER, [(user.uuid, user.user_id, user.username, user.external_identity) for user in users]
    )


def _values(party: NewParty, now: datetime) -> tuple[Any, ...]:
    return (
        party.id,
        party.uuid,
        int(party.type),
        party.external_urn,
        party.number,
        party.name,
        fold(party.name),
        party.unit_type,
        party.main_unit,
        party.replaced_by,
        party.person or party.organization,
        party.date_of_birth,
        party.email,
        now,
        party.deleted_at,
    )


async def save_roles(
    connection: Connection, parties: Sequence[NewParty], roles: Sequence[NewRole], now: datetime
) -> None:
    """Write the roles between `parties`; those that the import no longer holds are withdrawn."""
    rows = await connection.fetch(
        "select uuid::text uuid, id from party where uuid = any($1::uuid[])", [party.uuid for party in parties]
    )
    ids: dict[str, int] = {row["uuid"]: row["id"] for row in rows}
    wanted = [(ids[role.from_party], ids[role.to_party], role.code, role.source) for role in roles]
    columns: list[list[Any]] = [list(column) for column in zip(*wanted, strict=True)] or [[], [], [], []]
    await connection.execute(
        """update role_assignment r set removed_at = $6, version = nextval('version')
           where removed_at is null and from_party = any($1::int[]) and to_party = any($1::int[])
             and not exists (
                select 1 from unnest($2::int[], $3::int[], $4::text[], $5::text[]) w(f, t, c, s)
                where (w.f, w.t, w.c, w.s) = (r.from_party, r.to_party, r.code, r.source))""",
        list(ids.values()),
        *columns,
        now,
    )
    await connection.execute(
        """insert into role_assignment as r (from_party, to_party, code, source, since)
           select f, t, c, s, $5 from unnest($1::int[], $2::int[], $3::text[], $4::text[]) w(f, t, c, s)
           on conflict (from_party, to_party, code, source) do update
           set removed_at = null, since = excluded.since, version = excluded.version
           where r.removed_at is not null""",
        *columns,
        now,
    )
