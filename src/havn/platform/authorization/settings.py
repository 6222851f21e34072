"""What the authorization API is told at its start."""

from __future__ import annotations

import msgspec


class AuthorizationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Read by `havn.kit.settings`: each field is `HAVN_<FIELD>`, secrets may be files."""

    domain: str
    scheme: str = "https"
    platform_url: str
    """Where this process reaches the other platform APIs, without a path."""
    authorization_database_url: str
    platform_access_key: str
    """Private JWK (ES256) of the component `authorization`: a secret."""
    trust_file: str | None = None
    """Authorities that sign the other parts' certificates, beside the system's own; a PEM file, followed."""
    authorization_pseudonym_key: str = ""
    """Secret from which subjects' pseudonyms in the decision log are made. Empty: derived from the access key."""
    permit_retention_days: int = 90
    refusal_retention_days: int = 365
    max_delegation_depth: int = 3
    """How many times a delegation may be passed on, at most."""

    @property
    def platform_base(self) -> str:
        """The public address of the platform: audience of tokens for it."""
        return f"{self.scheme}://platform.{self.domain}"

    @property
    def issuer(self) -> str:
        """The issuer of the platform's user tokens."""
        return f"{self.platform_base}/authentication/api/v1/openid/"

    def __repr__(self) -> str:
        return f"AuthorizationSettings(domain={self.domain!r})"
