"""`havn maintenance` and `havn block`: shut an app for a while, and keep an abusive client out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from zoneinfo import ZoneInfo

from cyclopts import App, Parameter

from havn.cli.output import AnswerOption, Failure, JsonOption, say, write_json, write_outcome, write_table
from havn.cli.platform import LOCAL, EnvOption, StateOption, app_id

if TYPE_CHECKING:
    from havn.clients.protection import ProtectionClient

T = TypeVar("T")

maintenance = App(name="maintenance", help="Shut an app for a while, with a page that says so.")
block = App(name="block", help="Keep an abusive client out.")

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@maintenance.command(name="on")
def on(
    what: str,
    /,
    *,
    message: str = "",
    until: datetime | None = None,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Answer every request to an app with a page that says it is down for maintenance.

    Parameters
    ----------
    what
        ORG/APP.
    message
        Shown to people as it stands.
    until
        When it ends by itself, such as 2026-03-01T22:00 (Norwegian time); without, it ends when it is taken off.
    """
    from havn.contracts.protection import ClosingRequest

    id_ = app_id(what)
    if until is not None and until.tzinfo is None:
        until = until.replace(tzinfo=ZoneInfo("Europe/Oslo"))

    made = _ask(
        env, state, lambda client: client.close_app(id_.org, id_.app, ClosingRequest(message=message, until=until))
    )
    where = "" if env == LOCAL else f" --env {env}"
    told = (
        f"{what} is in maintenance. End it with `havn maintenance off {what}{where}`."
        if made.in_force
        else f"The cluster of {id_.org} in {env} does not answer: {what} is in maintenance as soon as it does."
    )
    write_outcome(told, json_, app=what, environment=env, maintenance=True, in_force=made.in_force)


@maintenance.command(name="off")
def off(what: str, /, *, env: EnvOption = LOCAL, state: StateOption = None, json_: AnswerOption = False) -> None:
    """Let requests through to an app again.

    Parameters
    ----------
    what
        ORG/APP.
    """
    id_ = app_id(what)

    done = _ask(env, state, lambda client: client.open_app(id_.org, id_.app))
    told = (
        f"{what} is open."
        if done
        else f"The cluster of {id_.org} in {env} does not answer: {what} is open as soon as it does."
    )
    write_outcome(told, json_, app=what, environment=env, maintenance=False, in_force=done)


@maintenance.command(name="list")
def closed(*, env: EnvOption = LOCAL, state: StateOption = None, json_: AnswerOption = False) -> None:
    """List the apps in maintenance."""
    found = _ask(env, state, lambda client: client.closed())
    if json_:
        write_json(found)
        return
    rows = [
        [
            f"{each.org}/{each.app}", _time(each.since), _time(each.until), "yes" if each.in_force else "not yet",
            each.who, each.message,
        ]
        for each in found
    ]  # fmt: skip
    write_table(["App", "Since", "Until", "In force", "By", "Message"], rows)


@block.command(name="add")
def add(
    address: str | None = None,
    /,
    *,
    subscription: str | None = None,
    during: Annotated[str, Parameter(name="--for")] = "1h",
    reason: str,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Block an address, a range or a subscription; in force within seconds.

    Parameters
    ----------
    address
        Such as 192.0.2.7 or 2001:db8::/48.
    subscription
        Or a subscription, by its id: it is suspended until the block ends.
    during
        How long, such as 90s, 10m, 1h or 30d.
    reason
        Why, for the audit log.
    json_
        Write the block as JSON.
    """
    from havn.contracts.protection import BlockRequest

    match = re.fullmatch(r"([0-9]{1,7})([smhd])", during)
    if match is None or not int(match[1]):
        raise Failure(f"{during} is no length of time: say 90s, 10m, 1h or 30d.")
    if (address is None) == (subscription is None):
        raise Failure("Say whom: an address, or --subscription ID.")
    wanted = BlockRequest(
        network=address, subscription=subscription, seconds=int(match[1]) * _UNITS[match[2]], reason=reason
    )

    made = _ask(env, state, lambda client: client.block(wanted))
    if json_:
        write_json(made)
        return
    say(f"Blocked {made.network or made.subscription} until {_time(made.until)} as {made.id}.")
    if made.waiting:
        say(f"Not yet in the clusters of {', '.join(made.waiting)}, which do not answer: there as soon as they do.")
    if made.behind_proxy:
        say(
            f"No use for {', '.join(made.behind_proxy)}, behind a proxy whose address is all that is seen: block there."
        )


@block.command(name="list")
def blocks(*, env: EnvOption = LOCAL, state: StateOption = None, json_: AnswerOption = False) -> None:
    """List what is blocked."""
    found = _ask(env, state, lambda client: client.blocks())
    if json_:
        write_json(found)
        return
    rows = [
        [
            each.id, each.network or each.subscription or "", _time(each.until), ", ".join(each.waiting), each.who,
            each.reason,
        ]
        for each in found
    ]  # fmt: skip
    write_table(["Id", "Whom", "Until", "Not yet in", "By", "Reason"], rows)


@block.command(name="remove")
def remove(
    id_: Annotated[str, Parameter(name="ID")],
    /,
    *,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Take a block away.

    Parameters
    ----------
    id_
        Which, as the list shows.
    """
    done = _ask(env, state, lambda client: client.unblock(id_))
    told = f"Took {id_} away." + ("" if done else " Some clusters do not answer: there it ends as soon as they do.")
    write_outcome(told, json_, id=id_, removed=True, in_force=done)


def _ask(env: str, state: Path | None, call: Callable[[ProtectionClient], Awaitable[T]]) -> T:
    async def run() -> T:
        from havn.cli.console import chosen
        from havn.clients.protection import ProtectionClient

        async with chosen(state) as (http, token):
            return await call(ProtectionClient(http, token, env))

    return asyncio.run(run())


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(ZoneInfo('Europe/Oslo')):%Y-%m-%d %H:%M:%S}"
