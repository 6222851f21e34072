"""The register's tables: parties and users by every key, and roles; `importing` is the door that facts come in through.

SQL is put together from constants of this module only; every value is a parameter.
"""

# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from havn.contracts.register import (
    NewSelfIdentifiedUser,
    Organization,
    PartyType,
    Person,
    Role,
    RoleChange,
)
from havn.kit.db import Database, Record
from havn.platform.register.parties import StoredParty, fold
from havn.platform.register.roles import KEY_ROLES, OWN_PERSON, OWN_USER, role_urn
from havn.platform.register.store.importing import NewParty, NewRole, save_parties, save_roles

__all__ = ["NewParty", "NewRole", "Store"]

_COLUMNS = """
    p.id, p.uuid, p.type, p.external_urn, p.number, p.name, p.unit_type, p.main_unit, p.detail, p.date_of_birth,
    p.email, p.created, p.modified, p.deleted_at, p.version, a.user_id, a.username, a.external_identity, r.uuid replacer
"""
_FROM = "from party p left join account a on a.party_id = p.id left join party r on r.id = p.replaced_by"
# Whoever writes takes this lock until commit, so that versions become visible in their order.
_WRITE_LOCK = "select pg_advisory_xact_lock(hashtextextended('havn.register.write', 0))"

# The subject, and organisations that it is a key person of (directly, or of their main unit).
_HOLDERS = """
    holders as (
        select $1::int holder, false key_role
        union
        select p.id, true from role_assignment k join party p on p.id = k.from_party or p.main_unit = k.from_party
        where k.to_party = $1 and k.removed_at is null and k.code = any($3::text[]) and k.source = 'ccr'
    )
"""


class Store:
    """Reads and writes the schema `register`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @classmethod
    async def open(cls, url: str) -> Store:
        """Connect."""
        return cls(await Database.open(url, "register"))

    async def close(self) -> None:
        """Close the connections."""
        await self._db.close()

    async def ready(self) -> None:
        """Raises a 503 `Problem` when the database cannot be reached."""
        await self._db.fetchval("select 1")

    # Parties.

    async def by_ids(self, ids: Sequence[int]) -> list[StoredParty]:
        """Those that exist, in the order asked."""
        rows = await self._db.fetch(
            f"select {_COLUMNS} {_FROM} where p.id = any($1::int[]) order by array_position($1::int[], p.id)", ids
        )
        return [_party(row) for row in rows]

    async def by_uuids(self, uuids: Sequence[str]) -> list[StoredParty]:
        """Those that exist, in the order asked."""
        rows = await self._db.fetch(
            f"select {_COLUMNS} {_FROM} where p.uuid = any($1::uuid[]) order by array_position($1::uuid[], p.uuid)",
            uuids,
        )
        return [_party(row) for row in rows]

    async def by_numbers(self, type_: PartyType, numbers: Sequence[str]) -> list[StoredParty]:
        """Those that exist."""
        rows = await self._db.fetch(
            f"select {_COLUMNS} {_FROM} where p.type = $1 and p.number = any($2::text[])", int(type_), numbers
        )
        return [_party(row) for row in rows]

    async def by_users(
        self, *, ids: Sequence[int] = (), names: Sequence[str] = (), identities: Sequence[str] = ()
    ) -> list[StoredParty]:
        """Parties of users."""
        rows = await self._db.fetch(
            f"select {_COLUMNS} {_FROM} where a.user_id = any($1::int[]) or a.username = any($2::text[])"
            " or a.external_identity = any($3::text[])",
            ids,
            names,
            identities,
        )
        return [_party(row) for row in rows]

    async def sub_units(self, main_units: Sequence[int]) -> dict[int, list[StoredParty]]:
        """Sub-units of each main unit, by organisation number."""
        rows = await self._db.fetch(
            f"select {_COLUMNS} {_FROM} where p.main_unit = any($1::int[]) order by p.number", main_units
        )
        found: dict[int, list[StoredParty]] = {}
        for row in rows:
            found.setdefault(row["main_unit"], []).append(_party(row))
        return found

    async def search_organizations(self, query: str, limit: int) -> list[StoredParty]:
        """Organisations whose name begins with `query`, without regard to case and diacritics; active ones first."""
        pattern = fold(query).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        rows = await self._db.fetch(
            f"select {_COLUMNS} {_FROM} where p.type = 2 and p.folded like $1"
            " order by p.deleted_at is not null, p.folded, p.id limit $2",
            pattern,
            limit,
        )
        return [_party(row) for row in rows]

    async def create_self_identified(
        self, new: NewSelfIdentifiedUser, *, uuid: str, external_urn: str, now: datetime
    ) -> StoredParty:
        """The user with this external identity, made if it is not there; two at the same time make one."""
        async with self._db.transaction() as connection:
            await connection.execute(_WRITE_LOCK)
            existing = await connection.fetchrow(
                f"select {_COLUMNS} {_FROM} where a.external_identity = $1", new.external_identity
            )
            if existing is not None:
                return _party(existing)
            party = NewParty(
                uuid=uuid,
                type=PartyType.SELF_IDENTIFIED,
                external_urn=external_urn,
                number=None,
                name=f"epost:{new.email}" if new.email else new.username,
                email=new.email,
                user_id=0,
                username=new.username,
                external_identity=new.external_identity,
            )
            await save_parties(connection, [party], now)
            row = await connection.fetchrow(f"select {_COLUMNS} {_FROM} where p.uuid = $1::uuid", uuid)
            assert row is not None
            return _party(row)

    # Roles.

    async def version(self) -> int:
        """The highest version written so far."""
        return int(
            await self._db.fetchval(
                "select greatest((select coalesce(max(version), 0) from party),"
                " (select coalesce(max(version), 0) from role_assignment))"
            )
        )

    async def roles(self, subject: int, objects: Sequence[int]) -> dict[int, list[Role]]:
        """Roles that `subject` holds for each of `objects`: directly, through a main unit, as a key person."""
        rows = await self._db.fetch(
            f"""with {_HOLDERS}, targets as (
                select id object, id given_by, false main_unit from party where id = any($2::int[])
                union all
                select id, main_unit, true from party where id = any($2::int[]) and main_unit is not null
            )
            select distinct t.object, r.code, r.source, h.key_role, t.main_unit
            from targets t
            join role_assignment r on r.from_party = t.given_by and r.removed_at is null
            join holders h on h.holder = r.to_party
            order by t.object, r.code, r.source, t.main_unit, h.key_role""",
            subject,
            objects,
            KEY_ROLES,
        )
        found: dict[int, dict[tuple[str, str], Role]] = {}
        if subject in objects and (own := await self._own_role(subject)):
            found[subject] = {(own.code, own.source): own}
        for row in rows:
            roles = found.setdefault(row["object"], {})
            # Ordered so that the most direct way comes first; that one is told.
            key = (row["code"], row["source"])
            if key not in roles:
                inherited = [n for n, on in (("main-unit", row["main_unit"]), ("key-role", row["key_role"])) if on]
                roles[key] = msgspec.convert(
                    {
                        "code": row["code"],
                        "urn": role_urn(row["code"], row["source"]),
                        "source": row["source"],
                        "inherited": inherited,
                    },
                    Role,
                )
        return {party: sorted(roles.values()) for party, roles in found.items()}

    async def main_units(self, parties: Sequence[int]) -> dict[int, int]:
        """The main unit of each of `parties` that is a sub-unit."""
        rows = await self._db.fetch(
            "select id, main_unit from party where id = any($1::int[]) and main_unit is not null", parties
        )
        return {row["id"]: row["main_unit"] for row in rows}

    async def represented(self, subject: int, *, include_deleted: bool) -> tuple[list[StoredParty], set[int]]:
        """Parties that `subject` may represent, itself first, and main units needed to show their sub-units.

        The set holds the ids that it may really represent.
        """
        rows = await self._db.fetch(
            f"""with {_HOLDERS}, direct as (
                select r.from_party id from role_assignment r join holders h on h.holder = r.to_party
                where r.removed_at is null
                union select $1
            ), own as (
                select id from direct union select p.id from party p join direct d on p.main_unit = d.id
            ), shown as (
                select id from own union select p.main_unit from party p join own o on o.id = p.id
                where p.main_unit is not null
            )
            select {_COLUMNS}, p.id in (select id from own) own
            {_FROM} join shown s on s.id = p.id
            where $2::bool or p.deleted_at is null or p.id = $1
            order by p.id <> $1, p.type, p.folded, p.id""",
            subject,
            include_deleted,
            KEY_ROLES,
        )
        return [_party(row) for row in rows], {row["id"] for row in rows if row["own"]}

    async def may_represent(self, subject: int, party: int) -> bool:
        """Whether `subject` is `party` or holds any role for it."""
        return subject == party or bool(await self.roles(subject, [party]))

    async def role_changes(self, after: int, limit: int) -> list[RoleChange]:
        """Assignments made or withdrawn after version `after`, oldest first."""
        rows = await self._db.fetch(
            "select version, from_party, to_party, code, source, removed_at is not null removed from role_assignment"
            " where version > $1 order by version limit $2",
            after,
            limit,
        )
        return [RoleChange(**dict(row)) for row in rows]

    async def _own_role(self, subject: int) -> Role | None:
        type_ = await self._db.fetchval("select type from party where id = $1", subject)
        if type_ == PartyType.PERSON:
            return Role(code=OWN_PERSON[0], urn=OWN_PERSON[1], source="cra")
        if type_ == PartyType.SELF_IDENTIFIED:
            return Role(code=OWN_USER[0], urn=OWN_USER[1], source="altinn")
        return None

    # Person look-ups by name.

    async def record_miss(self, keys: Sequence[bytes], now: datetime) -> int:
        """Count one miss for `keys`; returns its number, for `forgive`. Misses older than an hour are dropped."""
        async with self._db.transaction() as connection:
            await connection.execute("delete from missed_lookup where at < $1::timestamptz - interval '1 hour'", now)
            return int(
                await connection.fetchval(
                    "insert into missed_lookup(keys, at) values ($1, $2) returning id", list(keys), now
                )
            )

    async def forgive(self, miss: int) -> None:
        """Take back a miss: the look-up succeeded after all."""
        await self._db.execute("delete from missed_lookup where id = $1", miss)

    async def misses(self, key: bytes, now: datetime, limit: int) -> list[datetime]:
        """The newest misses of `key` in the last hour, newest first, at most `limit`."""
        rows = await self._db.fetch(
            "select at from missed_lookup where keys @> array[$1::bytea] and at > $2::timestamptz - interval '1 hour'"
            " order by at desc limit $3",
            key,
            now,
            limit,
        )
        return [row["at"] for row in rows]

    async def audit(self, now: datetime, *, action: str, caller: str, performed_by: str, party: str | None) -> None:
        """Write down who read what."""
        await self._db.execute(
            "insert into audit(at, action, caller, performed_by, party) values ($1, $2, $3, $4, $5::uuid)",
            now,
            action,
            caller,
            performed_by,
            party,
        )

    # Import.

    async def imported(self, source: str) -> str | None:
        """The digest of what was last imported from `source`."""
        value = await self._db.fetchval("select digest from import where source = $1", source)
        return None if value is None else str(value)

    async def import_all(
        self, source: str, digest: str, parties: Sequence[NewParty], roles: Sequence[NewRole], now: datetime
    ) -> None:
        """Write parties and roles from `source` in one transaction; what has not changed keeps its version.

        Roles between these parties from the same sources that the import no longer holds are withdrawn.
        """
        async with self._db.transaction() as connection:
            await connection.execute(_WRITE_LOCK)
            await save_parties(connection, parties, now)
            await save_roles(connection, parties, roles, now)
            await connection.execute(
                "insert into import(source, digest, at) values ($1, $2, $3)"
                " on conflict (source) do update set digest = excluded.digest, at = excluded.at",
                source,
                digest,
                now,
            )


def _party(row: Record) -> StoredParty:
    type_ = PartyType(row["type"])
    detail = row["detail"]
    person = organization = None
    if detail is not None and type_ is PartyType.PERSON:
        person = msgspec.json.decode(detail, type=Person)
    elif detail is not None:
        organization = msgspec.json.decode(detail, type=Organization)
    return StoredParty(
        id=row["id"],
        uuid=str(row["uuid"]),
        type=type_,
        external_urn=row["external_urn"],
        number=row["number"],
        name=row["name"],
        unit_type=row["unit_type"],
        main_unit=row["main_unit"],
        person=person,
        organization=organization,
        date_of_birth=row["date_of_birth"],
        email=row["email"],
        created=row["created"],
        modified=row["modified"],
        deleted_at=row["deleted_at"],
        version=row["version"],
        user_id=row["user_id"],
        username=row["username"],
        external_identity=row["external_identity"],
        replaced_by=None if row["replacer"] is None else str(row["replacer"]),
    )
