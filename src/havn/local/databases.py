"""The embedded databases: one for the platform APIs of the environment, one for the control plane; their roles."""

from __future__ import annotations

from collections.abc import Mapping

from havn.kit import migrations
from havn.local.postgres import EmbeddedPostgres
from havn.platform import APIS

ENVIRONMENT = "local"
CONTROL = "control"

_DATABASES: Mapping[str, Mapping[str, str]] = {
    ENVIRONMENT: {api.name: api.migrations for api in APIS},
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
    for database, schemas in _DATABASES.items():
        for schema, package in schemas.items():
            urls[schema] = server.url(database, f"havn_{schema}", passwords[_password(schema)])
            await migrations.bring_up(urls[schema], schema, package, admin_url=server.url())
    return urls


def _password(schema: str) -> str:
    return f"database/{schema}"
