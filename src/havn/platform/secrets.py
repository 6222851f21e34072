"""The secrets that the platform of one environment makes for itself, and which of its components holds which.

Each component gets the files of its own and no other's: what storage does not need, storage cannot lose.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pyrage
from joserfc import jwk

from havn.platform import APIS

DEPLOY = "deploy"
RECORDS = "records"
"""Sends what the ingress recorded."""
COMPONENTS = (*(api.name for api in APIS), DEPLOY, RECORDS)


def new_key() -> str:
    """A fresh P-256 signing key as a private JWK, its thumbprint as key id."""
    key = jwk.generate_key("EC", "P-256", private=True)
    members = key.as_dict(private=True)
    return msgspec.json.encode({**members, "kid": key.thumbprint(), "alg": "ES256", "use": "sig"}).decode()


def public_key(private: str) -> dict[str, Any]:
    """The public members of a private JWK."""
    members = msgspec.json.decode(private, type=dict[str, Any])
    return {name: value for name, value in members.items() if name != "d"}


def new_password() -> str:
    """A password that nobody guesses, of letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(32)


class PlatformKeys(msgspec.Struct, frozen=True):
    """The keys of one environment's platform."""

    components: Mapping[str, str]
    """Each component's private JWK."""
    key_identity: str
    pepper: str
    pseudonym: str

    def __repr__(self) -> str:
        return "<PlatformKeys>"

    @staticmethod
    def makers() -> dict[str, Callable[[], str]]:
        """How each is made, by the name under which it may be kept."""
        return {
            **{f"component/{name}": new_key for name in COMPONENTS},
            "authentication/key-identity": lambda: str(pyrage.x25519.Identity.generate()),
            "authentication/pepper": new_password,
            "authorization/pseudonym": new_password,
        }

    @classmethod
    def of(cls, found: Mapping[str, str]) -> PlatformKeys:
        """From what was kept under the names of `makers`."""
        return cls(
            components={name: found[f"component/{name}"] for name in COMPONENTS},
            key_identity=found["authentication/key-identity"],
            pepper=found["authentication/pepper"],
            pseudonym=found["authorization/pseudonym"],
        )

    @classmethod
    def new(cls) -> PlatformKeys:
        """All of them fresh."""
        return cls.of({name: make() for name, make in cls.makers().items()})

    def public(self) -> str:
        """The components' public keys as JWKS, each with the component it belongs to."""
        keys = [{**public_key(private), "app": name} for name, private in self.components.items()]
        return msgspec.json.encode({"keys": keys}).decode()


def component_secrets(keys: PlatformKeys, urls: Mapping[str, str], providers: str) -> dict[str, dict[str, str]]:
    """The secret files of each component, by component and file name.

    `urls` are the databases' addresses by schema; a component without one gets none. `providers` is the list of
    identity providers that authentication reads.
    """
    files = {
        name: {"platform-access-key": keys.components[name], "platform-jwks": keys.public()} for name in COMPONENTS
    }
    for name, url in urls.items():
        files[name][f"{name}-database-url"] = url
    files["authentication"] |= {
        "authentication-key-identity": keys.key_identity,
        "authentication-session-pepper": keys.pepper,
        "authentication-providers": providers,
    }
    files["authorization"]["authorization-pseudonym-key"] = keys.pseudonym
    return files
