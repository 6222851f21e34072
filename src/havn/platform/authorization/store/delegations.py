"""Delegations: given, passed on, revoked with everything passed on from them; never deleted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from havn.contracts.authorization import AttributePair, Delegation, Receiver
from havn.kit.db import Database, Record

_SELECT = """select id::text, from_party, to_user, to_party, to_system_user::text, kind, resource, action, code,
    instance_id, valid_from, valid_to, further, depth, parent::text, given, given_by, revoked, revoked_by, reason
    from delegation"""


class DelegationStore:
    """Reads and writes delegations in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, *given: Delegation) -> None:
        """Write delegations and their lines in the record, all or none."""
        async with self._database.transaction() as connection:
            await connection.executemany(
                """insert into delegation(id, from_party, to_user, to_party, to_system_user, kind, resource, action,
                    code, instance_id, valid_from, valid_to, further, depth, parent, given, given_by, reason)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)""",
                [
                    (
                        one.id, one.from_party_id, one.to.user_id, one.to.party_id, one.to.system_user_id,
                        one.kind, one.resource, one.action, one.role or one.access_package, one.instance_id,
                        one.valid_from, one.valid_to, one.further, one.depth, one.parent, one.given, one.given_by,
                        one.reason,
                    )
                    for one in given
                ],
            )  # fmt: skip
            await connection.executemany(
                "insert into delegation_change(delegation, change, at, by) values ($1, 'grant', $2, $3)",
                [(one.id, one.given, one.given_by) for one in given],
            )

    async def get(self, id_: str) -> Delegation | None:
        """One delegation, ended or not."""
        row = await self._database.fetchrow(_SELECT + " where id = $1::uuid", id_)
        return _read(row) if row is not None else None

    async def revoke(self, id_: str, *, at: datetime, by: str) -> int:
        """End a delegation and everything passed on from it; how many ended now."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(
                """with recursive chain as (
                    select id from delegation where id = $1::uuid
                    union select d.id from delegation d join chain on d.parent = chain.id
                )
                update delegation set revoked = $2, revoked_by = $3
                where id in (select id from chain) and revoked is null returning id""",
                id_, at, by,
            )  # fmt: skip
            await connection.executemany(
                "insert into delegation_change(delegation, change, at, by) values ($1, 'revoke', $2, $3)",
                [(row["id"], at, by) for row in rows],
            )
            return len(rows)

    async def between(
        self,
        parties: Sequence[int],
        *,
        user: int | None,
        to_parties: Sequence[int],
        system_user: str | None,
        at: datetime,
    ) -> list[Delegation]:
        """Delegations from any of `parties` to the user, to any of `to_parties` or to the system user.

        Those in force at `at`, and those that come into force later: the caller must know when to ask again.
        """
        rows = await self._database.fetch(
            _SELECT
            + """ where from_party = any($1::bigint[]) and revoked is null and (valid_to is null or valid_to > $5)
              and (to_user = $2 or to_party = any($3::bigint[]) or to_system_user = $4::uuid)""",
            list(parties),
            user,
            list(to_parties),
            system_user,
            at,
        )
        return [_read(row) for row in rows]

    async def organisations(self, parties: Sequence[int], *, at: datetime) -> list[int]:
        """Parties to which any of `parties` has delegated something that has not ended at `at`."""
        rows = await self._database.fetch(
            """select distinct to_party from delegation
            where from_party = any($1::bigint[]) and to_party is not null and revoked is null
              and (valid_to is null or valid_to > $2)""",
            list(parties),
            at,
        )
        return [row["to_party"] for row in rows]

    async def givers(
        self, *, user: int | None, to_parties: Sequence[int], system_user: str | None, at: datetime
    ) -> list[int]:
        """Parties that have delegated something in force at `at` to one of these."""
        rows = await self._database.fetch(
            """select distinct from_party from delegation
            where revoked is null and valid_from <= $4 and (valid_to is null or valid_to > $4)
              and (to_user = $1 or to_party = any($2::bigint[]) or to_system_user = $3::uuid)
              and instance_id is null""",
            user,
            list(to_parties),
            system_user,
            at,
        )
        return [row["from_party"] for row in rows]

    async def search(
        self,
        *,
        from_party: int | None,
        to_party: int | None,
        to_user: int | None,
        in_force_at: datetime | None,
        instance_id: str | None = None,
        limit: int = 1000,
    ) -> list[Delegation]:
        """Delegations by giver or receiver, newest first."""
        rows = await self._database.fetch(
            _SELECT
            + """ where ($1::bigint is null or from_party = $1) and ($2::bigint is null or to_party = $2)
              and ($3::bigint is null or to_user = $3) and ($5::text is null or instance_id = $5)
              and ($4::timestamptz is null or (revoked is null and (valid_to is null or valid_to > $4)))
            order by given desc, id limit $6""",
            from_party, to_party, to_user, in_force_at, instance_id, limit,
        )  # fmt: skip
        return [_read(row) for row in rows]

    async def changes(self, id_: str) -> list[Record]:
        """What was done with a delegation, oldest first."""
        return await self._database.fetch(
            "select change, at, by from delegation_change where delegation = $1::uuid order by id", id_
        )

    async def rights(
        self, *, givers: Sequence[int], users: Sequence[int], parties: Sequence[int], at: datetime
    ) -> list[Delegation]:
        """Rights in force at `at`, not for one instance only, from any of `givers` to any of `users` or `parties`."""
        rows = await self._database.fetch(
            _SELECT
            + """ where from_party = any($1::bigint[]) and (to_user = any($2::bigint[]) or to_party = any($3::bigint[]))
              and kind = 'right' and instance_id is null and revoked is null
              and valid_from <= $4 and (valid_to is null or valid_to > $4) order by given, id""",
            list(givers),
            list(users),
            list(parties),
            at,
        )
        return [_read(row) for row in rows]

    async def history(
        self,
        *,
        givers: Sequence[int],
        user: int | None,
        to_parties: Sequence[int],
        system_user: str | None,
        at: datetime,
    ) -> list[tuple[int, str, Delegation, bool]]:
        """Changes of rights from any of `givers` to any of these, oldest first.

        Each with its number, what it was (`grant`, `revoke`), its delegation and whether that is in force at `at`.
        """
        rows = await self._database.fetch(
            """select c.id as change_id, c.change, d.id::text, d.from_party, d.to_user, d.to_party,
                d.to_system_user::text, d.kind, d.resource, d.action, d.code, d.instance_id, d.valid_from, d.valid_to,
                d.further, d.depth, d.parent::text, c.at as given, c.by as given_by, d.revoked, d.revoked_by, d.reason,
                d.revoked is null and d.valid_from <= $5 and (d.valid_to is null or d.valid_to > $5) as in_force
            from delegation_change c join delegation d on d.id = c.delegation
            where d.kind = 'right' and d.from_party = any($1::bigint[])
              and (d.to_user = $2 or d.to_party = any($3::bigint[]) or d.to_system_user = $4::uuid)
            order by c.id""",
            list(givers), user, list(to_parties), system_user, at,
        )  # fmt: skip
        return [(row["change_id"], row["change"], _read(row), row["in_force"]) for row in rows]

    async def right_changes(self, first: int, last: int | None, *, limit: int) -> list[Record]:
        """Changes numbered `first` to `last` of rights to whole apps, oldest first.

        `remaining` tells whether the receiver then still had another right to the same app from the same giver.
        """
        return await self._database.fetch(
            """with held as not materialized (
                select *, jsonb_path_query_first(resource, '$[*] ? (@.id == "urn:altinn:org").value') #>> '{}' as org,
                    jsonb_path_query_first(resource, '$[*] ? (@.id == "urn:altinn:app").value') #>> '{}' as app
                from delegation where kind = 'right' and instance_id is null and to_system_user is null
                    and resource @@ '$[*].id == "urn:altinn:app"'
            )
            select c.id, c.change, c.at, c.by, d.from_party, d.to_user, d.to_party, d.org, d.app,
                exists (
                    select 1 from held o
                    where o.from_party = d.from_party and (o.org, o.app) = (d.org, d.app)
                      and o.to_user is not distinct from d.to_user and o.to_party is not distinct from d.to_party
                      and o.given <= c.at and (o.revoked is null or o.revoked > c.at)
                ) as remaining
            from delegation_change c join held d on d.id = c.delegation
            where c.id >= $1 and ($2::bigint is null or c.id <= $2)
            order by c.id limit $3""",
            first,
            last,
            limit,
        )


def _read(row: Record) -> Delegation:
    kind, code = row["kind"], row["code"]
    return Delegation(
        id=row["id"],
        from_party_id=row["from_party"],
        to=Receiver(user_id=row["to_user"], party_id=row["to_party"], system_user_id=row["to_system_user"]),
        kind=kind,
        resource=msgspec.json.decode(row["resource"], type=list[AttributePair]) if row["resource"] else None,
        action=row["action"],
        role=code if kind == "role" else None,
        access_package=code if kind == "accessPackage" else None,
        instance_id=row["instance_id"],
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
        further=row["further"],
        depth=row["depth"],
        parent=row["parent"],
        given=row["given"],
        given_by=row["given_by"],
        revoked=row["revoked"],
        revoked_by=row["revoked_by"],
        reason=row["reason"],
    )
