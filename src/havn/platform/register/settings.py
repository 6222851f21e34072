"""Settings of the Register API."""

from __future__ import annotations

import msgspec

from havn.engines.identifiers import EnvironmentType


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Read by `havn.kit.settings` from the environment and the secrets folder."""

    domain: str
    """The environment's domain, with port when it is not the scheme's own."""
    environment_type: EnvironmentType
    """Which national identity numbers are real here: synthetic ones in `test`, others in `production`."""
    platform_url: str
    """Where platform APIs are reached from this process."""
    register_database_url: str
    platform_access_key: str
    """Secret: this component's private key for platform access tokens (JWK)."""
    scheme: str = "https"
    trust_file: str | None = None
    """Authorities that sign the other parts' certificates, beside the system's own; a PEM file, followed."""
    register_misses_per_user: int = 10
    """Person look-ups with a wrong name that a user may make in an hour."""
    register_misses_per_app: int = 1000
    register_misses_per_person: int = 20
    """Wrong names that may be tried on one number in an hour, by anyone."""

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"<Settings of register for {self.domain}>"
