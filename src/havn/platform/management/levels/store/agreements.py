"""Agreements, planned maintenance and alerts; every change leaves a line in the history."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import msgspec

from havn.contracts.levels import Agreement, AgreementTerms, Maintenance, Targets
from havn.kit import queue
from havn.kit.db import Connection, Database, Record

DELIVERY = "level-alert"


class Author(msgspec.Struct, frozen=True):
    """Who changes something, and from where."""

    name: str
    address: str


class Watched(msgspec.Struct, frozen=True):
    """An agreement with an alert, and the alert that is on."""

    agreement: Agreement
    alert: uuid.UUID | None


class AgreementStore:
    """Reads and writes agreements and maintenance."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def all(self, org: str) -> list[Agreement]:
        """The org's agreements, by name."""
        return [_agreement(row) for row in await self._db.fetch(f"{_AGREEMENT} where org = $1 order by name", org)]

    async def get(self, org: str, name: str) -> Agreement | None:
        """One of them."""
        row = await self._db.fetchrow(f"{_AGREEMENT} where org = $1 and name = $2", org, name)
        return None if row is None else _agreement(row)

    async def put(
        self, org: str, name: str, terms: AgreementTerms, salt: bytes, author: Author, now: datetime
    ) -> tuple[Agreement, bytes | None]:
        """Make or change one; also gives the salt of its alert: the one that was there, or `salt` for a new alert."""
        async with self._db.transaction() as connection:
            before = await connection.fetchrow(f"{_AGREEMENT} where org = $1 and name = $2 for update", org, name)
            row = await connection.fetchrow(
                "insert into level_agreement as kept"
                " (org, name, app, api, plan, targets, alert_url, alert_salt, changed)"
                " values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (org, name) do update set app = excluded.app,"
                " api = excluded.api, plan = excluded.plan, targets = excluded.targets, alert_url = excluded.alert_url,"
                " alert_salt = case when excluded.alert_url is not null"
                " then coalesce(kept.alert_salt, excluded.alert_salt) end, changed = excluded.changed"
                " returning org, name, app, api, plan, targets, alert_url, changed, alert_salt",
                org, name, terms.app, terms.api, terms.plan, terms.targets, terms.alert_url,
                salt if terms.alert_url is not None else None, now,
            )  # fmt: skip
            made = _agreement(row)
            old = None if before is None else _agreement(before)
            await _note(connection, author, now, "put", f"sla/{made.id}", org, old, made)
            return made, row["alert_salt"]

    async def remove(self, org: str, name: str, author: Author, now: datetime) -> bool:
        """Take one away; False when there is none."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(
                "delete from level_agreement where org = $1 and name = $2"
                " returning org, name, app, api, plan, targets, alert_url, changed",
                org, name,
            )  # fmt: skip
            if row is None:
                return False
            await _note(connection, author, now, "remove", f"sla/{org}.{name}", org, _agreement(row), None)
            return True

    async def api_of(self, plan: str) -> str | None:
        """The Api of a plan."""
        found = await self._db.fetchval("select api from plan where id = $1", plan)
        return None if found is None else str(found)

    async def app_of(self, api: str) -> tuple[str, str] | None:
        """Org and app of an Api."""
        row = await self._db.fetchrow("select org, app from api where id = $1", api)
        return None if row is None else (row["org"], row["app"])

    async def maintenance(
        self, org: str, starts: datetime | None = None, ends: datetime | None = None
    ) -> list[Maintenance]:
        """The org's maintenance that touches the time given, newest first."""
        rows = await self._db.fetch(
            f"{_MAINTENANCE} where org = $1 and ($2::timestamptz is null or ends > $2)"
            " and ($3::timestamptz is null or starts < $3) order by starts desc limit 500",
            org, starts, ends,
        )  # fmt: skip
        return [_maintenance(row) for row in rows]

    async def declare(
        self, org: str, app: str | None, starts: datetime, ends: datetime, reason: str, author: Author, now: datetime
    ) -> Maintenance:
        """Add maintenance."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(
                "insert into level_maintenance (id, org, app, starts, ends, reason, declared)"
                " values ($1, $2, $3, $4, $5, $6, $7)"
                " returning id, org, app, starts, ends, reason, declared, cancelled",
                uuid.uuid4(), org, app, starts, ends, reason, now,
            )  # fmt: skip
            made = _maintenance(row)
            await _note(connection, author, now, "declare", f"maintenance/{made.id}", org, None, made)
            return made

    async def cancel(self, org: str, id_: uuid.UUID, author: Author, now: datetime) -> Maintenance | None:
        """End maintenance now, or before it begins; None when there is none that could be."""
        async with self._db.transaction() as connection:
            before = await connection.fetchrow(f"{_MAINTENANCE} where org = $1 and id = $2 for update", org, id_)
            if before is None:
                return None
            row = await connection.fetchrow(
                "update level_maintenance set cancelled = coalesce(cancelled, $2) where id = $1"
                " returning id, org, app, starts, ends, reason, declared, cancelled",
                id_, now,
            )  # fmt: skip
            after = _maintenance(row)
            await _note(connection, author, now, "cancel", f"maintenance/{id_}", org, _maintenance(before), after)
            return after

    async def watched(self) -> list[Watched]:
        """Every agreement that has an alert."""
        rows = await self._db.fetch(
            "select a.org, a.name, a.app, a.api, a.plan, a.targets, a.alert_url, a.changed, on_.id alert"
            " from level_agreement a left join level_alert on_ using (org, name)"
            " where a.alert_url is not null order by 1, 2"
        )
        return [Watched(_agreement(row), row["alert"]) for row in rows]

    async def begin_alert(self, org: str, name: str, id_: uuid.UUID, message: Any, now: datetime) -> bool:
        """Note that an alert is on, and have it told; False when it was on already."""
        async with self._db.transaction() as connection:
            done = await connection.fetchval(
                "insert into level_alert (org, name, id, since) select org, name, $3, $4 from level_agreement"
                " where org = $1 and name = $2 on conflict do nothing returning id",
                org, name, id_, now,
            )  # fmt: skip
            if done is None:
                return False
            await queue.enqueue(connection, DELIVERY, f"{DELIVERY}/{org}.{name}", message)
            return True

    async def end_alert(self, org: str, name: str, message: Any) -> bool:
        """Note that an alert is over, and have it told; False when it was not on."""
        async with self._db.transaction() as connection:
            done = await connection.fetchval(
                "delete from level_alert where org = $1 and name = $2 returning id", org, name
            )
            if done is None:
                return False
            await queue.enqueue(connection, DELIVERY, f"{DELIVERY}/{org}.{name}", message)
            return True

    async def alert_target(self, org: str, name: str) -> tuple[str, bytes] | None:
        """Where messages of an agreement go, and the salt of the secret that signs them."""
        row = await self._db.fetchrow(
            "select alert_url, alert_salt from level_agreement where org = $1 and name = $2 and alert_url is not null",
            org, name,
        )  # fmt: skip
        return None if row is None else (row["alert_url"], row["alert_salt"])


_AGREEMENT = "select org, name, app, api, plan, targets, alert_url, changed from level_agreement"
_MAINTENANCE = "select id, org, app, starts, ends, reason, declared, cancelled from level_maintenance"


async def _note(
    connection: Connection,
    author: Author,
    now: datetime,
    action: str,
    object_: str,
    org: str,
    before: Agreement | Maintenance | None,
    after: Agreement | Maintenance | None,
) -> None:
    await connection.execute(
        "insert into history (at, who, address, action, object, org, before, after)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8)",
        now, author.name, author.address, action, object_, org, before, after,
    )  # fmt: skip


def _agreement(row: Record) -> Agreement:
    return Agreement(
        id=f"{row['org']}.{row['name']}",
        org=row["org"],
        name=row["name"],
        app=row["app"],
        api=row["api"],
        plan=row["plan"],
        targets=msgspec.json.decode(row["targets"], type=Targets),
        alert_url=row["alert_url"],
        changed=row["changed"],
    )


def _maintenance(row: Record) -> Maintenance:
    return Maintenance(
        id=str(row["id"]),
        org=row["org"],
        app=row["app"],
        starts=row["starts"],
        ends=row["ends"],
        reason=row["reason"],
        declared=row["declared"],
        in_advance=row["declared"] < row["starts"],
        cancelled=row["cancelled"],
    )
