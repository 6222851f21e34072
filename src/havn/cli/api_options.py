"""What the commands of `havn api` share: their options, and asking the management API through the control plane."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter

from havn.cli.output import Failure

if TYPE_CHECKING:
    from havn.clients.credentials import Credentials
    from havn.clients.management import ManagementClient

T = TypeVar("T")

Org = Annotated[str, Parameter(name="--org", help="For which org you act; all of them when you may.")]
Reason = Annotated[str, Parameter(name=["--reason", "-m"], help="Why: the consumer reads it.")]

EVERY = "*"


def ask(call: Callable[[ManagementClient, Credentials], Awaitable[T]], *, org: str, env: str, state: Path | None) -> T:
    """Ask the environment's management API, as an operator of `org`. Raises `Failure` and the API's `Problem`."""

    async def run() -> T:
        from havn.cli.console import chosen
        from havn.clients.credentials import Credentials
        from havn.clients.management import ManagementClient

        async with chosen(state) as (http, token):
            base = f"/api/v1/environments/{_plain(env)}/orgs/{_plain(org)}/management"
            return await call(ManagementClient(http, base), Credentials(token=token))

    return asyncio.run(run())


def org_of(api: str) -> str:
    """The org in an Api's or a plan's id. Raises `Failure` when it is none."""
    parts = api.partition(":")[0].split(".")
    if len(parts) != 4 or not all(parts):
        raise Failure(f"{api[:80]!r} is not an Api's id: it is ORG.APP.NAME.VERSION, as `havn api list` shows it.")
    return _plain(parts[0])


def moment(text: str | None, what: str) -> datetime | None:
    """A date (its first moment, UTC) or a time with its zone. Raises `Failure`."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Failure(f"{what} is not a date such as 2027-06-30: {text[:40]!r}.") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def shown(at: datetime | None) -> str:
    """A moment in a table."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M") if at is not None else "-"


def _plain(text: str) -> str:
    if text != EVERY and not text.isalnum():
        raise Failure(f"{text[:60]!r} cannot be a name here: use letters and digits.")
    return text
