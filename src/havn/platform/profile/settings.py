"""Settings of the Profile API."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Read by `havn.kit.settings` from the environment and the secrets folder."""

    domain: str
    """The environment's domain, with port when it is not the scheme's own."""
    platform_url: str
    """Where platform APIs are reached from this process."""
    profile_database_url: str
    platform_access_key: str
    """Secret: this component's private key for platform access tokens (JWK)."""
    scheme: str = "https"
    trust_file: str | None = None
    """Authorities that sign the other parts' certificates, beside the system's own; a PEM file, followed."""

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"<Settings of profile for {self.domain}>"
