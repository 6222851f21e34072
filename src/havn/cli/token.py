"""`havn token`: the control plane's token, for scripts."""

from __future__ import annotations

from havn.cli.output import Failure, JsonOption, write, write_json
from havn.cli.platform import StateOption, reach, state_folder


def token(*, state: StateOption = None, json_: JsonOption = False) -> None:
    """Print the token of the control plane that runs here; with --json, its address too.

    Parameters
    ----------
    json_
        Write token and address as JSON.
    """
    path = state_folder(state) / "token"
    try:
        found = path.read_text().strip()
    except OSError as error:
        raise Failure(f"{path} cannot be read ({error.strerror}): start a platform with `havn up`.") from None
    if json_:
        write_json({"token": found, "address": f"{reach(state).console}/api/v1"})
    else:
        write(found)
