"""A platform API as a process of its own, and the databases' migrations.

    python -m havn.platform storage     serve one API: its settings, HAVN_HOST, HAVN_PORT, HAVN_DRAIN_SECONDS
    python -m havn.platform migrate     bring every API's schema up to date, or those that are named after it

`migrate` reads `HAVN_<API>_DATABASE_URL` of each API, or the file `<api>-database-url`. With
`HAVN_DATABASE_ADMIN_URL` too, a superuser's address on the same server, it first makes databases, roles and schemas
that are missing. It waits up to `HAVN_DATABASE_WAIT_SECONDS` (60) for a server that is away.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence

import msgspec
import structlog

from havn.kit import component, log, migrations, settings
from havn.platform import APIS, Api

_log = structlog.get_logger("migrate")
_PAUSE = 1.0


class MigrateSettings(msgspec.Struct, frozen=True):
    """What `migrate` is told beside the addresses."""

    database_admin_url: str | None = None
    database_wait_seconds: float = 60.0


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns the exit code."""
    known = {api.name: api for api in APIS}
    verb, named = ("", ()) if not arguments else (arguments[0], arguments[1:])
    if verb == "migrate" and all(name in known for name in named):
        log.configure(os.environ.get("HAVN_LOG_LEVEL", "INFO"))
        return asyncio.run(_migrate([known[name] for name in named] or APIS))
    if verb not in known or named:
        print(f"Say `migrate`, or one of: {', '.join(known)}.", file=sys.stderr)  # noqa: T201
        return component.UNUSABLE
    api = known[verb]
    component.run(api.app, title=f"havn {api.name}", ready_path=api.ready_path)
    return 0


async def _migrate(apis: Sequence[Api]) -> int:
    try:
        own = settings.load(MigrateSettings)
        fields = [(f"{api.name}_database_url", str) for api in apis]
        urls = settings.load(msgspec.defstruct("DatabaseUrls", fields, frozen=True))
    except settings.SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return component.UNUSABLE
    until = time.monotonic() + own.database_wait_seconds
    for api in apis:
        while True:
            try:
                applied = await migrations.bring_up(
                    getattr(urls, f"{api.name}_database_url"), api.name, api.migrations,
                    admin_url=own.database_admin_url,
                )  # fmt: skip
            except (OSError, migrations.NotYet) as error:
                if time.monotonic() > until:
                    print(f"The database of {api.name} cannot be reached: {error}.", file=sys.stderr)  # noqa: T201
                    return 1
                _log.info("database_away", api=api.name)
                await asyncio.sleep(_PAUSE)
            except ValueError:
                # The address holds a password, so it is not shown.
                print(f"HAVN_{api.name.upper()}_DATABASE_URL is no address of PostgreSQL.", file=sys.stderr)  # noqa: T201
                return component.UNUSABLE
            except (migrations.MigrationError, migrations.Refused) as error:
                print(f"The schema {api.name} was not migrated: {error}", file=sys.stderr)  # noqa: T201
                return 1
            else:
                _log.info("migrated", api=api.name, applied=applied)
                break
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
