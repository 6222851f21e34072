"""`havn org`: service owners, and the keys with which their releases are signed."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from havn.cli.access import asked
from havn.cli.output import AnswerOption, Failure, write_json, write_outcome, write_table
from havn.cli.platform import StateOption

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
    told = f"{org} is known. Trust a key for its releases with `havn org trust {org} KEY.pem`."
    write_outcome(told, json_, org=org, name=name or org)


@app.command
def trust(org: str, key: Path, /, *, state: StateOption = None, json_: AnswerOption = False) -> None:
    """Trust releases of the org that are signed with this key.

    Parameters
    ----------
    org
        Its code.
    key
        File with the public key: P-256, PEM.
    """
    try:
        text = key.read_text()
    except (OSError, UnicodeDecodeError):
        raise Failure(f"{key} cannot be read: give the file with the public key.") from None
    if "PRIVATE" in text:
        raise Failure(f"{key} is a private key, which nobody else should see: give the public one.")
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
