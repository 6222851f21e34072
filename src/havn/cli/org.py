"""`havn org`: service owners, and the keys with which their releases are signed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cyclopts import App

from havn.cli.access import asked
from havn.cli.output import AnswerOption, Failure, write_json, write_outcome, write_table
from havn.cli.platform import StateOption
from havn.cli.where import state_folder

app = App(name="org", help="Add orgs, and the keys their releases are signed with.")


@app.command
def add(org: str, /, *, name: str | None = None, state: StateOption = None, json_: AnswerOption = False) -> None:
    """Add an org, or change its name.

    Parameters
    ----------
    org
        Its code.
    name
        What people call it (default: its code).
    """
    asked(lambda client: client.put_org(org, name or org), state)
    told = (
        f"{org} is known. Trust the key its releases are signed with: `havn org trust {org}`, or with KEY.pem after it."
    )
    write_outcome(told, json_, org=org, name=name or org)


@app.command
def trust(org: str, key: Path | None = None, /, *, state: StateOption = None, json_: AnswerOption = False) -> None:
    """Trust releases of the org that are signed with this key.

    Parameters
    ----------
    org
        Its code.
    key
        File with the public key: P-256, PEM (default: of the key in the state folder, which `havn build` signs with).
    """
    text = _public(key) if key is not None else _own(org, state)
    asked(lambda client: client.add_key(org, text), state)
    write_outcome(f"Releases of {org} may be signed with that key.", json_, org=org, trusted=True)


@app.command
def distrust(org: str, fingerprint: str, /, *, state: StateOption = None, json_: AnswerOption = False) -> None:
    """Trust a key no longer; what is deployed goes on.

    Parameters
    ----------
    org
        Its code.
    fingerprint
        The key's, as `havn org list --json` shows it.
    """
    asked(lambda client: client.remove_key(org, fingerprint), state)
    told = f"New deployments of {org} no longer take what that key signed."
    write_outcome(told, json_, org=org, fingerprint=fingerprint, trusted=False)


@app.command(name="list")
def list_(*, state: StateOption = None, json_: AnswerOption = False) -> None:
    """List the orgs that you may see."""
    found = asked(lambda client: client.orgs(), state)
    if json_:
        write_json(found)
        return
    rows = [
        (each.org, each.name, ", ".join(each.environments), ", ".join(key.fingerprint[:12] for key in each.keys))
        for each in found
    ]
    write_table(("ORG", "NAME", "CLUSTERS IN", "SIGNING KEYS"), rows)


def _public(key: Path) -> str:
    try:
        text = key.read_text()
    except (OSError, UnicodeDecodeError):
        raise Failure(f"{key} cannot be read: give the file with the public key.") from None
    if "PRIVATE" in text:
        raise Failure(f"{key} is a private key, which nobody else should see: give the public one.")
    return text


def _own(org: str, state: Path | None) -> str:
    """The public half of the key that releases of the org are signed with here. Raises `Failure`."""
    from havn.local.keyring import LocalKeyring
    from havn.local.secrets import SecretsError, SecretStore

    folder = state_folder(state)
    place = folder / "secrets"
    try:
        # Looking must make nothing.
        kept = (place / "secrets.age").exists()
        found = asyncio.run(LocalKeyring(SecretStore(place)).trusted(org)) if kept else []
    except SecretsError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"{place} cannot be read ({error.strerror}): name the file of a public key.") from None
    if not found:
        raise Failure(f"{folder} has no key of {org}: build a release there first, or name the file of a public key.")
    return found[0]
