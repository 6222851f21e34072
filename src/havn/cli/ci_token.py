"""`havn ci-token`: tokens for machines."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from havn.cli.access import OrgOption, Role, asked
from havn.cli.output import AnswerOption, say, write, write_json, write_outcome, write_table
from havn.cli.platform import StateOption

app = App(name="ci-token", help="Make tokens for machines, such as a CI.")


@app.command
def create(
    name: str,
    /,
    *,
    org: OrgOption,
    role: Annotated[list[Role] | None, Parameter(name="--role", negative="")] = None,
    days: int = 90,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Make a token and print it, this once. Give it to the machine as HAVN_TOKEN, beside HAVN_CONSOLE.

    Parameters
    ----------
    name
        What it is for.
    org
        For which org; '*' for all.
    role
        What it may do; may be given several times (default: deploy).
    days
        After how many days it ends, at most 400.
    """
    from havn.contracts.estate import CiTokenRequest

    request = CiTokenRequest(name=name, org=org, roles=role or ["deploy"], days=days)
    made = asked(lambda client: client.make_token(request), state)
    if json_:
        write_json(made)
        return
    say(f"Token {made.id} for {name}, until {made.expires.astimezone():%Y-%m-%d}. It is not shown again.")
    write(made.token or "")


@app.command(name="list")
def list_(*, state: StateOption = None, json_: AnswerOption = False) -> None:
    """List the tokens, with what they may do; never the tokens themselves."""
    found = asked(lambda client: client.tokens(), state)
    if json_:
        write_json(found)
        return
    rows = [
        (
            each.id,
            each.name,
            ", ".join(f"{grant.role} {grant.org}" for grant in each.grants),
            "revoked" if each.revoked else f"{each.expires.astimezone():%Y-%m-%d}",
            f"{each.last_used.astimezone():%Y-%m-%d %H:%M}" if each.last_used else "never",
        )
        for each in found
    ]
    write_table(
        ("ID", "NAME", "MAY", "UNTIL", "LAST USED"),
        rows,
        nothing="There are no tokens: `havn ci-token create` makes one.",
    )


@app.command
def revoke(
    id_: Annotated[str, Parameter(name="ID")], /, *, state: StateOption = None, json_: AnswerOption = False
) -> None:
    """End a token at once.

    Parameters
    ----------
    id_
        Its id, as `havn ci-token list` shows it.
    """
    asked(lambda client: client.end_token(id_), state)
    write_outcome(f"Token {id_} no longer works.", json_, id=id_, revoked=True)
