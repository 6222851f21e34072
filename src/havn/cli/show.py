"""`havn ps`, `status`, `history`, `audit`: what is, what was asked for, and what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter

from havn.cli.output import AnswerOption, JsonOption, write, write_json, write_table
from havn.cli.platform import LOCAL, EnvOption, StateOption, app_id, control_plane

if TYPE_CHECKING:
    from havn.clients.deploy import DeployClient
    from havn.contracts.deploy import AppInfo, MachinePart

T = TypeVar("T")


def ps(
    *,
    env: Annotated[str | None, Parameter(name=["--env", "-e"])] = None,
    org: Annotated[str | None, Parameter(name="--org")] = None,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """List apps: what was asked for, beside what the cluster says.

    Parameters
    ----------
    env
        Only this environment.
    org
        Only this owner.
    """
    apps = _ask(lambda client: client.apps(environment=env, org=org), state)
    if json_:
        write_json(apps)
        return
    write_table(
        ("App", "Environment", "Rev", "Release", "Asked", "Ready", "Restarts", "State", "Address"),
        [
            (
                f"{each.org}/{each.app}",
                each.environment,
                str(each.revision),
                _short(each.release),
                str(each.replicas),
                str(each.ready),
                str(sum(replica.restarts for replica in each.actual)),
                _state(each),
                each.address,
            )
            for each in apps
        ],
        nothing=f"No app{f' of {org}' if org else ''} is deployed{f' in {env}' if env else ''} that you may see.",
    )


def status(
    what: str | None = None, /, *, env: EnvOption = LOCAL, state: StateOption = None, json_: AnswerOption = False
) -> None:
    """Show one app in full, or without one how the parts of the platform are.

    Parameters
    ----------
    what
        ORG/APP.
    """
    if what is None:
        _status_of_platform(state, json_)
        return
    id_ = app_id(what)
    info = _ask(lambda client: client.app(env, id_.org, id_.app, drift=True), state)
    if json_:
        write_json(info)
        return
    write(f"{info.org}/{info.app} in {info.environment}: {_state(info)}")
    write(f"  Address   {info.address}")
    write(f"  Asked     release {_short(info.release)}, {info.replicas} replicas, revision {info.revision}")
    write(f"  Runs      {info.ready} ready of {_staying(info)}")
    for replica in info.actual:
        reason = f": {replica.reason}" if replica.reason else ""
        write(
            f"    {replica.name}  {replica.state} since {_when(replica.since)}, release {_short(replica.release)}, "
            f"{replica.restarts} restarts{reason}"
        )
    if (bounds := info.scaling) is not None:
        write(f"  Scaling   {bounds.minimum} to {bounds.maximum} replicas, at {bounds.cpu} percent CPU")
    if info.base is not None:
        write(f"  Base      {_short(info.base)}")
    for sentence in info.drift or ():
        write(f"  Drift     {sentence}")
    if info.drift:
        write(f"  `havn heal {info.org}/{info.app} --env {info.environment}` puts it back as it was deployed.")


def _status_of_platform(state: Path | None, json_: bool) -> None:
    async def ask(client: DeployClient) -> tuple[list[MachinePart], list[AppInfo]]:
        return await client.machine(), await client.apps()

    parts, apps = _ask(ask, state)
    if json_:
        write_json({"parts": parts, "apps": apps})
        return
    write_table(
        ("Part", "State", "Restarts", "Process", "Reason"),
        [(p.name, p.state, str(p.restarts), str(p.pid or ""), p.reason or "") for p in parts],
    )
    ready = sum(each.ready == each.replicas for each in apps)
    write(f"{ready} of {len(apps)} apps run as asked; `havn ps` lists them.")


def history(what: str, /, *, env: EnvOption = LOCAL, state: StateOption = None, json_: AnswerOption = False) -> None:
    """List the changes to an app, newest first.

    Parameters
    ----------
    what
        ORG/APP.
    """
    id_ = app_id(what)
    changes = _ask(lambda client: client.history(env, id_.org, id_.app), state)
    if json_:
        write_json(changes)
        return
    write_table(
        ("Rev", "When", "Kind", "Release", "Replicas", "Status", "By", "Reason"),
        [
            (
                str(each.revision),
                _when(each.requested),
                each.kind,
                _short(each.release or ""),
                str(each.replicas),
                each.status,
                each.requested_by,
                each.reason or "",
            )
            for each in changes
        ],
        nothing=f"{id_} was never deployed in {env}: `havn ps` lists what is, in every environment.",
    )


def audit(
    *,
    org: Annotated[str | None, Parameter(name="--org")] = None,
    lines: Annotated[int, Parameter(name=["--lines", "-n"])] = 50,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Show who did what, newest first.

    Parameters
    ----------
    org
        Only this owner.
    lines
        How many entries.
    json_
        Write them as JSON, with what was there before and after.
    """
    entries = _ask(lambda client: client.audit(org=org, limit=lines), state)
    if json_:
        write_json(entries)
        return
    write_table(
        ("When", "Who", "From", "Action", "App", "Environment"),
        [(_when(e.at), e.who, e.address, e.action, f"{e.org}/{e.app}".strip("/"), e.environment) for e in entries],
        nothing="Nothing is in the audit log that you may see" + (f", of {org}." if org else "."),
    )


def _ask(ask: Callable[[DeployClient], Awaitable[T]], state: Path | None) -> T:
    async def run() -> T:
        async with control_plane(state) as client:
            return await ask(client)

    return asyncio.run(run())


def _state(info: AppInfo) -> str:
    if info.changing is not None:
        return info.changing
    if info.problem is not None:
        return info.problem
    if info.ready == info.replicas == _staying(info):
        return "as asked"
    reasons = [replica.reason for replica in info.actual if replica.reason]
    return reasons[0] if reasons else "not as asked"


def _staying(info: AppInfo) -> int:
    # Those of the release before may still be ending what they have begun.
    return sum(replica.state != "stopping" for replica in info.actual)


def _when(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
