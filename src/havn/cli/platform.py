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
    from havn.clients.estate import EstateClient
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
    """The control plane that `HAVN_CONSOLE` names, else that of the platform that runs from the folder.

    Raises `Failure`.
    """
    from havn.cli.console import chosen
    from havn.clients.deploy import DeployClient

    async with chosen(given) as (http, token):
        yield DeployClient(http, token)


@asynccontextmanager
async def estate(given: Path | None) -> AsyncIterator[EstateClient]:
    """The same control plane, for what is no matter of one app. Raises `Failure`."""
    from havn.cli.console import chosen
    from havn.clients.estate import EstateClient

    async with chosen(given) as (http, token):
        yield EstateClient(http, token)


def app_id(text: str) -> AppId:
    """`ORG/APP`. Raises `Failure`."""
    from havn.appfolder.ids import AppId

    try:
        return AppId.parse(text)
    except ValueError as error:
        raise Failure(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
