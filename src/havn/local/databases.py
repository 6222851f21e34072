"""The embedded databases: one for the platform APIs of the environment, one for the control plane; their roles."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack

from havn.kit import db, migrations
from havn.local.postgres import EmbeddedPostgres

ENVIRONMENT = "local"
CONTROL = "control"

_DATABASES: Mapping[str, Mapping[str, str]] = {
    ENVIRONMENT: {
        api: f"havn.platform.{api}.migrations"
        for api in ("authentication", "register", "profile", "authorization", "storage")
    },
    CONTROL: {"deploy": "havn.deploy.migrations"},
}


def password_names() -> list[str]:
    """The secrets that `prepare` wants: a password for each role."""
    return [_password(schema) for schemas in _DATABASES.values() for schema in schemas]


async def prepare(server: EmbeddedPostgres, passwords: Mapping[str, str]) -> dict[str, str]:
    """Make what is missing and run new migrations; returns each schema's address for its own role.

    Raises `MigrationError`, `OSError`, `db.DatabaseError`.
    """
    urls: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        admin = await db.connect(server.url())
        stack.push_async_callback(admin.close)
        known = {row["datname"] for row in await admin.fetch("select datname from pg_database")}
        for database, schemas in _DATABASES.items():
            if database not in known:
                await admin.execute(f'create database "{database}"')
                # Only the roles that are granted it may enter.
                await admin.execute(f'revoke all on database "{database}" from public')
            inside = await db.connect(server.url(database))
            stack.push_async_callback(inside.close)
            for schema, package in schemas.items():
                role, password = f"havn_{schema}", passwords[_password(schema)]
                await db.provision(inside, database, schema, role, password)
                urls[schema] = server.url(database, role, password)
                owner = await db.connect(urls[schema])
                try:
                    await migrations.migrate(owner, schema, package)
                finally:
                    await owner.close()
    return urls


def _password(schema: str) -> str:
    return f"database/{schema}"
