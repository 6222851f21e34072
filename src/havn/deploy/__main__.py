"""The control plane as a process of its own.

    python -m havn.deploy            serve it: its settings (`havn.deploy.settings`), HAVN_HOST, HAVN_PORT
    python -m havn.deploy migrate    bring the schema `deploy` up to date

`migrate` reads `HAVN_DEPLOY_DATABASE_URL`, and with `HAVN_DATABASE_ADMIN_URL`, a superuser's address on the same
server, first makes the database, the role and the schema.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

import msgspec

from havn.kit import component, log, migrations, settings


class MigrateSettings(msgspec.Struct, frozen=True):
    """What `migrate` is told."""

    deploy_database_url: str
    database_admin_url: str | None = None


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns the exit code."""
    if list(arguments) == ["migrate"]:
        log.configure(os.environ.get("HAVN_LOG_LEVEL", "INFO"))
        return asyncio.run(_migrate())
    if arguments:
        print("Say `migrate`, or nothing to serve.", file=sys.stderr)  # noqa: T201
        return component.UNUSABLE
    component.run("havn.deploy.process", title="havn control plane", ready_path="/api/v1/health")
    return 0


async def _migrate() -> int:
    try:
        told = settings.load(MigrateSettings)
        await migrations.bring_up(
            told.deploy_database_url, "deploy", "havn.deploy.migrations", admin_url=told.database_admin_url
        )
    except settings.SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return component.UNUSABLE
    except OSError as error:
        print(f"The database cannot be reached: {error}.", file=sys.stderr)  # noqa: T201
        return 1
    except (migrations.MigrationError, migrations.NotYet, migrations.Refused) as error:
        print(f"The schema deploy was not migrated: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
