"""`havn platform certificates`: the certificates that encrypt what travels inside a release of charts/platform."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from havn.cli.manifests import check_name, one_secret, secret, write_secrets
from havn.cli.output import Failure, JsonOption, say, write_json

if TYPE_CHECKING:
    from havn.deploy.authority.release import ReleaseAuthority


def certificates(
    *,
    release: str,
    out: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    authority: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    change_authority: Annotated[bool, Parameter(negative="")] = False,
    json_: JsonOption = False,
) -> None:
    """Make every certificate of an installed platform anew, as Kubernetes Secrets; pods take them up while they run.

    Run it every month or so, and apply what it writes at once. A change of authority goes a step with each run.

    Parameters
    ----------
    release
        Name of the Helm release.
    out
        File to write, for `kubectl apply -f`; one that is there is never written over. `-` writes to a pipe.
    authority
        The Secret of the authority that is in use, RELEASE-authority, as `kubectl get secret -o json` gives it, or the
        file that it came in; `-` reads a pipe. Without one, a first authority is made: right only for a release
        that has none yet.
    change_authority
        Begin to change the authority, as happens by itself when two thirds of its five years are over.
    json_
        Write the names of the Secrets and how far a change of authority is as JSON; never what they hold.
    """
    from havn.deploy.authority.release import ReleaseAuthority, Underway, Unreadable

    check_name("release", release)
    if json_ and str(out) == "-":
        raise Failure("With --out - there is nothing else on standard output: leave out --json.")
    now = datetime.now(UTC)
    if authority is None:
        used = ReleaseAuthority.new(release, now)
    else:
        try:
            used = ReleaseAuthority.read(one_secret(authority, authority_name(release)))
            used = used.change(release, now) if change_authority else used.advance(release, now)
        except (Unreadable, Underway) as error:
            raise Failure(str(error)) from None
    items = certificate_secrets(release, used, now)
    write_secrets(out, items)
    say(f"Wrote {len(items)} Secrets. Apply them now: {_state(used)}")
    if json_:
        names = [item["metadata"]["name"] for item in items]
        write_json({"file": str(out), "secrets": names, "changing": used.changing()})


def authority_name(release: str) -> str:
    """The Secret that its operator keeps the authority in; no pod mounts it."""
    return f"{release}-authority"


def certificate_secrets(release: str, authority: ReleaseAuthority, now: datetime) -> list[dict[str, Any]]:
    """The authority, what is believed, and a certificate for each component that charts/platform can run."""
    from havn.platform import APIS
    from havn.platform.secrets import DEPLOY

    components: dict[str, tuple[str, ...]] = {api.name: (api.name, *api.other_prefixes) for api in APIS}
    components |= {name: (name,) for name in (DEPLOY, "egress", "login", "unknown")}
    items = [
        secret(authority_name(release), authority.values()),
        secret(f"{release}-trust", {"ca.crt": authority.bundle()}),
    ]
    for component, called in components.items():
        made = authority.leaf([f"{release}-{name}" for name in called], now)
        values = {"tls.crt": made.certificate, "tls.key": made.key}
        items.append(secret(f"{release}-{component}-tls", values, "kubernetes.io/tls"))
    return items


def _state(authority: ReleaseAuthority) -> str:
    if authority.coming is not None:
        return "another authority is believed from then on. Run this again after ten minutes, and it signs."
    if authority.leaving:
        return "another authority has signed. Run this again after ten minutes, and the old one is believed no more."
    return "the certificates are good for a year. Run this again in a month or so."
