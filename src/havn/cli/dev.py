"""`havn dev`: an app run from its folder, read again on every save."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from havn.cli.check import show_findings
from havn.cli.output import Failure, JsonOption, say, write
from havn.cli.platform import AsOption, StateOption, app_id, control_plane, state_folder
from havn.kit.signals import stop_event


def dev(
    path: Path = Path(),
    /,
    *,
    as_: AsOption = None,
    port: int = 8000,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Run an app from its folder until Ctrl-C; its address leads here meanwhile. Starts a platform when none runs.

    Parameters
    ----------
    path
        The folder that holds App/, or App/ itself.
    as_
        ORG/APP, for a template with [ORG]/[APP] in it.
    port
        Port of the platform, when one has to be started.
    json_
        Write each event as a JSON object.
    """
    import uvloop

    uvloop.run(_dev(path, as_, port, state, json_))


async def _dev(path: Path, as_: str | None, port: int, state: Path | None, json_: bool) -> None:
    org, app = _whose(path, as_)
    stop = stop_event(signal.SIGHUP)
    async with AsyncExitStack() as stack:
        await _ensure_platform(port, state, stack)
        watching = asyncio.create_task(_watch(path, org, app, state, json_))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not watching.done():
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        else:
            await watching


def _whose(path: Path, as_: str | None) -> tuple[str, str]:
    from havn.appfolder import AppFolder, AppFolderError

    if not path.is_dir():
        raise Failure(f"{path} is not a folder: name the one that holds App/.")
    try:
        folder = AppFolder.read(path, as_=app_id(as_) if as_ is not None else None)
    except AppFolderError as error:
        show_findings(error.findings, say)
        raise Failure(f"{path} cannot be run yet.") from None
    if "[" in folder.id:
        raise Failure(f"{path} is a template: say whose app it shall be with --as ORG/APP.")
    return folder.org, folder.app


async def _ensure_platform(port: int, state: Path | None, stack: AsyncExitStack) -> None:
    from havn.local import reach
    from havn.local.state import State
    from havn.local.up import LocalPlatform, UpError

    folder = state_folder(state)
    if reach.find(folder) is not None:
        return
    say("No platform runs here: starting one.")
    platform = LocalPlatform(State(folder), port=port, report=lambda *_: None)
    try:
        await platform.start()
    except UpError as error:
        raise Failure(str(error)) from error
    stack.push_async_callback(platform.stop)


async def _watch(path: Path, org: str, app: str, state: Path | None, json_: bool) -> None:
    from havn.contracts.deploy import DevRequest

    async with control_plane(state) as client:
        async for event in client.dev(DevRequest(folder=str(path.resolve()), org=org, app=app)):
            if event.kind == "alive":
                continue
            if json_:
                write(msgspec.json.encode(event).decode())
            elif event.kind == "ready":
                write(f"Ready: {event.text}")
            else:
                say(event.text)
    raise Failure("The app ended.")
