"""`havn secret`: what an app needs and nobody may read. Values come from a file, a pipe or a prompt, never a word."""

from __future__ import annotations

import asyncio
import getpass
import secrets
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from havn.cli.following import followed
from havn.cli.output import AnswerOption, Failure, YesOption, confirm, say, write, write_json, write_table
from havn.cli.platform import LOCAL, EnvOption, StateOption, app_id, control_plane

if TYPE_CHECKING:
    from havn.clients.deploy import DeployClient
    from havn.contracts.deploy import Deployment
    from havn.contracts.secrets import SecretChange, SecretInfo

app = App(name="secret", help="Keep apps' secrets: set, list, rotate, remove, change the key.")

Flag = Annotated[bool, Parameter(negative="")]
FileOption = Annotated[Path | None, Parameter(name=["--file", "-f"])]
VariableOption = Annotated[str | None, Parameter(name="--env-name")]
_MOST = 64 * 1024


@app.command(name="set")
def set_(
    whose: str,
    name: str,
    /,
    *,
    env: EnvOption = LOCAL,
    file: FileOption = None,
    env_name: VariableOption = None,
    no_rollout: Flag = False,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Store a secret, and deploy the apps that are given it anew; the value is asked for, or read from a pipe.

    Parameters
    ----------
    whose
        ORG/APP, or ORG for all of the org's apps.
    name
        The secret's name, which is also its file's in the app's folder of secrets.
    file
        Read the value from this file.
    env_name
        Also give it to the app as this environment variable.
    no_rollout
        Only store it: apps get it when they are next deployed.
    """
    _put(whose, name, env, _value(name, file), env_name, state, rotate=False, rollout=not no_rollout, json_=json_)


@app.command
def rotate(
    whose: str,
    name: str,
    /,
    *,
    env: EnvOption = LOCAL,
    file: FileOption = None,
    generate: Flag = False,
    env_name: VariableOption = None,
    no_rollout: Flag = False,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Replace a secret that is there by a new version; the old one is kept until nothing runs with it.

    Parameters
    ----------
    whose
        ORG/APP, or ORG for all of the org's apps.
    name
        The secret's name.
    file
        Read the value from this file.
    generate
        Make a random value of 32 bytes, as text, that nobody gets to see.
    env_name
        Also give it to the app as this environment variable (default: as before).
    no_rollout
        Only store it: apps get it when they are next deployed.
    """
    if generate and file is not None:
        raise Failure("Say --generate or --file, not both.")
    value = secrets.token_urlsafe(32) if generate else _value(name, file)
    _put(whose, name, env, value, env_name, state, rotate=True, rollout=not no_rollout, json_=json_)


@app.command(name="list")
def list_(whose: str, /, *, env: EnvOption = LOCAL, state: StateOption = None, json_: AnswerOption = False) -> None:
    """List secrets by name, with version and age; values are never shown.

    Parameters
    ----------
    whose
        ORG/APP for what that app is given, or ORG for all of the org's.
    """
    org, name = _owner(whose)

    async def ask() -> None:
        async with control_plane(state) as client:
            found = await client.secrets(env, org, name)
        if json_:
            write_json(found)
            return
        now = datetime.now(UTC)
        rows = [
            [
                each.name, f"{each.org}/{each.app}" if each.app else each.org, str(each.version),
                _age((now - each.set_at).total_seconds()), each.set_by, each.environment_variable or "",
                ", ".join(f"{user}: {version}" for user, version in sorted(each.in_force.items())),
            ]
            for each in found
        ]  # fmt: skip
        write_table(
            ["Name", "Of", "Version", "Age", "Set by", "Variable", "In force"],
            rows,
            nothing=f"{whose} has no secrets in {env}: `havn secret set` stores one.",
        )

    asyncio.run(ask())


@app.command
def remove(
    whose: str,
    name: str,
    /,
    *,
    env: EnvOption = LOCAL,
    yes: YesOption = False,
    no_rollout: Flag = False,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Take a secret away, and deploy the apps that had it anew without it.

    Parameters
    ----------
    whose
        ORG/APP, or ORG for all of the org's apps.
    name
        The secret's name.
    no_rollout
        Apps keep it until they are next deployed.
    """
    org, app_name = _owner(whose)
    if not yes and not confirm(f"Remove the secret {name} of {whose} in {env}?"):
        say("Nothing was changed.")
        return
    _change(
        lambda client: client.remove_secret(env, org, app_name, name, rollout=not no_rollout),
        f"Removed the secret {name} of {whose}.",
        state,
        json_,
    )


@app.command
def rekey(*, new: Flag = False, state: StateOption = None, json_: AnswerOption = False) -> None:
    """Seal every stored secret anew with the control plane's first identity.

    Parameters
    ----------
    new
        Make a new identity first, and forget those before it afterwards.
    """

    async def ask() -> None:
        async with control_plane(state) as client:
            done = await client.rekey_secrets(new=new)
        if json_:
            write_json(done)
        else:
            write(f"{done.sealed} values were sealed anew; the key is {done.key_id}.")

    asyncio.run(ask())


def _put(
    whose: str,
    name: str,
    env: str,
    value: str,
    variable: str | None,
    state: Path | None,
    *,
    rotate: bool,
    rollout: bool,
    json_: bool,
) -> None:
    from havn.contracts.secrets import SecretRequest
    from havn.deploy.secrets import rules

    rules.check_name(name)
    org, app_name = _owner(whose)
    request = SecretRequest(value=value, environment_variable=variable, rotate=rotate, rollout=rollout)
    _change(
        lambda client: client.put_secret(env, org, app_name, name, request),
        f"Stored the secret {name} of {whose}.",
        state,
        json_,
    )


def _change(ask: Callable[[DeployClient], Awaitable[SecretChange]], told: str, state: Path | None, json_: bool) -> None:
    """Make a change, and follow the deployments that come of it to their end."""

    async def run() -> tuple[SecretInfo | None, list[Deployment]]:
        async with control_plane(state) as client:
            change = await ask(client)
            say(told)
            ended = [await _followed(client, each) for each in change.deployments]
            return await _as_it_is_now(client, change.secret), ended

    secret, ended = asyncio.run(run())
    if json_:
        write_json({"secret": secret, "deployments": ended})
    for each in ended:
        if each.status != "succeeded":
            raise Failure(
                f"{each.org}/{each.app} could not be deployed with it and runs on with what it had: {each.reason} "
                "Store another value, or see `havn logs`."
            )
    if not json_:
        apps = ", ".join(f"{each.org}/{each.app}" for each in ended)
        write(f"In force in {apps}." if apps else "It is given to apps when they are next deployed.")


async def _as_it_is_now(client: DeployClient, changed: SecretInfo | None) -> SecretInfo | None:
    """With the versions that are in force after the deployments."""
    if changed is None:
        return None
    found = await client.secrets(changed.environment, changed.org, changed.app)
    same = (each for each in found if (each.name, each.app) == (changed.name, changed.app))
    return next(same, changed)


async def _followed(client: DeployClient, deployment: Deployment) -> Deployment:
    return await followed(client, deployment, lambda step: say(f"{deployment.org}/{deployment.app}: {step}"))


def _owner(whose: str) -> tuple[str, str | None]:
    from havn.appfolder.ids import ORG

    if "/" in whose:
        id_ = app_id(whose)
        return id_.org, id_.app
    if not ORG.fullmatch(whose):
        raise Failure(f"{whose[:60]} is not an org: small letters and digits, a letter first. Say ORG or ORG/APP.")
    return whose, None


def _value(name: str, file: Path | None) -> str:
    """The secret's value, from the file, a pipe, or a prompt that does not show it; the last line's end left out."""
    try:
        if file is not None:
            data = file.read_bytes()
        elif sys.stdin.isatty():
            data = getpass.getpass(f"Value of {name}: ").encode()
        else:
            data = sys.stdin.buffer.read(4 * _MOST + 1)
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.") from None
    if len(data) > 4 * _MOST:
        raise Failure(f"The value is too large: a secret has at most {_MOST} characters.")
    try:
        value = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Failure("The value is not text: encode it, with base64 for example, and let the app decode it.") from None
    if not value:
        raise Failure("The value is empty: give it on standard input, with --file, or at the prompt.")
    return value


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(max(seconds, 0))} s"
