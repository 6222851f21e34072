"""How a command finds the state folder and the platform that runs from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from havn.cli.output import Failure
from havn.cli.where import reach, state_folder

if TYPE_CHECKING:
    from havn.appfolder.ids import AppId
    from havn.clients.deploy import DeployClient
    from havn.clients.estate import EstateClient

StateOption = Annotated[
    Path | None, Parameter(name="--state", help="State folder (default: HAVN_STATE, else .havn here).")
]
HomeOption = Annotated[
    StateOption, Parameter(help="Folder that everything is kept in (default: HAVN_STATE, else .havn here).")
]
EnvOption = Annotated[str, Parameter(name=["--env", "-e"], help="The environment.")]
AsOption = Annotated[str | None, Parameter(name="--as")]

LOCAL = "local"

__all__ = [
    "LOCAL",
    "AsOption",
    "EnvOption",
    "HomeOption",
    "StateOption",
    "app_id",
    "control_plane",
    "estate",
    "reach",
    "state_folder",
]


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
