"""Settings of the test identity provider."""

from __future__ import annotations

import msgspec

from havn.engines.identifiers import EnvironmentType


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Read by `havn.kit.settings` from the environment and the secrets folder."""

    domain: str
    """The environment's domain, with port when it is not the scheme's own."""
    environment: str
    """Must be `local`, unless `login_open`."""
    environment_type: EnvironmentType
    """Must be `test`."""
    login_signing_key: str
    """Secret: the provider's private key (P-256 JWK)."""
    login_client_jwks: str
    """Public keys of its one client, the platform (JWKS)."""
    scheme: str = "https"
    login_open: bool = False
    """Answer everyone and not this machine alone: whoever reaches it signs in as any test person."""
    testdata_folder: str = ""
    """Folder of further sets of test data, whose people are offered beside the fixed ones."""

    @property
    def issuer(self) -> str:
        """This provider's issuer for people."""
        return f"{self.scheme}://login.{self.domain}"

    @property
    def systems_issuer(self) -> str:
        """Its issuer for organisations' tokens."""
        return f"{self.issuer}/maskinporten"

    @property
    def platform_base(self) -> str:
        """The one client's address."""
        return f"{self.scheme}://platform.{self.domain}/authentication/api/v1"

    def __repr__(self) -> str:
        """Without the keys."""
        return f"<Settings of the test identity provider for {self.domain}>"
