"""`havn platform check-certificates`: how long the certificates of an installed platform are good."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from havn.cli.manifests import all_secrets, check_name
from havn.cli.output import AnswerOption, Failure, write_json, write_table

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_GOOD, _SOON, _ENDED = "good", "ends soon", "ended"


class Age(msgspec.Struct, frozen=True):
    """How long what a Secret holds is good."""

    secret: str
    until: datetime
    days: int
    state: str


def check_certificates(
    *,
    release: str,
    secrets: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    json_: AnswerOption = False,
) -> None:
    """Tell how long the certificates of an installed platform are good; exit code 1 when one has to be renewed.

    Nothing is changed, and no private key is looked at. Run it every day, from whatever runs things regularly.

    Parameters
    ----------
    release
        Name of the Helm release.
    secrets
        The Secrets of its namespace, as `kubectl get secrets -o json` gives them; `-` reads a pipe.
    """
    check_name("release", release)
    ages = certificate_ages(release, all_secrets(secrets, f"{release}-", ("tls.crt", "ca.crt")), datetime.now(UTC))
    if not ages:
        raise Failure(
            f"{secrets} holds no certificate of the release {release}: get its Secrets with "
            "`kubectl get secrets -o json`."
        )
    if json_:
        write_json(ages)
    else:
        write_table(
            ("Secret", "Good until", "Days", "State"),
            [(each.secret, f"{each.until:%Y-%m-%d %H:%M}", str(each.days), each.state) for each in ages],
        )
    due = [each for each in ages if each.state != _GOOD]
    if due:
        raise Failure(
            f"{len(due)} of {len(ages)} certificates {'have' if len(due) > 1 else 'has'} to be renewed now: run "
            f"`havn platform certificates --release {release}`, or see why whatever renews them has not."
        )


def certificate_ages(release: str, secrets: dict[str, dict[str, str]], now: datetime) -> list[Age]:
    """Of each Secret that holds one, the certificate that ends first; those that end first come first."""
    from havn.kit.lifetime import Lifetime

    found = []
    for name, values in secrets.items():
        # What is believed says nothing new beside the certificate that it has signed, but in the bundle of its own.
        text = values.get("tls.crt") or (values.get("ca.crt", "") if name == f"{release}-trust" else "")
        try:
            lifetimes = [Lifetime.of(each.encode()) for each in _CERTIFICATE.findall(text)]
        except ValueError:
            raise Failure(f"The Secret {name} holds something that is no certificate.") from None
        if lifetimes:
            first = min(lifetimes, key=lambda each: each.until)
            state = _ENDED if first.ended(now) else _SOON if first.overdue(now) else _GOOD
            found.append(Age(name, first.until, (first.until - now).days, state))
    return sorted(found, key=lambda each: (each.until, each.secret))
