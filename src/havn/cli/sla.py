"""`havn sla`: agree on service levels, declare maintenance, read the monthly report."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

from cyclopts import App, Parameter

from havn.cli.output import AnswerOption, Failure, JsonOption, say, write, write_json, write_outcome, write_table
from havn.cli.platform import LOCAL, EnvOption, StateOption, app_id

if TYPE_CHECKING:
    from havn.clients.levels import Headers, LevelsClient

T = TypeVar("T")

app = App(name="sla", help="Agree on service levels, declare maintenance, read the monthly report.")
maintenance = App(name="maintenance", help="Declare planned maintenance, list it, end it.")
app.command(maintenance)
sender = App(name="sender", help="Let the ingress of an owner's cluster send what it recorded.")
app.command(sender)


@app.command(name="list")
def list_(org: str, /, *, env: EnvOption = LOCAL, state: StateOption = None, json_: AnswerOption = False) -> None:
    """List an org's agreements.

    Parameters
    ----------
    org
        The service owner.
    """
    found = _ask(org, env, state, lambda client, headers: client.agreements(org, headers))
    if json_:
        write_json(found)
        return
    rows = [
        [
            each.name, each.app, each.plan or each.api or "", f"{each.targets.availability} %",
            "" if each.targets.latency_ms is None else f"{each.targets.latency_share} % ≤ {each.targets.latency_ms} ms",
            each.alert_url or "",
        ]
        for each in found
    ]  # fmt: skip
    write_table(["Name", "App", "For", "Availability", "Latency", "Alert"], rows)


@app.command(name="set")
def set_(
    what: str,
    name: str | None = None,
    /,
    *,
    availability: float,
    latency_ms: int | None = None,
    latency_share: float | None = None,
    api: str | None = None,
    plan: str | None = None,
    alert: str | None = None,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Make or change an agreement for each calendar month.

    Parameters
    ----------
    what
        ORG/APP.
    name
        The agreement's name (default: the app's).
    availability
        Per cent of the valid requests that must be good.
    latency_ms
        Milliseconds of the app's own time: 100, 250, 500, 1000 and others that the answer names.
    latency_share
        Per cent of the good requests that must be within them.
    api
        Only requests to this Api, by its id.
    plan
        Only requests under this plan, by its id.
    alert
        Address that is told when the error budget burns fast. The secret that signs the messages is printed.
    json_
        Write the agreement as JSON.
    """
    from havn.contracts.levels import AgreementTerms, Targets

    id_ = app_id(what)
    terms = AgreementTerms(
        app=id_.app,
        api=api,
        plan=plan,
        targets=Targets(availability=availability, latency_ms=latency_ms, latency_share=latency_share),
        alert_url=alert,
    )

    made = _ask(
        id_.org, env, state, lambda client, headers: client.put_agreement(id_.org, name or id_.app, terms, headers)
    )
    if json_:
        write_json(made)
        return
    say(f"Agreed as {made.id}.")
    if made.alert_secret is not None:
        say("Messages to the alert's address are signed with this secret:")
        write(made.alert_secret)


@app.command
def remove(
    org: str, name: str, /, *, env: EnvOption = LOCAL, state: StateOption = None, json_: AnswerOption = False
) -> None:
    """Take an agreement away; what was measured stays.

    Parameters
    ----------
    org
        The service owner.
    name
        The agreement's name.
    """
    _ask(org, env, state, lambda client, headers: client.remove_agreement(org, name, headers))
    write_outcome(f"Removed {org}.{name}.", json_, org=org, name=name, removed=True)


@app.command
def report(
    org: str,
    month: str | None = None,
    /,
    *,
    form: Annotated[Literal["table", "csv", "html"], Parameter(name="--as")] = "table",
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Show a month's service levels.

    Parameters
    ----------
    org
        The service owner.
    month
        Such as 2026-03 (default: this month).
    form
        table, csv, or html for a whole page.
    """
    wanted = month or f"{datetime.now(ZoneInfo('Europe/Oslo')):%Y-%m}"

    if form != "table" and not json_:
        text = _ask(org, env, state, lambda client, headers: client.report_text(org, wanted, form, headers))
        write(text.rstrip("\r\n"))
        return
    found = _ask(org, env, state, lambda client, headers: client.report(org, wanted, headers))
    if json_:
        write_json(found)
        return
    if not found.complete:
        say(f"{wanted} is not over.")
    lines = [(entry.agreement.name, part, row) for entry in found.entries for part, row in _parts(entry)]
    lines += [("", each.app or "", each) for each in found.apps]
    rows = [
        [
            agreement, part, str(row.counts.valid), str(row.counts.bad), _percent(row.availability),
            _percent(row.backend_share), _percent(row.budget_left),
            "" if row.kept is None else "yes" if row.kept else "no", str(row.planned.valid),
        ]
        for agreement, part, row in lines
    ]  # fmt: skip
    write_table(
        ["Agreement", "Of", "Valid", "Bad", "Availability", "In time", "Budget left", "Kept", "In maintenance"], rows
    )


@maintenance.command(name="list")
def maintenance_list(
    org: str, /, *, env: EnvOption = LOCAL, state: StateOption = None, json_: AnswerOption = False
) -> None:
    """List an org's planned maintenance.

    Parameters
    ----------
    org
        The service owner.
    """
    found = _ask(org, env, state, lambda client, headers: client.maintenance(org, headers))
    if json_:
        write_json(found)
        return
    rows = [
        [
            each.id, each.app or "*", f"{each.starts:%Y-%m-%d %H:%MZ}", f"{each.ends:%Y-%m-%d %H:%MZ}",
            "left out" if each.in_advance else "counted", "" if each.cancelled is None else "ended early", each.reason,
        ]
        for each in found
    ]  # fmt: skip
    write_table(["Id", "App", "From", "To", "Figures", "State", "Reason"], rows)


@maintenance.command
def declare(
    what: str,
    /,
    *,
    starts: Annotated[datetime, Parameter(name="--from")],
    ends: Annotated[datetime, Parameter(name="--to")],
    reason: str,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Declare planned maintenance; what is declared before it begins is left out of the figures.

    Parameters
    ----------
    what
        ORG/APP, or ORG for all its apps.
    starts
        When it begins, a whole minute such as 2026-03-01T22:00 (Norwegian time, or say +00:00).
    ends
        When it ends.
    reason
        What is done, for the report.
    """
    from havn.contracts.levels import NewMaintenance

    org, _, name = what.partition("/")
    wanted = NewMaintenance(app=name or None, starts=_local(starts), ends=_local(ends), reason=reason)

    made = _ask(org, env, state, lambda client, headers: client.declare(org, wanted, headers))
    if json_:
        write_json(made)
        return
    say(f"Declared {made.id}.")
    if not made.in_advance:
        say("It began before it was declared, so its requests count in the figures; it is shown in the report.")


@maintenance.command
def end(
    org: str,
    id_: Annotated[str, Parameter(name="ID")],
    /,
    *,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """End maintenance now, or call it off.

    Parameters
    ----------
    org
        The service owner.
    id_
        Which, as the list shows.
    """
    _ask(org, env, state, lambda client, headers: client.cancel(org, id_, headers))
    write_outcome(f"Ended {id_}.", json_, org=org, id=id_, ended=True)


@sender.command(name="add")
def sender_add(
    org: str, name: str, /, *, env: EnvOption = LOCAL, state: StateOption = None, json_: AnswerOption = False
) -> None:
    """Make a sender, or give one another secret; the secret is printed this once.

    Parameters
    ----------
    org
        The service owner, whose counts alone it may send.
    name
        The sender's name, such as the cluster's.
    """
    made = _ask(org, env, state, lambda client, headers: client.make_sender(org, name, headers))
    write_outcome(made.token, json_, org=org, name=name, token=made.token)


@sender.command(name="list")
def sender_list(org: str, /, *, env: EnvOption = LOCAL, state: StateOption = None, json_: AnswerOption = False) -> None:
    """List an org's senders.

    Parameters
    ----------
    org
        The service owner.
    """
    found = _ask(org, env, state, lambda client, headers: client.senders(org, headers))
    if json_:
        write_json(found)
        return
    rows = [
        [each.name, f"{each.created:%Y-%m-%d %H:%MZ}", f"{each.last_used:%Y-%m-%d %H:%MZ}" if each.last_used else ""]
        for each in found
    ]
    write_table(["Name", "Made", "Last used"], rows)


@sender.command(name="remove")
def sender_remove(
    org: str, name: str, /, *, env: EnvOption = LOCAL, state: StateOption = None, json_: AnswerOption = False
) -> None:
    """Take a sender away; its secret is good for nothing from then on.

    Parameters
    ----------
    org
        The service owner.
    name
        The sender's name.
    """
    _ask(org, env, state, lambda client, headers: client.remove_sender(org, name, headers))
    write_outcome(f"Removed {org}.{name}.", json_, org=org, name=name, removed=True)


def _ask(org: str, env: str, state: Path | None, call: Callable[[LevelsClient, Headers], Awaitable[T]]) -> T:
    """Ask the environment's management API about `org`, as an operator of it."""
    if not org or "/" in org:
        raise Failure(f"{org or 'That'} is not a service owner: give its code, such as ttd.")

    async def run() -> T:
        from havn.cli.console import chosen
        from havn.clients.levels import LevelsClient

        async with chosen(state) as (http, token):
            base = f"/api/v1/environments/{quote(env)}/orgs/{quote(org)}/management/levels"
            return await call(LevelsClient(http, base), {"authorization": f"Bearer {token}"})

    return asyncio.run(run())


def _parts(entry: Any) -> list[tuple[str, Any]]:
    parts = [("all", entry.whole)]
    parts += [(f"version {each.version or '–'}", each) for each in entry.versions]
    parts += [(f"subscription {each.subscription or '–'}", each) for each in entry.subscriptions]
    return parts


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".") + " %"


def _local(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo("Europe/Oslo"))
