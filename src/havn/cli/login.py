"""`havn login`, `logout`, `whoami`: signing in to a control plane, on whatever screen the person has."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from havn.cli import console
from havn.cli.output import AnswerOption, Failure, JsonOption, say, write, write_json, write_outcome, write_table
from havn.cli.platform import StateOption, estate, reach

if TYPE_CHECKING:
    from havn.contracts.estate import Session, WhoAmI


def login(address: str | None = None, /, *, state: StateOption = None, json_: JsonOption = False) -> None:
    """Sign in: a code is shown, and you confirm it in a browser on any device.

    Parameters
    ----------
    address
        The control plane (default: HAVN_CONSOLE, else the one that runs here).
    json_
        Write who you are as JSON; the code stays on standard error.
    """
    named = address or os.environ.get(console.CONSOLE)
    where = console.address(named or f"http://console.{reach(state).domain}")
    session = asyncio.run(_login(where))
    assert session.token is not None
    assert session.expires is not None
    kept = console.Login(session.token, session.expires, session.name)
    console.keep({**console.logins(), where: kept})
    say(f"Until {session.expires.astimezone():%Y-%m-%d %H:%M}. Use it with --console {where}, or HAVN_CONSOLE={where}.")
    if json_:
        write_json({"console": where, "subject": session.subject, "name": session.name, "expires": session.expires})
    else:
        write(f"Signed in to {where} as {session.name} ({session.subject}).")


def logout(address: str | None = None, /, *, json_: AnswerOption = False) -> None:
    """Sign out, there and here.

    Parameters
    ----------
    address
        The control plane (default: HAVN_CONSOLE, else the only one you are signed in to).
    """
    known = console.logins()
    named = address or os.environ.get(console.CONSOLE)
    if named is None and len(known) == 1:
        named = next(iter(known))
    if named is None:
        raise Failure(f"Say of which control plane: {', '.join(known) or 'you are signed in to none'}.")
    where = console.address(named)
    found = known.pop(where, None)
    if found is None:
        raise Failure(f"Nobody is signed in to {where}.")
    # Here first: what cannot be reached must not keep the token on this disk.
    console.keep(known)
    asyncio.run(_logout(where, found.token))
    write_outcome(f"Signed out of {where}.", json_, console=where)


def whoami(*, state: StateOption = None, json_: AnswerOption = False) -> None:
    """Show who you are to the control plane, and what you may do."""

    async def ask() -> WhoAmI:
        async with estate(state) as client:
            return await client.whoami()

    found = asyncio.run(ask())
    if json_:
        write_json(found)
        return
    write(f"{found.name} ({found.subject})")
    if found.grants:
        write_table(("ROLE", "ORG"), [(each.role, "all" if each.org == "*" else each.org) for each in found.grants])
    else:
        say("You hold no role yet: ask an administrator, and name your subject above.")


async def _login(where: str) -> Session:
    from havn.clients.estate import EstateClient

    http = console.connect(where)
    try:
        client = EstateClient(http, None)
        begun = await client.begin_login()
        say(f"Open {begun.verification_uri} and enter the code {begun.user_code}.")
        if begun.verification_uri_complete:
            say(f"Or open {begun.verification_uri_complete}")
        until, pause = time.monotonic() + begun.expires_in, begun.interval
        while time.monotonic() < until:
            await asyncio.sleep(pause)
            session = await client.poll_login(begun.device_code)
            if not session.waiting:
                return session
            pause += session.interval
    finally:
        await http.close()
    raise Failure("Nobody confirmed the code in time: begin again.")


async def _logout(where: str, token: str) -> None:
    from havn.clients.estate import EstateClient
    from havn.kit.problem import Problem

    http = console.connect(where)
    try:
        await EstateClient(http, token).logout()
    except Problem as problem:
        if problem.status != 401:
            say(f"{where} could not be told ({problem.detail}): the session ends there by itself within 12 hours.")
    finally:
        await http.close()
