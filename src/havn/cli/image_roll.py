"""`havn image roll`: apps put on another base image in waves, no further than the first failure."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from havn.cli.following import followed
from havn.cli.output import Failure, JsonOption, say, write, write_json
from havn.cli.platform import StateOption, control_plane

if TYPE_CHECKING:
    from havn.clients.deploy import DeployClient
    from havn.contracts.deploy import AppInfo, Deployment

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Rolled(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far it went; apps are named environment/org/app."""

    base: str
    before: list[str]
    """Were on it already, perhaps from a roll that was cut off."""
    done: list[str]
    failed: dict[str, str]
    """With the reason; what ran before runs on."""
    left: list[str]
    """Not begun, because of a failure before them."""


def roll(
    *,
    base: str,
    org: str | None = None,
    env: Annotated[str | None, Parameter(name=["--env", "-e"])] = None,
    wave: int = 5,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Put running apps on another base image in waves, releases unchanged; stop after a wave with a failure.

    Run it again to go on: apps that are on the image already are left alone. The first wave is a single app.

    Parameters
    ----------
    base
        Digest of the base image, as `havn image build runtime` printed it; it lies beside the one in use.
    org
        Only this org's apps.
    env
        Only those in this environment.
    wave
        How many apps at once, after the first.
    json_
        Write how far it went as JSON.
    """
    digest = base.rpartition("@")[2]
    if _DIGEST.fullmatch(digest) is None:
        raise Failure(f"{base!r} is no digest of a base image: write sha256:… .")
    if wave < 1:
        raise Failure("A wave holds at least one app.")
    rolled = asyncio.run(_roll(digest, org, env, wave, state))
    if json_:
        write_json(rolled)
    if rolled.failed:
        reasons = "; ".join(f"{app}: {reason}" for app, reason in rolled.failed.items())
        raise Failure(
            f"Stopped with {len(rolled.done)} on the new base and {len(rolled.left)} not begun. {reasons} "
            "What ran before runs on in the apps that failed; run the command again to go on."
        )
    if not json_:
        write(f"{len(rolled.done)} apps were put on {digest}, {len(rolled.before)} were on it before.")


async def _roll(digest: str, org: str | None, env: str | None, wave: int, state: Path | None) -> Rolled:
    async with control_plane(state) as client:
        return await carry_out(client, digest, org=org, environment=env, wave=wave, tell=say)


async def carry_out(
    client: DeployClient, base: str, *, org: str | None, environment: str | None, wave: int, tell: Callable[[str], None]
) -> Rolled:
    """Do it; one line is told for each app. Raises the control plane's `Problem`s."""
    apps = [app for app in await client.apps(environment=environment, org=org) if app.base is not None]
    if not apps:
        raise Failure("No app of yours runs from an image there.")
    before = [_name(app) for app in apps if app.base == base]
    waiting = sorted((app for app in apps if app.base != base), key=_name)
    rolled = Rolled(base=base, before=before, done=[], failed={}, left=[])
    for group in _waves(waiting, wave):
        if rolled.failed:
            rolled.left.extend(_name(app) for app in group)
            continue
        results = await asyncio.gather(*(_one(client, app, base) for app in group))
        for app, ended in zip(group, results, strict=True):
            if ended.status == "succeeded":
                rolled.done.append(_name(app))
                tell(f"{_name(app)} is on the new base, revision {ended.revision}.")
            else:
                rolled.failed[_name(app)] = ended.reason or "It failed."
                tell(f"{_name(app)} failed: {ended.reason}")
    return rolled


async def _one(client: DeployClient, app: AppInfo, base: str) -> Deployment:
    return await followed(client, await client.rebase(app.environment, app.org, app.app, base), None)


def _waves(apps: list[AppInfo], size: int) -> Iterator[list[AppInfo]]:
    """One app by itself, which finds out most of what can go wrong, then `size` at a time."""
    yield apps[:1]
    for start in range(1, len(apps), size):
        yield apps[start : start + size]


def _name(app: AppInfo) -> str:
    return f"{app.environment}/{app.org}/{app.app}"
