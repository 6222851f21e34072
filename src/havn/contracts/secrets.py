"""Wire types of apps' secrets in the control plane's API: a value goes in, and never comes out."""

from __future__ import annotations

from datetime import datetime

from havn.contracts.deploy import Deployment, Wire


class SecretRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of PUT secrets/{name}: the value of a new version."""

    value: str
    environment_variable: str | None = None
    """Also given to the app as this environment variable; when rotating, absent keeps what was said before."""
    rotate: bool = False
    """Only when the secret is there already."""
    rollout: bool = True
    """Whether the apps that use it are deployed anew with it."""

    def __repr__(self) -> str:
        return f"SecretRequest(environment_variable={self.environment_variable!r})"


class SecretInfo(Wire, frozen=True):
    """What is known of a secret. Never its value."""

    environment: str
    org: str
    app: str | None
    """None: all of the org's apps are given it."""
    name: str
    version: int
    environment_variable: str | None
    set_by: str
    set_at: datetime
    in_force: dict[str, int]
    """The version that each app was last put in force with, by app."""


class SecretChange(Wire, frozen=True):
    """Answer to a change: the secret as it is now (None when it was removed), and the deployments that it made."""

    secret: SecretInfo | None
    deployments: list[Deployment]


class RekeyRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST secrets/rekey."""

    new: bool = False
    """Make a new identity first."""


class RekeyAnswer(Wire, frozen=True):
    """How many stored values were sealed anew, and the id of the key that seals them now."""

    sealed: int
    key_id: str
