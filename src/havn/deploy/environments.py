"""The environments that apps are deployed to: what an app is told there, its platform, and the keys it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from havn.deploy.publishing import Publisher


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """One environment, with its own platform and data."""

    name: str
    type: Literal["test", "production"]
    scheme: str
    domain: str
    publisher: Publisher
    settings: Mapping[str, str]
    """What every app there is told, as environment variables."""

    def address(self, org: str, app: str) -> str:
        """Where people reach the app."""
        return f"{self.scheme}://{org}.apps.{self.domain}/{app}"


class Keyring(Protocol):
    """The keys of orgs and of app deployments; kept encrypted, outside the database."""

    def trusted(self, org: str) -> Sequence[str]:
        """Public keys (PEM) with which the org's releases may be signed."""
        ...

    def access_key(self, environment: str, org: str, app: str, rollout: int) -> str:
        """The private JWK of one rollout of an app, made when it is first asked for."""
        ...

    def forget(self, environment: str, org: str, app: str, rollout: int) -> str | None:
        """Throw the rollout's key away; returns its id, or None when there is none."""
        ...
