"""`havn exec`: a command inside an app, in the surroundings of one of its replicas."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

from cyclopts import Parameter

from havn.cli.output import Failure, JsonOption, write
from havn.cli.platform import LOCAL, EnvOption, StateOption, app_id, control_plane


def exec_(
    what: str,
    /,
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Run a command in one replica of an app: its folder, its environment, its secrets. Its exit code is passed on.

    On Kubernetes it runs in a pod, on this machine beside the app's process. Who runs what stands in the audit log,
    with every word of the command: give no secret as one.

    Parameters
    ----------
    what
        ORG/APP.
    command
        After --: the program and its arguments.
    json_
        Write each piece of what it writes, and how it ended, as a JSON object; bytes in base64.
    """
    if not command:
        raise Failure(f"Say what to run after two hyphens: `havn exec {what} -- python3 -V`.")

    async def run() -> int:
        import msgspec

        id_ = app_id(what)
        async with control_plane(state) as client:
            async for event in client.execute(env, id_.org, id_.app, command):
                if event.error is not None:
                    raise Failure(event.error)
                if json_:
                    write(msgspec.json.encode(event).decode())
                if event.code is not None:
                    return event.code
                if not json_:
                    stream = sys.stderr.buffer if event.stream == "stderr" else sys.stdout.buffer
                    stream.write(event.data)
                    stream.flush()
        raise Failure("The connection was lost before the command had ended.")

    sys.exit(asyncio.run(run()))
