"""What the environment `local` consists of: its names, its keys, and what each of its components is told."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from havn.local import databases
from havn.local.oidc.setup import login_secrets, providers
from havn.local.secrets import SecretStore
from havn.platform.secrets import PlatformKeys, new_key, new_password
from havn.platform.secrets import component_secrets as platform_secrets

NAME = "local"
TYPE = "test"
SCHEME = "http"


class Addresses(msgspec.Struct, frozen=True):
    """Where things are: the public port, and the loopback ports between the processes."""

    port: int
    platform_port: int
    console_port: int
    egress_port: int = 0
    """Where apps find the way out; 0: there is none."""

    @property
    def domain(self) -> str:
        """The environment's domain, under which browsers find this machine by themselves."""
        return f"havn.localhost:{self.port}"

    @property
    def platform_url(self) -> str:
        """The platform process, as our other processes reach it."""
        return f"http://127.0.0.1:{self.platform_port}"

    @property
    def egress_url(self) -> str:
        """The API proxy, as apps reach it."""
        return f"http://127.0.0.1:{self.egress_port}"

    def public(self, name: str) -> str:
        """The public address of the host `name`.`domain`."""
        return f"{SCHEME}://{name}.{self.domain}"


class Keys(msgspec.Struct, frozen=True):
    """The environment's own secrets, made on first use and kept encrypted."""

    passwords: Mapping[str, str]
    platform: PlatformKeys
    login_signing: str
    login_client: str
    """The test identity provider's own key, and the platform's as its client."""

    @classmethod
    def open(cls, store: SecretStore) -> Keys:
        """Read them, making what is missing."""
        passwords = dict.fromkeys(databases.password_names(), new_password)
        rest = {"login/signing-key": new_key, "login/client-key": new_key}
        found = store.get_all({**passwords, **PlatformKeys.makers(), **rest})
        return cls(
            passwords={name: found[name] for name in passwords},
            platform=PlatformKeys.of(found),
            login_signing=found["login/signing-key"],
            login_client=found["login/client-key"],
        )

    @property
    def components(self) -> Mapping[str, str]:
        """Each component's private JWK."""
        return self.platform.components


def settings(addresses: Addresses) -> dict[str, str]:
    """What every process of the environment is told."""
    return {
        "HAVN_DOMAIN": addresses.domain,
        "HAVN_SCHEME": SCHEME,
        "HAVN_ENVIRONMENT": NAME,
        "HAVN_ENVIRONMENT_TYPE": TYPE,
        "HAVN_PLATFORM_URL": addresses.platform_url,
        **({"HAVN_EGRESS_URL": addresses.egress_url} if addresses.egress_port else {}),
    }


def platform_settings(addresses: Addresses, state: Path, orgs_file: Path) -> dict[str, str]:
    """What the platform process is told, beside its secrets."""
    return {
        **settings(addresses),
        "HAVN_PORT": str(addresses.platform_port),
        "HAVN_ORGS_FILE": str(orgs_file),
        "HAVN_TESTDATA_FOLDER": str(state / "testdata"),
        "HAVN_AUTHENTICATION_KEY_FOLDER": str(state / "signing-keys"),
        # One machine, one process: nobody holds an older key set for days.
        "HAVN_AUTHENTICATION_KEY_WAIT_HOURS": "1",
        # Our own processes do not resolve names under .localhost: apps are reached through the gateway's address.
        "HAVN_MANAGEMENT_APPS_URL": f"http://127.0.0.1:{addresses.port}",
        "HAVN_STORAGE_BLOBS_URL": f"file://{state / 'blobs'}",
    }


def component_secrets(keys: Keys, addresses: Addresses, urls: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The secret files of each part of the platform process, by component and file name."""
    sign_in = providers(
        scheme=SCHEME, domain=addresses.domain, platform_url=addresses.platform_url, client_key=keys.login_client
    )
    files = platform_secrets(keys.platform, urls, sign_in)
    files["login"] = login_secrets(signing_key=keys.login_signing, client_key=keys.login_client)
    return files


def free_port() -> int:
    """A loopback port that nobody holds just now."""
    found = _bindable(0)
    assert found is not None
    return found


def kept_port(path: Path) -> int:
    """The port that the file names, if nobody holds it, else a free one, which is then named there.

    Commands that wait for the platform to come back so find it where it was.
    """
    with contextlib.suppress(OSError, ValueError):
        if 1024 <= (before := int(path.read_text())) < 65536 and _bindable(before):
            return before
    port = free_port()
    path.write_text(str(port))
    return port


def _bindable(port: int) -> int | None:
    with socket.socket() as probe:
        # What is left of connections to whoever listened there before is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return None
        return int(probe.getsockname()[1])
