"""How a command finds the state folder and the platform that runs from it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from havn.cli.output import Failure

if TYPE_CHECKING:
    from havn.appfolder.ids import AppId
    from havn.clients.deploy import DeployClient
    from havn.local.reach import Reach

StateOption = Annotated[Path | None, Parameter(name="--state")]
EnvOption = Annotated[str, Parameter(name=["--env", "-e"])]
AsOption = Annotated[str | None, Parameter(name="--as")]

LOCAL = "local"


def state_folder(given: Path | None) -> Path:
    """The folder that was given, or that `HAVN_STATE` names, or `.havn` here."""
    return given or Path(os.environ.get("HAVN_STATE", ".havn"))


def reach(given: Path | None) -> Reach:
    """How to reach the platform that runs from the folder. Raises `Failure` when none does."""
    from havn.local import reach as reaching

    folder = state_folder(given)
    found = reaching.find(folder)
    if found is None:
        raise Failure(f"No platform runs from {folder.absolute()}: start one with `havn up`, or say --state.")
    return found


@asynccontextmanager
async def control_plane(given: Path | None) -> AsyncIterator[DeployClient]:
    """The control plane of the platform that runs from the folder. Raises `Failure`."""
    from havn.clients.deploy import DeployClient
    from havn.kit.http import HttpClient

    where = reach(given)
    path = state_folder(given) / "token"
    try:
        token = path.read_text().strip()
    except OSError as error:
        raise Failure(f"{path} cannot be read ({error.strerror}): only who started the platform may use it.") from None
    http = HttpClient(where.console, name="The control plane", timeout=40, verify=False)
    try:
        yield DeployClient(http, token)
    finally:
        await http.close()


def app_id(text: str) -> AppId:
    """`ORG/APP`. Raises `Failure`."""
    from havn.appfolder.ids import AppId

    try:
        return AppId.parse(text)
    except ValueError as error:
        raise Failure(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
