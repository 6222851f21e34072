"""`havn up`: the whole platform on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from havn.cli.output import Failure, JsonOption, say, write, write_json, write_table
from havn.cli.platform import HomeOption, state_folder
from havn.kit.signals import stop_event

if TYPE_CHECKING:
    from havn.local.up import LocalPlatform


def up(
    *,
    state: HomeOption = None,
    port: int = 8000,
    examples: Annotated[bool, Parameter(negative="--no-examples")] = True,
    json_: JsonOption = False,
) -> None:
    """Start the platform with the example apps, show its addresses and test users, and run until Ctrl-C.

    Parameters
    ----------
    port
        Port on the loopback addresses that everything is reached at.
    examples
        Deploy the example apps if they are not there.
    json_
        Write the addresses as JSON.
    """
    import uvloop

    uvloop.run(_up(state_folder(state), port, examples, json_))


async def _up(folder: Path, port: int, examples: bool, json_: bool) -> None:
    from havn.local.examples import deploy_examples
    from havn.local.state import State
    from havn.local.up import LocalPlatform, UpError

    began = time.perf_counter()
    stop = stop_event(signal.SIGHUP)

    def report(step: str, seconds: float) -> None:
        say(f"{step:<40}{seconds:6.2f} s" if seconds else step)

    platform = LocalPlatform(State(folder), port=port, report=report)
    starting = asyncio.create_task(platform.start())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return
    try:
        await starting
    except UpError as error:
        raise Failure(str(error)) from error
    try:
        apps = asyncio.create_task(deploy_examples(platform, wanted=examples, report=report))
        await asyncio.wait({apps, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            await apps
            await _show(platform, time.perf_counter() - began, json_)
            await stop.wait()
        apps.cancel()
        await asyncio.gather(apps, return_exceptions=True)
    finally:
        say("Stopping …")
        ended = time.perf_counter()
        await platform.stop()
        say(f"Stopped in {time.perf_counter() - ended:.1f} s. Everything is kept in {folder}.")


async def _show(platform: LocalPlatform, seconds: float, json_: bool) -> None:
    from havn.local.testdata import fixed

    apps = await platform.apps()
    people = fixed.dataset().logins
    if json_:
        write_json(
            {
                "seconds": round(seconds, 2),
                "platform": platform.addresses.public("platform"),
                "console": f"{platform.addresses.public('console')}/api/v1",
                "apps": apps,
                "users": [{"name": p.name, "pid": p.pid, "about": p.about.get("en", "")} for p in people],
            }
        )
        return
    write("")
    write_table(
        ("App", "Address", "Ready"),
        [(f"{each.org}/{each.app}", each.address, f"{each.ready} of {each.replicas}") for each in apps],
    )
    write_table(
        ("Test user", "National identity number", "Who"), [(p.name, p.pid, p.about.get("en", "")) for p in people]
    )
    write(f"Up in {seconds:.1f} s. Sign in as any test user; Ctrl-C stops everything.")
    sys.stdout.flush()
