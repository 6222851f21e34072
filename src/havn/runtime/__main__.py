"""`python -m havn.runtime`: one replica of one app, configured by its environment (see `settings.py`)."""

from __future__ import annotations

import sys

from havn.appfolder import AppFolderError
from havn.kit import log, serve
from havn.kit.settings import SettingsError, load
from havn.runtime.hooks.loader import LoadError
from havn.runtime.settings import RuntimeSettings


def main() -> int:
    """Run until told to stop. Gives 2 when the settings or the app cannot be used: trying again would not help."""
    log.configure()
    try:
        settings = load(RuntimeSettings)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2

    async def run() -> None:
        from havn.runtime.app import build

        await serve.serve(build(settings), host=settings.host, port=settings.port)

    try:
        serve.run(run)
    except (AppFolderError, LoadError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2 if not isinstance(error, OSError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
