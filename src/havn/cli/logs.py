"""`havn logs`: what an app's replicas, or a part of the platform, have written."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from havn.cli.output import Failure, JsonOption, write, write_json
from havn.cli.platform import LOCAL, EnvOption, StateOption, app_id, control_plane, state_folder

_PARTS = ("platform", "ingress", "egress", "postgres", "console")


def logs(
    what: str,
    /,
    *,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="")] = False,
    lines: Annotated[int, Parameter(name=["--lines", "-n"])] = 100,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Show an app's log, or that of a part of the platform.

    Parameters
    ----------
    what
        ORG/APP, or a part: platform, ingress, egress, postgres or console.
    follow
        Go on with what comes, until Ctrl-C.
    lines
        How many lines to begin with.
    json_
        Write each line as a JSON object.
    """
    if what in _PARTS:
        _part(what, state_folder(state), lines, follow, json_)
    else:
        asyncio.run(_app(what, env, state, lines, follow, json_))


async def _app(what: str, env: str, state: Path | None, lines: int, follow: bool, json_: bool) -> None:
    import msgspec

    id_ = app_id(what)
    async with control_plane(state) as client:
        async for line in client.logs(env, id_.org, id_.app, lines=lines, follow=follow):
            if json_:
                write(msgspec.json.encode(line).decode())
            else:
                write(f"{line.time.astimezone():%H:%M:%S} {line.replica} {line.text}")


def _part(part: str, folder: Path, lines: int, follow: bool, json_: bool) -> None:
    """The log files of the platform's own parts are read as they are, also when nothing runs."""
    if follow:
        raise Failure(
            f"Only apps can be followed; `tail -f {folder}/logs/{part}.log` does it for the platform's parts."
        )
    try:
        text = (folder / "logs" / f"{part}.log").read_text(errors="replace").splitlines()[-lines:]
    except OSError as error:
        raise Failure(f"{error.filename} cannot be read: {error.strerror}.") from None
    if json_:
        write_json(text)
    else:
        sys.stdout.write("".join(f"{line}\n" for line in text))
