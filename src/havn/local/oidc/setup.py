"""What the embedded platform must be told so that it signs in here: keys, and the platform's list of providers."""

from __future__ import annotations

from typing import Any

import msgspec
from joserfc import jwk

CLIENT_ID = "havn"


def new_key() -> str:
    """A private P-256 key as JWK, with its thumbprint as key id."""
    key = jwk.ECKey.generate_key("P-256", private=True)
    return msgspec.json.encode({**key.as_dict(private=True), "kid": key.thumbprint()}).decode()


def login_secrets(*, signing_key: str, client_key: str) -> dict[str, str]:
    """The secret files of the component `login`."""
    members = msgspec.json.decode(client_key, type=dict[str, Any])
    public = {name: value for name, value in members.items() if name != "d"}
    return {
        "login-signing-key": signing_key,
        "login-client-jwks": msgspec.json.encode({"keys": [public]}).decode(),
    }


def providers(*, scheme: str, domain: str, platform_url: str, client_key: str) -> str:
    """The secret `authentication-providers`: sign-in and token exchange with this provider.

    It is reached at `platform_url`, the process it lives in, since its name cannot be resolved here.
    """
    issuer = f"{scheme}://login.{domain}"
    return msgspec.json.encode(
        {
            "default": "idporten",
            "signIn": {
                "idporten": {
                    "issuer": issuer,
                    "address": platform_url,
                    "clientId": CLIENT_ID,
                    "clientKey": msgspec.json.decode(client_key, type=dict[str, Any]),
                    "scope": "openid",
                    "acrValues": ["idporten-loa-substantial"],
                    "algorithms": ["ES256"],
                    "requireSyntheticPid": True,
                }
            },
            "exchange": {
                "id-porten": {
                    "kind": "id-porten",
                    "issuer": issuer,
                    "address": platform_url,
                    "audiences": [f"{scheme}://platform.{domain}"],
                    "algorithms": ["ES256"],
                    "requireSyntheticPid": True,
                },
                "maskinporten": {
                    "kind": "maskinporten",
                    "issuer": f"{issuer}/maskinporten",
                    "address": platform_url,
                    "audiences": [f"{scheme}://platform.{domain}"],
                    "algorithms": ["ES256"],
                },
            },
        }
    ).decode()
