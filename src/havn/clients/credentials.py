"""What a call to a platform API proves: who the user is, and which component asks."""

from __future__ import annotations

import msgspec


class Credentials(msgspec.Struct, frozen=True):
    """Tokens to send along; each may be absent. Kept out of logs by a repr without content."""

    token: str | None = None
    platform_token: str | None = None
    lock_token: str | None = None
    """Shows storage that the caller holds the instance's lock."""
    at_least: int | None = None
    """The version of access rights that must have arrived before anything is decided."""

    def headers(self) -> dict[str, str]:
        """The request headers that carry the tokens."""
        sent: dict[str, str] = {}
        if self.token is not None:
            sent["authorization"] = f"Bearer {self.token}"
        if self.platform_token is not None:
            sent["PlatformAccessToken"] = self.platform_token
        if self.lock_token is not None:
            sent["Altinn-Storage-Lock-Token"] = self.lock_token
        if self.at_least is not None:
            sent["X-Authz-Version"] = str(self.at_least)
        return sent

    def __repr__(self) -> str:
        return (
            f"Credentials(token={'…' if self.token else None}, platform_token={'…' if self.platform_token else None})"
        )
