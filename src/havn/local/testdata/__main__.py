"""The fixed test people in a test environment's databases: `python -m havn.local.testdata`.

Reads HAVN_ENVIRONMENT_TYPE, which must be `test`, and the addresses of register and profile, as those APIs do.
"""

from __future__ import annotations

import asyncio
import sys

import msgspec

from havn.engines.identifiers import EnvironmentType
from havn.kit import component, db, settings
from havn.local.testdata.load import load


class LoadSettings(msgspec.Struct, frozen=True):
    """Where the people go."""

    environment_type: EnvironmentType
    register_database_url: str
    profile_database_url: str


def main() -> int:
    """Entry point; returns the exit code."""
    try:
        own = settings.load(LoadSettings)
        if own.environment_type != "test":
            raise settings.SettingsError("Test people are for test environments only (HAVN_ENVIRONMENT_TYPE).")
        urls = {"register": own.register_database_url, "profile": own.profile_database_url}
        loaded = asyncio.run(load(urls))
    except settings.SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return component.UNUSABLE
    except (OSError, db.DatabaseError) as error:
        print(f"The test people could not be written: {error}.", file=sys.stderr)  # noqa: T201
        return 1
    print(f"Loaded: {', '.join(loaded) or 'nothing new'}.")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
