"""`havn platform secrets`: the keys of a new environment, as Kubernetes Secrets that charts/platform finds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlsplit, urlunsplit

from cyclopts import App, Parameter

from havn.cli.manifests import check_name, secret, write_secrets
from havn.cli.output import Failure, JsonOption, say, write_json
from havn.cli.platform_ages import check_certificates
from havn.cli.platform_certificates import certificate_secrets, certificates

app = App(name="platform", help="What an operator needs to install the platform of an environment.")
app.command(certificates)
app.command(check_certificates)


@app.command
def secrets(
    *,
    environment: str,
    domain: str,
    database: str,
    out: Path,
    release: str | None = None,
    providers: Path | None = None,
    test_sign_in: Annotated[bool, Parameter(negative="")] = False,
    control_plane_database: str | None = None,
    tls: bool = True,
    json_: JsonOption = False,
) -> None:
    """Make every key that an environment's platform has for itself, and write them as Kubernetes Secrets.

    Parameters
    ----------
    environment
        Name of the environment, such as tt02.
    domain
        Its domain, such as tt02.example.no.
    database
        Address of its database without user and password: postgresql://HOST:5432/NAME. Each API gets a role of its
        own with a new password in it.
    out
        File to write, for `kubectl apply -f`. One that is there is never written over: what it holds may be in use.
    release
        Name of the Helm release; the environment's when not said.
    providers
        JSON file with the identity providers that people sign in with.
    test_sign_in
        Let people sign in as test persons instead, with the provider of the chart (`testSignIn.enabled`).
    control_plane_database
        Address of the control plane's own database, as for --database, when it is to run here.
    tls
        Make certificates for what travels inside the cluster, too; not for a release with `tls.enabled: false`.
    json_
        Write the names of the Secrets as JSON; never what they hold.
    """
    import pyrage

    from havn.deploy.authority.release import ReleaseAuthority
    from havn.kit.settings import SettingsError
    from havn.local.oidc.setup import login_secrets
    from havn.local.oidc.setup import providers as test_providers
    from havn.platform.authentication.settings import read_providers
    from havn.platform.secrets import DEPLOY, PlatformKeys, component_secrets, new_key

    release = release or environment
    for what, value in (("environment", environment), ("release", release)):
        check_name(what, value)
    if test_sign_in == (providers is not None):
        raise Failure("Say how people sign in: either --providers FILE, or --test-sign-in.")
    client_key = new_key()
    if providers is None:
        login = f"{'https' if tls else 'http'}://{release}-login"
        text = test_providers(scheme="https", domain=domain, platform_url=login, client_key=client_key)
    else:
        try:
            text = providers.read_text()
            read_providers(text)
        except (OSError, UnicodeDecodeError) as error:
            raise Failure(f"{providers} cannot be read: {error}.") from None
        except SettingsError as error:
            raise Failure(f"{providers}: {error}") from None
    files = component_secrets(
        PlatformKeys.new(), _addresses(environment, database, control_plane_database), text
    )  # fmt: skip
    if control_plane_database is not None:
        # What it seals credentials and apps' secrets with.
        files[DEPLOY]["deploy-identities"] = str(pyrage.x25519.Identity.generate())
    if test_sign_in:
        files["login"] = login_secrets(signing_key=new_key(), client_key=client_key)
    items = [secret(f"{release}-{component}", values) for component, values in files.items()]
    if tls:
        now = datetime.now(UTC)
        items += certificate_secrets(release, ReleaseAuthority.new(release, now), now)
    write_secrets(out, items)
    say(f"Wrote {len(items)} Secrets to {out}. Apply them, then guard the file: it holds private keys.")
    if json_:
        write_json({"file": str(out), "secrets": [item["metadata"]["name"] for item in items]})


def _addresses(environment: str, database: str, control_plane: str | None) -> dict[str, str]:
    """Each schema's address, with a role of its own."""
    from havn.platform import APIS
    from havn.platform.secrets import DEPLOY, new_password

    wanted = {api.name: database for api in APIS}
    if control_plane is not None:
        wanted[DEPLOY] = control_plane
    found = {}
    for schema, address in wanted.items():
        parts = urlsplit(address)
        if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/") or "@" in parts.netloc:
            raise Failure(
                "A database's address is postgresql://HOST:PORT/NAME, without a user: each API gets a role of its own."
            )
        # Roles belong to the whole server, where another environment may have its database too.
        role = f"{environment}_{schema}".replace("-", "_")
        netloc = f"{role}:{quote(new_password(), safe='')}@{parts.netloc}"
        found[schema] = urlunsplit(parts._replace(netloc=netloc))
    return found
