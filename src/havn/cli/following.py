"""Following what a command has begun: each step as it comes, and what to do when the control plane goes away."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from havn.cli.console import CONSOLE
from havn.cli.output import Failure, say

if TYPE_CHECKING:
    from havn.clients.deploy import DeployClient
    from havn.contracts.deploy import Deployment

_AWAY = (502, 503, 504)


async def followed(client: DeployClient, deployment: Deployment, tell: Callable[[str], None] | None) -> Deployment:
    """The deployment once it has ended; `tell` hears each step. Raises `Failure` when nobody answers any more."""
    from havn.kit.problem import Problem

    id_ = f"{deployment.org}/{deployment.app}"
    look = f"`havn status {id_} --env {deployment.environment}`"
    try:
        async for progress in client.follow(deployment, away=away):
            deployment = progress.deployment
            for event in progress.events:
                if tell is not None:
                    tell(event.message)
    except Problem as problem:
        if problem.status not in _AWAY:
            raise
        raise Failure(
            f"The control plane has been away for too long to wait here. Revision {deployment.revision} of {id_} goes "
            f"on by itself once it is back{_starting()}: see {look} then."
        ) from None
    except asyncio.CancelledError:
        say(f"You no longer watch it, but revision {deployment.revision} of {id_} goes on: {look} shows how it ends.")
        raise
    return deployment


async def aftermath(client: DeployClient, failed: Deployment) -> str:
    """What runs after a deployment that failed, as the cluster says, to be put behind "it failed"."""
    from havn.kit.problem import Problem

    try:
        found = await client.app(failed.environment, failed.org, failed.app)
    except Problem as problem:
        return f", and nothing of it runs in {failed.environment}" if problem.status == 404 else ""
    if found.ready or not found.replicas:
        return ", and what ran before runs on"
    return ", and what ran before is not ready either"


def away(left: float) -> None:
    """Say that the control plane does not answer, and for how many more seconds it is asked."""
    until = datetime.now().astimezone() + timedelta(seconds=left)
    say(
        f"The control plane does not answer. It is asked again until {until:%H:%M:%S}; "
        f"what was begun goes on by itself once it is back{_starting()}."
    )


def _starting() -> str:
    """How it comes back, where that is for the one who reads."""
    return "" if os.environ.get(CONSOLE) else " (start it with `havn up`)"
