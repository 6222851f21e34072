"""The tables of profile: preferences, mirrored contact data, groups of parties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from havn.contracts.profile import PartyGroup
from havn.kit.db import Database, UniqueViolation
from havn.kit.problem import Problem

FAVOURITES = "__favoritter__"

Language = Literal["nb", "nn", "en"]


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """What a user has chosen; the defaults are for those who have chosen nothing."""

    language: Language = "nb"
    do_not_prompt_for_party: bool = False
    preselected_party_uuid: str | None = None
    show_client_units: bool = False
    should_show_sub_entities: bool = True
    should_show_deleted_entities: bool = False


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """How a person can be reached; reserved means: not digitally."""

    email: str | None = None
    phone_number: str | None = None
    is_reserved: bool = False


class ImportedUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user's first preferences and contact data, as an import brings them."""

    user_id: int
    preferences: Preferences
    contact: Contact | None


class Store:
    """Reads and writes the schema `profile`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @classmethod
    async def open(cls, url: str) -> Store:
        """Connect."""
        return cls(await Database.open(url, "profile"))

    async def close(self) -> None:
        """Close the connections."""
        await self._db.close()

    async def ready(self) -> None:
        """Raises a 503 `Problem` when the database cannot be reached."""
        await self._db.fetchval("select 1")

    async def user(self, user_id: int) -> tuple[Preferences, Contact]:
        """What is kept of a user; defaults where there is nothing."""
        row = await self._db.fetchrow(
            """select s.user_id chosen, s.language, s.do_not_prompt_for_party,
                   s.preselected_party_uuid::text preselected_party_uuid, s.show_client_units,
                   s.should_show_sub_entities, s.should_show_deleted_entities, c.email, c.phone_number, c.is_reserved
               from (select $1::int user_id) u
               left join user_settings s using (user_id) left join contact c using (user_id)""",
            user_id,
        )
        assert row is not None
        preferences = Preferences()
        if row["chosen"] is not None:
            preferences = Preferences(**{name: row[name] for name in Preferences.__struct_fields__})
        contact = Contact(email=row["email"], phone_number=row["phone_number"], is_reserved=bool(row["is_reserved"]))
        return preferences, contact

    async def change(self, user_id: int, changes: Mapping[str, Any], now: datetime) -> Preferences:
        """Set the members in `changes` (names of `Preferences`); the rest stays as it is."""
        async with self._db.transaction() as connection:
            await connection.execute(
                "insert into user_settings(user_id, modified) values ($1, $2) on conflict do nothing", user_id, now
            )
            row = await connection.fetchrow(
                "select language, do_not_prompt_for_party, preselected_party_uuid::text preselected_party_uuid,"
                " show_client_units, should_show_sub_entities, should_show_deleted_entities"
                " from user_settings where user_id = $1 for update",
                user_id,
            )
            changed = Preferences(**(dict(row) | dict(changes)))
            await connection.execute(
                """update user_settings set language = $2, do_not_prompt_for_party = $3,
                       preselected_party_uuid = $4::uuid, show_client_units = $5, should_show_sub_entities = $6,
                       should_show_deleted_entities = $7, modified = $8
                   where user_id = $1""",
                user_id,
                changed.language,
                changed.do_not_prompt_for_party,
                changed.preselected_party_uuid,
                changed.show_client_units,
                changed.should_show_sub_entities,
                changed.should_show_deleted_entities,
                now,
            )
            return changed

    # Groups.

    async def groups(self, user_id: int) -> list[PartyGroup]:
        """A user's groups, favourites first."""
        rows = await self._db.fetch(
            """select g.id, g.name, g.is_favorite,
                   coalesce(array_agg(a.party_uuid::text order by a.added, a.party_uuid)
                       filter (where a.party_uuid is not null), '{}') parties
               from party_group g left join party_group_association a on a.group_id = g.id
               where g.user_id = $1 group by g.id order by not g.is_favorite, g.name""",
            user_id,
        )
        return [
            PartyGroup(
                group_id=row["id"],
                name="Favoritter" if row["is_favorite"] else row["name"],
                is_favorite=row["is_favorite"],
                parties=list(row["parties"]),
            )
            for row in rows
        ]

    async def add_group(self, user_id: int, name: str) -> int:
        """Make a group; 409 when the user has one of that name."""
        try:
            return int(
                await self._db.fetchval(
                    "insert into party_group(user_id, name) values ($1, $2) returning id", user_id, name
                )
            )
        except UniqueViolation:
            raise _taken() from None

    async def rename_group(self, user_id: int, group_id: int, name: str) -> None:
        """Rename a group that is not the favourites."""
        try:
            await self._db.execute(
                "update party_group set name = $3 where user_id = $1 and id = $2 and not is_favorite",
                user_id,
                group_id,
                name,
            )
        except UniqueViolation:
            raise _taken() from None

    async def delete_group(self, user_id: int, group_id: int) -> None:
        """Delete a group that is not the favourites."""
        await self._db.execute(
            "delete from party_group where user_id = $1 and id = $2 and not is_favorite", user_id, group_id
        )

    async def associate(self, group_id: int, party_uuid: str, now: datetime) -> bool:
        """Put a party into a group; False when it was there."""
        tag = await self._db.execute(
            "insert into party_group_association(group_id, party_uuid, added) values ($1, $2::uuid, $3)"
            " on conflict do nothing",
            group_id,
            party_uuid,
            now,
        )
        return tag == "INSERT 0 1"

    async def dissociate(self, group_id: int, party_uuid: str) -> bool:
        """Take a party out of a group; False when it was not there."""
        tag = await self._db.execute(
            "delete from party_group_association where group_id = $1 and party_uuid = $2::uuid", group_id, party_uuid
        )
        return tag == "DELETE 1"

    async def favourites(self, user_id: int) -> int:
        """The id of the favourites group, made if it is not there."""
        return int(
            await self._db.fetchval(
                "insert into party_group as g (user_id, name, is_favorite) values ($1, $2, true)"
                " on conflict (user_id) where is_favorite do update set name = g.name returning id",
                user_id,
                FAVOURITES,
            )
        )

    # Import.

    async def imported(self, source: str) -> str | None:
        """The digest of what was last imported from `source`."""
        value = await self._db.fetchval("select digest from import where source = $1", source)
        return None if value is None else str(value)

    async def import_all(self, source: str, digest: str, users: Sequence[ImportedUser], now: datetime) -> None:
        """Write contact data, and preferences of users who have none of their own yet."""
        async with self._db.transaction() as connection:
            for user in users:
                chosen, contact = user.preferences, user.contact
                await connection.execute(
                    """insert into user_settings(user_id, language, do_not_prompt_for_party, preselected_party_uuid,
                           show_client_units, should_show_sub_entities, should_show_deleted_entities, modified)
                       values ($1, $2, $3, $4::uuid, $5, $6, $7, $8) on conflict do nothing""",
                    user.user_id,
                    chosen.language,
                    chosen.do_not_prompt_for_party,
                    chosen.preselected_party_uuid,
                    chosen.show_client_units,
                    chosen.should_show_sub_entities,
                    chosen.should_show_deleted_entities,
                    now,
                )
                if contact is not None:
                    await connection.execute(
                        """insert into contact(user_id, email, phone_number, is_reserved, confirmed)
                           values ($1, $2, $3, $4, $5)
                           on conflict (user_id) do update set email = excluded.email,
                               phone_number = excluded.phone_number, is_reserved = excluded.is_reserved""",
                        user.user_id,
                        contact.email,
                        contact.phone_number,
                        contact.is_reserved,
                        now,
                    )
            await connection.execute(
                "insert into import(source, digest, at) values ($1, $2, $3)"
                " on conflict (source) do update set digest = excluded.digest, at = excluded.at",
                source,
                digest,
                now,
            )


def _taken() -> Problem:
    return Problem(409, "There is a group of this name.", code="group_name_taken")
