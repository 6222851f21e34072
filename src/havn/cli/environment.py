"""`havn environment`: where apps are deployed to, each with its own platform and data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from cyclopts import App, Parameter

from havn.cli.access import asked
from havn.cli.manifests import all_secrets
from havn.cli.output import (
    AnswerOption,
    Failure,
    YesOption,
    confirm,
    say,
    write,
    write_json,
    write_outcome,
    write_table,
)
from havn.cli.platform import StateOption

_KEY = "platform-access-key"

app = App(name="environment", help="Add and change environments.")


@app.command
def add(
    name: str,
    /,
    *,
    type_: Annotated[Literal["test", "production"], Parameter(name="--type")],
    domain: str,
    scheme: Literal["http", "https"] = "https",
    platform: str = "",
    approval: Literal["none", "another"] = "none",
    setting: Annotated[list[str] | None, Parameter(name="--setting", negative="")] = None,
    values: Path | None = None,
    registry: str = "",
    key: Path | None = None,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Add an environment, or give one that is there other facts.

    Parameters
    ----------
    name
        Lower-case letters, digits and hyphens, such as tt02.
    type_
        test or production.
    domain
        Under which everything of it is reached, such as tt02.example.no.
    scheme
        Of those addresses.
    platform
        Where the control plane reaches its platform (default: SCHEME://platform.DOMAIN).
    approval
        another: somebody else than who asks for a deployment must approve it.
    setting
        NAME=VALUE that every app there is told; may be given several times.
    values
        YAML file with values of charts/app for all of its clusters.
    registry
        How the nodes of its clusters call the registry (default: as the control plane does).
    key
        File that `havn platform secrets` wrote for the environment, or one with the private key (JWK) of its platform's
        component deploy alone; without it, the one there is stays.
    """
    from havn.contracts.estate import EnvironmentRequest

    settings = dict(_pair(each) for each in setting or [])
    request = EnvironmentRequest(
        type=type_,
        domain=domain,
        scheme=scheme,
        platform_url=platform,
        approval=approval,
        settings=settings,
        app_values=read_values(values),
        registry=registry,
        deploy_key=_deploy_key(key) if key is not None else None,
    )
    made = asked(lambda client: client.put_environment(name, request), state)
    if json_:
        write_json(made)
        return
    if not made.has_key:
        say("It has no key for its platform yet, and nothing can be deployed there: give one with --key SECRETS.json.")
    write(f"{name} is known: {made.type}, {made.scheme}://*.{made.domain}.")


@app.command
def remove(name: str, /, *, yes: YesOption = False, state: StateOption = None, json_: AnswerOption = False) -> None:
    """Forget an environment that has no clusters. Its platform and data are not touched.

    Parameters
    ----------
    name
        Its name.
    """
    if not yes:
        asked(lambda client: client.environment(name), state)
    if not yes and not confirm(f"Forget the environment {name}, with its key?"):
        say("Nothing was changed.")
        return
    asked(lambda client: client.remove_environment(name), state)
    write_outcome(f"{name} is forgotten.", json_, name=name, removed=True)


@app.command(name="list")
def list_(*, state: StateOption = None, json_: AnswerOption = False) -> None:
    """List the environments."""
    found = asked(lambda client: client.environments(), state)
    if json_:
        write_json(found)
        return
    rows = [
        (each.name, each.type, f"{each.scheme}://*.{each.domain}", "by another" if each.approval == "another" else "no")
        for each in found
    ]
    write_table(("NAME", "TYPE", "ADDRESSES", "APPROVAL"), rows)


def read_values(path: Path | None) -> dict[str, Any]:
    """Helm values from a YAML file; none without one. Raises `Failure`."""
    if path is None:
        return {}
    try:
        found = yaml.safe_load(_read(path))
    except (yaml.YAMLError, RecursionError):
        raise Failure(f"{path} is not YAML.") from None
    if not isinstance(found, dict):
        raise Failure(f"{path} holds no values: it should be a mapping.")
    return found


def _deploy_key(path: Path) -> str:
    """The key of the component deploy, alone in its file or among the platform's Secrets. Raises `Failure`."""
    text = _read(path)
    if '"kind"' not in text:
        return text
    found = [
        values[_KEY] for name, values in all_secrets(path, "", {_KEY}).items() if name.endswith("-deploy") and values
    ]
    if len(found) != 1:
        raise Failure(
            f"{path} does not hold the one Secret RELEASE-deploy with {_KEY}: give the key in a file of its own."
        )
    return found[0]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        raise Failure(f"{path} cannot be read.") from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Failure(f"{text[:80]!r} is not NAME=VALUE.")
    return name, value
