"""`havn access`: who may do what."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from cyclopts import App, Parameter

from havn.cli.output import AnswerOption, write_json, write_outcome, write_table
from havn.cli.platform import StateOption, estate

if TYPE_CHECKING:
    from havn.clients.estate import EstateClient

T = TypeVar("T")
Role = Literal["look", "deploy", "approve", "administer"]
OrgOption = Annotated[str, Parameter(name="--org")]
# Providers give subjects that begin with a hyphen too.
Subject = Annotated[str, Parameter(allow_leading_hyphen=True)]

app = App(name="access", help="Give roles to people and tokens, and take them back.")


def asked(ask: Callable[[EstateClient], Awaitable[T]], state: Path | None) -> T:
    """What the control plane answers."""

    async def run() -> T:
        async with estate(state) as client:
            return await ask(client)

    return asyncio.run(run())


@app.command
def grant(
    subject: Subject, role: Role, /, *, org: OrgOption, state: StateOption = None, json_: AnswerOption = False
) -> None:
    """Give somebody a role. Deploy and approve include look; administer includes all.

    Parameters
    ----------
    subject
        Who: as `havn whoami` shows it to them, or token:ID.
    role
        look, deploy, approve or administer.
    org
        For which org; '*' for all.
    """
    from havn.contracts.estate import GrantRequest

    asked(lambda client: client.grant(GrantRequest(subject=subject, org=org, role=role)), state)
    told = f"{subject} may {role} for {'all orgs' if org == '*' else org}."
    write_outcome(told, json_, subject=subject, role=role, org=org, granted=True)


@app.command
def revoke(
    subject: Subject, role: Role, /, *, org: OrgOption, state: StateOption = None, json_: AnswerOption = False
) -> None:
    """Take a role back; it holds from the next request on.

    Parameters
    ----------
    subject
        Who.
    role
        look, deploy, approve or administer.
    org
        For which org; '*' for all.
    """
    from havn.contracts.estate import GrantRequest

    asked(lambda client: client.revoke(GrantRequest(subject=subject, org=org, role=role)), state)
    told = f"{subject} may {role} for {'all orgs' if org == '*' else org} no longer."
    write_outcome(told, json_, subject=subject, role=role, org=org, granted=False)


@app.command(name="list")
def list_(*, state: StateOption = None, json_: AnswerOption = False) -> None:
    """List who holds which role, for the orgs that you administer."""
    found = asked(lambda client: client.grants(), state)
    if json_:
        write_json(found)
        return
    rows = [("all" if each.org == "*" else each.org, each.role, each.name, each.subject) for each in found]
    write_table(("ORG", "ROLE", "NAME", "SUBJECT"), rows, nothing="No roles are given to anybody.")
