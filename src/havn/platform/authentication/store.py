"""The tables of authentication: sign-ins, sessions, codes, revocations, keys and rates."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from havn.contracts.authentication import Revocations, RevokedSession
from havn.kit.db import Connection, Database, Record
from havn.platform.authentication.sessions import OneTimeCode, Session
from havn.platform.authentication.signing_keys import SigningKey

_PAGE = 1000
# Taken until commit, so that revocations become visible in the order of their numbers and a reader misses none.
_REVOCATION_LOCK = "select pg_advisory_xact_lock(hashtextextended('havn.authentication.revocation', 0))"
_KEY_LOCK = "select pg_advisory_xact_lock(hashtextextended('havn.authentication.signing_key', 0))"


class Transaction(msgspec.Struct, frozen=True):
    """A sign-in under way."""

    provider: str
    nonce: str
    code_verifier: str
    goto: str
    min_level: int


class SessionHost(msgspec.Struct, frozen=True):
    """An owner whose host holds a token of a session, and the app prefix there that can clear it."""

    org: str
    prefix: str


class Logout(msgspec.Struct, frozen=True):
    """A sign-out under way."""

    provider: str | None
    hosts: list[SessionHost]
    goto: str | None


class Store:
    """Reads and writes the schema `authentication`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @classmethod
    async def open(cls, url: str) -> Store:
        """Connect."""
        return cls(await Database.open(url, "authentication"))

    async def close(self) -> None:
        """Close the connections."""
        await self._db.close()

    async def ready(self) -> None:
        """Raises a 503 `Problem` when the database cannot be reached."""
        await self._db.fetchval("select 1")

    # Sign-in.

    async def add_transaction(self, state_hash: bytes, new: Transaction, *, now: datetime, expires: datetime) -> None:
        """Remember a sign-in."""
        await self._db.execute(
            "insert into login_transaction(state_hash, provider, nonce, code_verifier, goto, min_level, created,"
            " expires) values ($1, $2, $3, $4, $5, $6, $7, $8)",
            state_hash,
            new.provider,
            new.nonce,
            new.code_verifier,
            new.goto,
            new.min_level,
            now,
            expires,
        )

    async def take_transaction(self, state_hash: bytes, now: datetime) -> Transaction | None:
        """The sign-in with this state, forgotten by the same statement: of two callers one gets it."""
        row = await self._db.fetchrow(
            "delete from login_transaction where state_hash = $1 returning provider, nonce, code_verifier, goto,"
            " min_level, expires",
            state_hash,
        )
        if row is None or row["expires"] <= now:
            return None
        return Transaction(row["provider"], row["nonce"], row["code_verifier"], row["goto"], row["min_level"])

    async def start_session(
        self, session: Session, handle_hash: bytes, *, replacing: bytes | None, revoked_until: datetime
    ) -> None:
        """Add a session, ending the one whose handle the browser had before."""
        async with self._db.transaction() as connection:
            if replacing is not None:
                rows = await connection.fetch("select sid from session where handle_hash = $1", replacing)
                await _end(connection, [row["sid"] for row in rows], session.created, revoked_until, "replaced")
            await connection.execute(
                """insert into session(sid, handle_hash, provider, upstream_issuer, upstream_sub, upstream_sid, user_id,
                       party_id, party_uuid, username, external_identity, email, selected_party_id, selected_party_uuid,
                       acr, amr, level, method, scopes, provider_claims, auth_time, created, expires, absolute_expires,
                       ip, user_agent_hash)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9::uuid, $10, $11, $12, $13, $14::uuid, $15, $16, $17, $18,
                       $19, $20, $21, $22, $23, $24, $25, $26)""",
                session.sid,
                handle_hash,
                session.provider,
                session.upstream_issuer,
                session.upstream_sub,
                session.upstream_sid,
                session.user_id,
                session.party_id,
                session.party_uuid,
                session.username,
                session.external_identity,
                session.email,
                session.selected_party_id,
                session.selected_party_uuid,
                session.acr,
                session.amr,
                session.level,
                session.method,
                session.scopes,
                session.provider_claims,
                session.auth_time,
                session.created,
                session.expires,
                session.absolute_expires,
                session.ip,
                session.user_agent_hash,
            )
            await _audit(
                connection,
                session.created,
                "session.started",
                sid=session.sid,
                user_id=session.user_id,
                detail={"provider": session.provider, "level": session.level, "ip": session.ip},
            )

    async def live_session(
        self, now: datetime, *, handle_hash: bytes | None = None, sid: str | None = None
    ) -> Session | None:
        """The session with this handle or sid that has not ended."""
        row = await self._db.fetchrow(
            "select * from session where (handle_hash = $1 or sid = $2) and expires > $3 and absolute_expires > $3",
            handle_hash,
            sid,
            now,
        )
        return None if row is None else _session(row)

    async def slide(self, sid: str, *, now: datetime, expires: datetime) -> bool:
        """Move the session's end; False when it has ended meanwhile."""
        tag = await self._db.execute(
            "update session set expires = $3 where sid = $1 and expires > $2 and absolute_expires > $2",
            sid,
            now,
            expires,
        )
        return tag == "UPDATE 1"

    async def end_sessions(
        self,
        *,
        now: datetime,
        revoked_until: datetime,
        reason: str,
        handle_hash: bytes | None = None,
        upstream: tuple[str, str | None, str | None] | None = None,
    ) -> list[tuple[Session, list[SessionHost]]]:
        """End the session of a handle, or all of an upstream (issuer, sid, sub); returns them with their hosts."""
        issuer, upstream_sid, upstream_sub = upstream or (None, None, None)
        async with self._db.transaction() as connection:
            rows = await connection.fetch(
                "select * from session where handle_hash = $1 or (upstream_issuer = $2"
                " and ($3::text is not null or $4::text is not null)"
                " and ($3::text is null or upstream_sid = $3) and ($4::text is null or upstream_sub = $4)) for update",
                handle_hash,
                issuer,
                upstream_sid,
                upstream_sub,
            )
            ended = []
            for row in rows:
                hosts = await connection.fetch(
                    "select org, prefix from session_host where sid = $1 order by org", row["sid"]
                )
                ended.append((_session(row), [SessionHost(host["org"], host["prefix"]) for host in hosts]))
            await _end(connection, [session.sid for session, _ in ended], now, revoked_until, reason)
            return ended

    # One-time codes.

    async def add_code(self, code_hash: bytes, code: OneTimeCode) -> None:
        """Remember a code."""
        await self._db.execute(
            "insert into one_time_code(code_hash, sid, org, app, prefix, expires) values ($1, $2, $3, $4, $5, $6)",
            code_hash,
            code.sid,
            code.org,
            code.app,
            code.prefix,
            code.expires,
        )

    async def take_code(self, code_hash: bytes) -> OneTimeCode | None:
        """The code, forgotten by the same statement."""
        row = await self._db.fetchrow(
            "delete from one_time_code where code_hash = $1 returning sid, org, app, prefix, expires", code_hash
        )
        return None if row is None else OneTimeCode(**dict(row))

    async def visited(self, sid: str, host: SessionHost, now: datetime) -> None:
        """Remember that an owner's host holds a token of the session."""
        await self._db.execute(
            "insert into session_host(sid, org, prefix, at) select sid, $2, $3, $4 from session where sid = $1"
            " on conflict (sid, org) do update set prefix = excluded.prefix, at = excluded.at",
            sid,
            host.org,
            host.prefix,
            now,
        )

    # Sign-out.

    async def add_logout(self, id_hash: bytes, logout: Logout, *, expires: datetime) -> None:
        """Remember a sign-out."""
        await self._db.execute(
            "insert into logout(id_hash, provider, hosts, goto, expires) values ($1, $2, $3, $4, $5)",
            id_hash,
            logout.provider,
            logout.hosts,
            logout.goto,
            expires,
        )

    async def next_logout_step(self, id_hash: bytes, now: datetime) -> tuple[Logout, SessionHost | None] | None:
        """The sign-out, and the next host to clear, taken off its list."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(
                "select provider, hosts, goto from logout where id_hash = $1 and expires > $2 for update", id_hash, now
            )
            if row is None:
                return None
            hosts = msgspec.json.decode(row["hosts"], type=list[SessionHost])
            logout = Logout(row["provider"], hosts, row["goto"])
            if not hosts:
                return logout, None
            await connection.execute("update logout set hosts = $2 where id_hash = $1", id_hash, hosts[1:])
            return logout, hosts[0]

    async def take_logout(self, id_hash: bytes) -> str | None:
        """The address that a finished sign-out offers to go back to."""
        value = await self._db.fetchval("delete from logout where id_hash = $1 returning goto", id_hash)
        return None if value is None else str(value)

    # Revocations.

    async def revocations(self, after: int, now: datetime) -> Revocations:
        """Sessions ended after number `after`, at most a page."""
        rows = await self._db.fetch(
            "select id, sid, until from revocation where id > $1 order by id limit $2", after, _PAGE
        )
        if rows:
            revoked = [RevokedSession(sid=row["sid"], until=row["until"]) for row in rows if row["until"] > now]
            return Revocations(next=rows[-1]["id"], revoked=revoked)
        return Revocations(next=min(after, await self.newest_revocation()), revoked=[])

    async def newest_revocation(self) -> int:
        """The highest number so far, 0 when there is none."""
        return int(await self._db.fetchval("select coalesce(max(id), 0) from revocation"))

    # Signing keys.

    async def signing_keys(self) -> list[SigningKey]:
        """All that are not removed, oldest first."""
        rows = await self._db.fetch(
            "select kid, alg, public, published, signing_from from signing_key where removed is null"
            " order by published, kid"
        )
        return [
            SigningKey(
                row["kid"],
                row["alg"],
                msgspec.json.decode(row["public"], type=dict[str, Any]),
                row["published"],
                row["signing_from"],
            )
            for row in rows
        ]

    async def add_signing_key(self, key: SigningKey, *, unless_newer_than: datetime | None) -> bool:
        """Add `key`, unless another of its algorithm was published after `unless_newer_than` (None: ever)."""
        async with self._db.transaction() as connection:
            await connection.execute(_KEY_LOCK)
            if await connection.fetchval(
                "select 1 from signing_key where removed is null and alg = $1"
                " and ($2::timestamptz is null or published > $2) limit 1",
                key.alg,
                unless_newer_than,
            ):
                return False
            await connection.execute(
                "insert into signing_key(kid, alg, public, published, signing_from) values ($1, $2, $3, $4, $5)",
                key.kid,
                key.alg,
                key.public,
                key.published,
                key.signing_from,
            )
            await _audit(connection, key.published, "key.published", detail={"kid": key.kid, "alg": key.alg})
            return True

    async def remove_signing_key(self, kid: str, now: datetime) -> bool:
        """Mark as removed; False when there is none."""
        async with self._db.transaction() as connection:
            tag = await connection.execute(
                "update signing_key set removed = $2 where kid = $1 and removed is null", kid, now
            )
            if tag != "UPDATE 1":
                return False
            await _audit(connection, now, "key.removed", detail={"kid": kid})
            return True

    # Keys of app deployments.

    async def access_keys(self, org: str) -> list[dict[str, Any]]:
        """Public keys of an org's deployments, each with its app."""
        rows = await self._db.fetch("select public from access_key where org = $1 order by created, kid", org)
        return [msgspec.json.decode(row["public"], type=dict[str, Any]) for row in rows]

    async def put_access_key(self, org: str, app: str, kid: str, public: dict[str, Any], now: datetime) -> bool:
        """Add a key, or find it there with the same content; False when the id is another key's."""
        async with self._db.transaction() as connection:
            tag = await connection.execute(
                "insert into access_key as k (org, app, kid, public, created) values ($1, $2, $3, $4, $5)"
                " on conflict (org, kid) do update set created = k.created"
                " where k.app = excluded.app and k.public = excluded.public",
                org,
                app,
                kid,
                public,
                now,
            )
            if tag != "INSERT 0 1":
                return False
            await _audit(connection, now, "access_key.put", detail={"org": org, "app": app, "kid": kid})
            return True

    async def delete_access_key(self, org: str, app: str, kid: str, now: datetime) -> bool:
        """Withdraw a key; False when there is none."""
        async with self._db.transaction() as connection:
            tag = await connection.execute(
                "delete from access_key where org = $1 and app = $2 and kid = $3", org, app, kid
            )
            if tag != "DELETE 1":
                return False
            await _audit(connection, now, "access_key.deleted", detail={"org": org, "app": app, "kid": kid})
            return True

    # Rates and clean-up.

    async def count(self, key: bytes, slot: datetime) -> int:
        """Count one more call for `key` in the minute `slot`; returns how many there are."""
        return int(
            await self._db.fetchval(
                "insert into rate as r (key, slot, count) values ($1, $2, 1)"
                " on conflict (key, slot) do update set count = r.count + 1 returning count",
                key,
                slot,
            )
        )

    async def sweep(self, now: datetime) -> None:
        """Drop what has run out."""
        await self._db.execute("delete from login_transaction where expires <= $1", now)
        await self._db.execute("delete from one_time_code where expires <= $1", now)
        await self._db.execute("delete from logout where expires <= $1", now)
        await self._db.execute("delete from session where expires <= $1 or absolute_expires <= $1", now)
        await self._db.execute("delete from rate where slot < $1", now - timedelta(minutes=5))
        # The newest stays, so that the numbers readers ask with never run ahead of ours.
        await self._db.execute(
            "delete from revocation where until <= $1 and id < (select max(id) from revocation)", now
        )


async def _end(connection: Connection, sids: list[str], now: datetime, until: datetime, reason: str) -> None:
    if not sids:
        return
    await connection.execute(_REVOCATION_LOCK)
    for sid in sids:
        user_id = await connection.fetchval("delete from session where sid = $1 returning user_id", sid)
        await connection.execute("insert into revocation(sid, until) values ($1, $2)", sid, until)
        await _audit(connection, now, "session.ended", sid=sid, user_id=user_id, detail={"reason": reason})


async def _audit(
    connection: Connection,
    now: datetime,
    event: str,
    *,
    sid: str | None = None,
    user_id: int | None = None,
    detail: dict[str, Any],
) -> None:
    await connection.execute(
        "insert into audit(at, event, sid, user_id, detail) values ($1, $2, $3, $4, $5)",
        now,
        event,
        sid,
        user_id,
        detail,
    )


def _session(row: Record) -> Session:
    values = {name: row[name] for name in Session.__struct_fields__}
    values["party_uuid"] = str(row["party_uuid"])
    chosen = row["selected_party_uuid"]
    values["selected_party_uuid"] = None if chosen is None else str(chosen)
    values["provider_claims"] = msgspec.json.decode(row["provider_claims"], type=dict[str, Any])
    return Session(**values)
