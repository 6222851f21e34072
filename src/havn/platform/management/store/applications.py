"""Consumers' applications."""

from __future__ import annotations

from typing import Any

from havn.contracts.management import Application
from havn.platform.management.store import Queries

_COLUMNS = "id::text, name, owner, owner_name, contact, created"


async def add(queries: Queries, application: Application) -> None:
    """Write a new one; UniqueViolation when its owner has one of that name."""
    await queries.execute(
        "insert into application(id, name, owner, owner_name, contact, created) values ($1, $2, $3, $4, $5, $6)",
        application.id, application.name, application.owner, application.owner_name, application.contact,
        application.created,
    )  # fmt: skip


async def find(queries: Queries, id_: str) -> Application | None:
    """One application; `id_` is a uuid."""
    row = await queries.fetchrow(f"select {_COLUMNS} from application where id = $1", id_)  # noqa: S608
    return None if row is None else application(row)


async def owned_by(queries: Queries, owner: str) -> list[Application]:
    """An organisation's applications."""
    rows = await queries.fetch(f"select {_COLUMNS} from application where owner = $1 order by name", owner)  # noqa: S608
    return [application(row) for row in rows]


def application(row: Any) -> Application:
    """The row's application."""
    return Application(**dict(row))
