"""The rows of people, their sessions, tokens for machines, and roles."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec

from havn.contracts.estate import CiToken, Grant
from havn.deploy.access import Operator, Role
from havn.engines.limits import Bucket, Ledger, Taken, take
from havn.kit.db import Connection, Database, Record
from havn.kit.problem import Problem

TOKEN_PREFIX = "token:"  # noqa: S105  (how a token's subject begins)


class Holder(msgspec.Struct, frozen=True):
    """Whoever a token stands for."""

    subject: str
    name: str
    maker: str = ""
    """Of a machine: the subject of the person who made its token."""


class LoginStore:
    """Reads and writes."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @classmethod
    async def open(cls, url: str) -> LoginStore:
        """Connect to the schema `deploy`."""
        return cls(await Database.open(url, "deploy", max_size=4))

    async def close(self) -> None:
        """Close the connections."""
        await self._db.close()

    # Sessions.

    async def begin_session(self, digest: bytes, who: Holder, now: datetime, expires: datetime, address: str) -> None:
        """Remember that somebody has signed in; sessions that have ended go."""
        async with self._db.transaction() as connection:
            await connection.execute(
                "insert into person (subject, name, first_in, last_in) values ($1, $2, $3, $3)"
                " on conflict (subject) do update set name = $2, last_in = $3",
                who.subject, who.name, now,
            )  # fmt: skip
            await connection.execute("delete from login_session where expires < $1", now)
            await connection.execute(
                "insert into login_session (hash, subject, created, expires) values ($1, $2, $3, $4)",
                digest, who.subject, now, expires,
            )  # fmt: skip
            await _audit(connection, now, who.name, address, "login", "", None, {"subject": who.subject})

    async def end_session(self, digest: bytes) -> None:
        """Sign somebody out."""
        await self._db.execute("delete from login_session where hash = $1", digest)

    async def session(self, digest: bytes, now: datetime) -> Holder | None:
        """Whose session it is, while it lasts."""
        row = await self._db.fetchrow(
            "select p.subject, p.name from login_session s join person p on p.subject = s.subject"
            " where s.hash = $1 and s.expires > $2",
            digest, now,
        )  # fmt: skip
        return None if row is None else Holder(row["subject"], row["name"])

    async def token(self, digest: bytes, now: datetime) -> Holder | None:
        """Whose token it is, while it lasts; notes that it was used, at most once a minute."""
        row = await self._db.fetchrow(
            "select id, name, maker, last_used from ci_token where hash = $1 and expires > $2 and revoked is null",
            digest, now,
        )  # fmt: skip
        if row is None:
            return None
        if row["last_used"] is None or (now - row["last_used"]).total_seconds() > 60:
            await self._db.execute("update ci_token set last_used = $2 where id = $1", row["id"], now)
        return Holder(f"{TOKEN_PREFIX}{row['id']}", f"CI token {row['name']}", row["maker"])

    # Calls.

    async def take_call(self, key: bytes, bucket: Bucket, now: int) -> Taken:
        """Take one call from the bucket `key`, `now` being microseconds since 1970; buckets that are full again go."""
        await self._db.execute(
            "delete from call_rate where key in"
            " (select key from call_rate where tat < $1 limit 100 for update skip locked)",
            now,
        )
        async with self._db.transaction() as connection:
            # The row is locked from here on, whether it was there or not.
            tat = await connection.fetchval(
                "insert into call_rate (key, tat) values ($1, $2)"
                " on conflict (key) do update set tat = call_rate.tat returning tat",
                key, now,
            )  # fmt: skip
            left, taken = take(
                bucket, Ledger(tat), now=now, holder="", keeps=0, returned=0, need=1, want=1, valid=0
            )  # fmt: skip
            await connection.execute("update call_rate set tat = $2 where key = $1", key, left.tat)
        return taken

    # Roles.

    async def grants(self, subject: str) -> list[Grant]:
        """The roles that somebody holds."""
        return await self._grants("where g.subject = $1", subject)

    async def all_grants(self, seen: Collection[str] | None) -> list[Grant]:
        """Every role held for these orgs, or every role."""
        return await self._grants("where $1::text[] is null or g.org = any($1)", None if seen is None else list(seen))

    async def grant(self, subject: str, org: str, role: Role, by: Operator, now: datetime) -> None:
        """Give a role."""
        async with self._db.transaction() as connection:
            done = await connection.execute(
                "insert into access_grant (subject, org, role, granted, granted_by) values ($1, $2, $3, $4, $5)"
                " on conflict do nothing",
                subject, org, role, now, by.name,
            )  # fmt: skip
            if done.endswith("1"):
                after = {"subject": subject, "role": role}
                await _audit(connection, now, by.name, by.address, "grant", org, None, after)

    async def revoke(self, subject: str, org: str, role: Role, by: Operator, now: datetime) -> bool:
        """Take a role back; false when it was not held."""
        async with self._db.transaction() as connection:
            done = await connection.execute(
                "delete from access_grant where subject = $1 and org = $2 and role = $3", subject, org, role
            )
            if done.endswith("0"):
                return False
            before = {"subject": subject, "role": role}
            await _audit(connection, now, by.name, by.address, "revoke", org, before, None)
        return True

    # Tokens for machines.

    async def add_token(
        self, digest: bytes, token: CiToken, org: str, roles: Sequence[Role], by: Operator, now: datetime
    ) -> None:
        """Store a token and its roles."""
        subject = f"{TOKEN_PREFIX}{token.id}"
        async with self._db.transaction() as connection:
            await connection.execute(
                "insert into ci_token (id, name, hash, created, created_by, maker, expires)"
                " values ($1, $2, $3, $4, $5, $6, $7)",
                token.id, token.name, digest, now, by.name, by.person, token.expires,
            )  # fmt: skip
            await connection.executemany(
                "insert into access_grant (subject, org, role, granted, granted_by) values ($1, $2, $3, $4, $5)",
                [(subject, org, role, now, by.name) for role in roles],
            )
            after = {"id": token.id, "name": token.name, "roles": list(roles), "expires": token.expires}
            await _audit(connection, now, by.name, by.address, "ci_token", org, None, after)

    async def tokens(self, seen: Collection[str] | None) -> list[CiToken]:
        """Every token with a role for one of these orgs, or every token."""
        grants: dict[str, list[Grant]] = {}
        for grant in await self.all_grants(seen):
            grants.setdefault(grant.subject, []).append(grant)
        rows = await self._db.fetch(
            "select id, name, created, created_by, expires, last_used, revoked from ci_token order by created desc"
        )
        held = [(row, grants.get(f"{TOKEN_PREFIX}{row['id']}", [])) for row in rows]
        return [CiToken(grants=mine, **dict(row)) for row, mine in held if mine or seen is None]

    async def revoke_token(self, id_: str, by: Operator, now: datetime) -> bool:
        """End a token at once; false when it has ended already, or there is none. Its roles stay to be seen."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(
                "update ci_token set revoked = $2 where id = $1 and revoked is null returning name", id_, now
            )
            if row is None:
                return False
            orgs = await connection.fetch(
                "select distinct org from access_grant where subject = $1", f"{TOKEN_PREFIX}{id_}"
            )
            org = orgs[0]["org"] if orgs else ""
            before = {"id": id_, "name": row["name"]}
            await _audit(connection, now, by.name, by.address, "revoke_ci_token", org, before, None)
        return True

    async def _grants(self, where: str, value: Any) -> list[Grant]:
        rows = await self._db.fetch(
            "select g.subject, g.org, g.role, g.granted, g.granted_by, coalesce(p.name, 'CI token ' || t.name, '')"  # noqa: S608
            " as name from access_grant g left join person p on p.subject = g.subject"
            f" left join ci_token t on 'token:' || t.id = g.subject {where} order by g.org, name, g.subject, g.role",
            value,
        )
        return [_grant(row) for row in rows]


def _grant(row: Record) -> Grant:
    return Grant(**dict(row))


async def _audit(
    connection: Connection, now: datetime, who: str, address: str, action: str, org: str, before: Any, after: Any
) -> None:
    await connection.execute(
        "insert into audit (at, who, address, action, environment, org, app, before, after)"
        " values ($1, $2, $3, $4, '', $5, '', $6, $7)",
        now, who, address, action, org, before, after,
    )  # fmt: skip


def no_such_token(id_: str) -> Problem:
    """The 404 for a token that there is not."""
    return Problem(
        404, f"There is no token {id_[:40]} that still works: see `havn ci-token list`.", code="unknown_token"
    )
