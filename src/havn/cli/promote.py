"""`havn promote`, `approvals`, `approve`, `reject`: the same release into the next environment, when another agrees."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter

from havn.cli.deploy import MapOption, StrandOption, carry_out, mapped
from havn.cli.output import AnswerOption, Failure, JsonOption, say, write_json, write_table
from havn.cli.platform import StateOption, app_id, control_plane

if TYPE_CHECKING:
    from havn.clients.deploy import DeployClient

T = TypeVar("T")
CommentOption = Annotated[str | None, Parameter(name=["--comment", "-m"])]


def promote(
    what: str,
    /,
    *,
    from_: Annotated[str, Parameter(name="--from")],
    to: Annotated[str, Parameter(name="--to")],
    replicas: Annotated[int | None, Parameter(name="--replicas")] = None,
    map_: MapOption = (),
    strand: StrandOption = False,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Put what runs in one environment into another: the identical release, on the identical base image.

    Where the environment asks for an approval, nothing is deployed until somebody else has given it.

    Parameters
    ----------
    what
        ORG/APP.
    from_
        The environment where it runs.
    to
        The environment where it is to run.
    replicas
        How many processes (default: as many as before there, else one).
    json_
        Write the outcome as JSON: a deployment, or the approval that it waits for.
    """
    from havn.contracts.promotion import PromoteRequest

    id_ = app_id(what)
    request = PromoteRequest(
        org=id_.org, app=id_.app, source=from_, target=to, replicas=replicas, mapping=mapped(map_), strand=strand
    )
    carry_out(lambda client: client.promote(request), state, json_)


def approvals(
    *,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    org: Annotated[str | None, Parameter(name="--org")] = None,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """List the deployments that wait for an approval.

    Parameters
    ----------
    all_
        Those that were decided or have expired, too.
    org
        Only this owner.
    """
    found = _ask(lambda client: client.approvals(status=None if all_ else "waiting", org=org), state)
    if json_:
        write_json(found)
        return
    write_table(
        ("No", "App", "Environment", "Release", "From", "Asked by", "Expires", "Status"),
        [
            (
                str(each.id),
                f"{each.org}/{each.app}",
                each.environment,
                each.release.removeprefix("sha256:")[:12],
                each.promoted_from or "",
                each.requested_by,
                f"{each.expires.astimezone():%Y-%m-%d %H:%M}",
                each.status if each.decided_by is None else f"{each.status} by {each.decided_by}",
            )
            for each in found
        ],
        nothing="Nothing waits for an approval." if not all_ else "Nothing was ever asked an approval for.",
    )


def approve(
    number: int, /, *, comment: CommentOption = None, state: StateOption = None, json_: JsonOption = False
) -> None:
    """Approve a deployment that somebody else asked for, and follow it to its end.

    Parameters
    ----------
    number
        As `havn approvals` shows it.
    comment
        Kept with the approval.
    json_
        Write the deployment as JSON.
    """
    carry_out(lambda client: client.approve(number, comment), state, json_)


def reject(
    number: int, /, *, comment: CommentOption = None, state: StateOption = None, json_: JsonOption = False
) -> None:
    """Turn down a deployment that waits for an approval, or take one's own back.

    Parameters
    ----------
    number
        As `havn approvals` shows it.
    comment
        Why, kept with it.
    json_
        Write the approval as JSON.
    """
    rejected = _ask(lambda client: client.reject(number, comment), state)
    if rejected.status != "rejected":
        raise Failure(f"Approval {number} is {rejected.status}.")
    if json_:
        write_json(rejected)
    else:
        say(f"Approval {number} was rejected; {rejected.org}/{rejected.app} stays as it is in {rejected.environment}.")


def _ask(ask: Callable[[DeployClient], Awaitable[T]], state: Path | None) -> T:
    async def run() -> T:
        async with control_plane(state) as client:
            return await ask(client)

    return asyncio.run(run())
