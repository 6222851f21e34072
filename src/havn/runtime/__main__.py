"""`python -m havn.runtime`: one replica of one app, configured by its environment (see `settings.py`)."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from havn.appfolder import AppFolderError
from havn.kit import log, serve
from havn.kit.settings import SettingsError, load
from havn.kit.signals import stop_event
from havn.runtime.hooks.loader import LoadError
from havn.runtime.settings import RuntimeSettings

DRAIN_SECONDS = 20
"""How long requests under way may take once the process is told to stop."""


def main() -> int:
    """Run until told to stop. Gives 2 when the settings or the app cannot be used: trying again would not help."""
    log.configure()
    try:
        settings = load(RuntimeSettings)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    if settings.dependencies is not None:
        # After our own packages: a release never holds a package of the runtime's in another version.
        sys.path.append(settings.dependencies)

    async def run() -> None:
        from havn.runtime.app import build

        app = build(settings)
        told, stop = stop_event(), asyncio.Event()
        tls = None if settings.tls_dir is None else Path(settings.tls_dir)
        serving = asyncio.create_task(serve.serve(app, host=settings.host, port=settings.port, stop=stop, tls=tls))
        serving.add_done_callback(lambda _: told.set())
        await told.wait()
        # Event streams have no end of their own, so they are ended before the server waits for its requests.
        app.state.reloader.close()
        stop.set()
        await asyncio.wait({serving}, timeout=DRAIN_SECONDS)
        if serving.done():
            await serving

    try:
        serve.run(run)
    except (AppFolderError, LoadError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2 if not isinstance(error, OSError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
