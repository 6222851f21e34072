"""`havn deploy`, `scale`, `rollback`, `heal`, `undeploy`: changes to what runs, followed to their end."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from havn.cli.build import make_release
from havn.cli.following import aftermath, followed
from havn.cli.output import AnswerOption, Failure, YesOption, confirm, say, write, write_json
from havn.cli.platform import LOCAL, AsOption, EnvOption, StateOption, app_id, control_plane

if TYPE_CHECKING:
    from havn.clients.deploy import DeployClient
    from havn.contracts.deploy import Deployment
    from havn.contracts.promotion import Approval

MapOption = Annotated[
    Sequence[str],
    Parameter(
        name="--map",
        negative="",
        help="OLDTASK=NEWTASK: open instances in a task that the release has no more go to another; may be repeated.",
    ),
]
StrandOption = Annotated[
    bool,
    Parameter(name="--strand", negative="", help="Leave open instances that the release has no place for as they are."),
]
Ask: TypeAlias = "Callable[[DeployClient], Awaitable[Deployment | Approval | None]]"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def deploy(
    what: str,
    /,
    *,
    env: EnvOption = LOCAL,
    release: Annotated[str | None, Parameter(name=["--release", "-r"])] = None,
    path: Annotated[Path | None, Parameter(name="--path")] = None,
    replicas: Annotated[int | None, Parameter(name="--replicas")] = None,
    map_: MapOption = (),
    strand: StrandOption = False,
    as_: AsOption = None,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Put a release into an environment, and follow it until it is ready or what was there before is back.

    Parameters
    ----------
    what
        ORG/APP, or an app folder, which is built first.
    release
        Digest of the release; without it and without --path, the newest release of ORG/APP in the registry.
    path
        App folder to build for ORG/APP.
    replicas
        How many processes (default: as many as before, else one).
    as_
        ORG/APP, when WHAT is a folder with a template in it.
    """
    mapping = mapped(map_)
    org, app, digest = chosen_release(what, release, path, as_, state)

    async def ask(client: DeployClient) -> Deployment | Approval:
        from havn.contracts.deploy import DeployRequest

        return await client.deploy(
            DeployRequest(
                environment=env, org=org, app=app, release=digest, replicas=replicas, mapping=mapping, strand=strand
            )
        )

    carry_out(ask, state, json_)


def scale(
    what: str,
    replicas: int | None = None,
    /,
    *,
    min_: Annotated[int | None, Parameter(name="--min")] = None,
    max_: Annotated[int | None, Parameter(name="--max")] = None,
    cpu: Annotated[int, Parameter(name="--cpu")] = 75,
    up_seconds: Annotated[int, Parameter(name="--up-seconds")] = 0,
    down_seconds: Annotated[int, Parameter(name="--down-seconds")] = 300,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Change the number of an app's replicas, or the bounds between which it follows the load.

    Bounds are no part of a release: they stay through deploys and rollbacks.

    Parameters
    ----------
    what
        ORG/APP.
    replicas
        How many; 0 stops the app but keeps it deployed.
    min_
        The least, with --max in place of a number.
    max_
        The most.
    cpu
        Percent of the CPU asked for that a replica should use on average.
    up_seconds
        How long the load must have been higher before replicas are added.
    down_seconds
        How long it must have been lower before some are taken away.
    """
    from havn.contracts.deploy import Scaling

    id_ = app_id(what)
    bounds = None
    if min_ is not None and max_ is not None and replicas is None:
        bounds = Scaling(minimum=min_, maximum=max_, cpu=cpu, up_seconds=up_seconds, down_seconds=down_seconds)
    elif min_ is not None or max_ is not None or replicas is None:
        raise Failure("Say either how many replicas, or both --min and --max.")
    carry_out(lambda client: client.scale(env, id_.org, id_.app, replicas, bounds), state, json_)


def rollback(
    what: str,
    /,
    *,
    env: EnvOption = LOCAL,
    to: Annotated[int | None, Parameter(name="--to")] = None,
    map_: MapOption = (),
    strand: StrandOption = False,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Put an earlier release back with its policy, outbound rules and metadata, as a new revision.

    Parameters
    ----------
    what
        ORG/APP.
    to
        The revision whose release is wanted (default: the last one with another release).
    """
    id_, mapping = app_id(what), mapped(map_)
    carry_out(lambda client: client.rollback(env, id_.org, id_.app, to, mapping=mapping, strand=strand), state, json_)


def heal(what: str, /, *, env: EnvOption = LOCAL, state: StateOption = None, json_: AnswerOption = False) -> None:
    """Put everything of an app back as it should be, when `havn status` tells that somebody has changed it by hand.

    Parameters
    ----------
    what
        ORG/APP.
    """
    id_ = app_id(what)
    carry_out(lambda client: client.heal(env, id_.org, id_.app), state, json_)


def undeploy(
    what: str,
    /,
    *,
    env: EnvOption = LOCAL,
    yes: YesOption = False,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Stop an app and take it away, after showing what that means. Its instances and their data are kept.

    Parameters
    ----------
    what
        ORG/APP.
    """
    id_ = app_id(what)

    async def ask(client: DeployClient) -> Deployment | None:
        info = await client.app(env, id_.org, id_.app)
        say(f"{id_} in {env}: revision {info.revision}, release {_short(info.release)}, {info.ready} replicas ready.")
        say(f"{info.address} will no longer answer. Instances and their data are kept.")
        if not yes and not confirm(f"Undeploy {id_} from {env}?"):
            return None
        return await client.undeploy(env, id_.org, id_.app)

    carry_out(ask, state, json_)


def mapped(texts: Sequence[str]) -> dict[str, str]:
    """`OLDTASK=NEWTASK`, each. Raises `Failure`."""
    found = {}
    for text in texts:
        source, equals, target = text.partition("=")
        if not (source and equals and target) or source in found:
            raise Failure(f"{text[:80]} is not OLDTASK=NEWTASK, or names a task twice.")
        found[source] = target
    return found


def chosen_release(
    what: str, release: str | None, path: Path | None, as_: str | None, state: Path | None
) -> tuple[str, str, str]:
    """Org, app and digest of what is to be deployed; built when a folder is named."""
    if release is not None and path is not None:
        raise Failure("Say --release or --path, not both.")
    if path is None and as_ is None and not Path(what).is_dir():
        id_ = app_id(what)
        return id_.org, id_.app, _known(f"{id_.org}/{id_.app}", release, state)
    if path is not None:
        built = make_release(path, what, state=state)
    else:
        built = make_release(Path(what), as_, state=state)
    say(f"Built {built.release.repository} {_short(built.release.digest)}.")
    return built.release.org, built.release.app, built.release.digest


def _known(repository: str, release: str | None, state: Path | None) -> str:
    """The digest given, or that of the newest release in the state folder, which is sent to where it is read."""
    from havn.cli.build import send_release
    from havn.cli.platform import state_folder
    from havn.deploy.registry import RegistryError
    from havn.deploy.registry.layout import LayoutRegistry
    from havn.deploy.release.model import ARTIFACT
    from havn.kit.settings import SettingsError
    from havn.local.state import State

    if release is not None:
        if not _DIGEST.fullmatch(release):
            raise Failure(f"{release[:80]} is not a digest: `havn build` prints one, sha256: and 64 digits.")
        return release
    registry = LayoutRegistry(State(state_folder(state)).registry)
    try:
        newest = registry.newest(repository, ARTIFACT)
        if newest is None:
            raise Failure(f"There is no release of {repository} yet: name its folder with --path, or run `havn build`.")
        # It may have been built before it was known where to.
        asyncio.run(send_release(registry, repository, newest))
    except (RegistryError, SettingsError) as error:
        raise Failure(str(error)) from error
    return newest


def carry_out(ask: Ask, state: Path | None, json_: bool) -> None:
    """Ask for a change, show its events as they come, and end with its outcome."""
    from havn.contracts.promotion import Approval

    outcome, after = asyncio.run(_follow(ask, state))
    if outcome is None:
        say("Nothing was changed.")
        return
    if json_:
        write_json(outcome)
    if isinstance(outcome, Approval):
        say(
            f"Approval {outcome.id} waits until {outcome.expires.astimezone():%Y-%m-%d %H:%M}: somebody else runs "
            f"`havn approve {outcome.id}`."
        )
        if not json_:
            write(str(outcome.id))
        return
    if outcome.status != "succeeded":
        raise Failure(
            f"Revision {outcome.revision} of {outcome.org}/{outcome.app} failed{after}: {outcome.reason} What it wrote "
            f"is in `havn logs {outcome.org}/{outcome.app} --env {outcome.environment}`."
        )
    if not json_:
        write(f"{outcome.org}/{outcome.app} in {outcome.environment} is at revision {outcome.revision}.")


async def _follow(ask: Ask, state: Path | None) -> tuple[Deployment | Approval | None, str]:
    from havn.contracts.promotion import Approval

    began = time.perf_counter()
    async with control_plane(state) as client:
        deployment = await ask(client)
        if deployment is None or isinstance(deployment, Approval):
            return deployment, ""
        ended = await followed(client, deployment, lambda step: say(f"{time.perf_counter() - began:6.1f} s  {step}"))
        return ended, "" if ended.status == "succeeded" else await aftermath(client, ended)


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
