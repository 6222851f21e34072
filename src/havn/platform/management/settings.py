"""Settings of the management API."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Read by `havn.kit.settings` from the environment and the secrets folder."""

    domain: str
    """The environment's domain, with port when it is not the scheme's own."""
    environment: str
    """The environment's name."""
    platform_url: str
    """Where platform APIs are reached from this process."""
    management_database_url: str
    platform_access_key: str
    """Secret: this component's private key for platform access tokens (JWK)."""
    scheme: str = "https"

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"<Settings of management for {self.domain}>"
