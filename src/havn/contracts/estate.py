"""Wire types of the control plane: orgs, environments, clusters and what is found wrong with them, roles and tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from havn.contracts.deploy import ApprovalRule, EnvironmentType, Wire

Role = Literal["look", "deploy", "approve", "administer"]
Scheme = Literal["http", "https"]
ClusterStatus = Literal["bootstrapping", "ready", "failed"]


class OrgRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of PUT orgs/{org}."""

    name: str


class OrgKey(Wire, frozen=True):
    """A public key with which the org's releases may be signed."""

    fingerprint: str
    added: datetime
    added_by: str


class OrgInfo(Wire, frozen=True):
    """A service owner."""

    org: str
    name: str
    keys: list[OrgKey]
    environments: list[str]
    """Where it has a cluster."""


class KeyRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST orgs/{org}/keys: a public key, PEM (P-256)."""

    public_key: str


class EnvironmentRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of PUT environments/{environment}."""

    type: EnvironmentType
    domain: str
    """Under which everything of the environment is reached, with port when it is not the scheme's own."""
    scheme: Scheme = "https"
    platform_url: str = ""
    """Where the control plane reaches the platform, when not at {scheme}://platform.{domain}."""
    approval: ApprovalRule = "none"
    settings: dict[str, str] = msgspec.field(default_factory=dict)
    """Environment variables that every app there is told, beside those made of the members above."""
    app_values: dict[str, Any] = msgspec.field(default_factory=dict)
    """Values of charts/app for every cluster of the environment."""
    registry: str = ""
    """The registry's name for the nodes of its clusters; empty: the one the control plane writes to."""
    deploy_key: str | None = None
    """Private JWK of the component `deploy` there. Write-only; without it the one there is stays."""

    def __repr__(self) -> str:
        return f"EnvironmentRequest({self.type!r}, {self.domain!r})"


class EnvironmentDetails(Wire, frozen=True):
    """An environment as it is stored, its key left out."""

    name: str
    type: EnvironmentType
    scheme: Scheme
    domain: str
    platform_url: str
    approval: ApprovalRule
    settings: dict[str, str]
    app_values: dict[str, Any]
    registry: str
    has_key: bool
    changed: datetime


class ClusterRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST clusters: how a cluster is reached. A token, or a client certificate with its key."""

    org: str
    environment: str
    server: str
    """Address of the API server, https."""
    authority: str | None = None
    """Certificates (PEM) that its own is checked against; without: those that this system trusts."""
    server_name: str | None = None
    """Name its certificate is for, when not that of the address."""
    token: str | None = None
    certificate: str | None = None
    key: str | None = None
    namespace: str = "default"
    ingress: str = ""
    """Address of its ingress: IP address or host name."""
    app_values: dict[str, Any] = msgspec.field(default_factory=dict)
    """Values of charts/app that only this cluster has."""
    base_values: dict[str, Any] = msgspec.field(default_factory=dict)
    """Values of charts/cluster that only this cluster has."""

    def __repr__(self) -> str:
        return f"ClusterRequest({self.org!r}, {self.environment!r}, {self.server!r})"


class DnsRecord(Wire, frozen=True):
    """A record that is wanted."""

    name: str
    type: str
    value: str


class ClusterInfo(Wire, frozen=True):
    """A cluster, its credentials left out."""

    org: str
    environment: str
    server: str
    namespace: str
    ingress: str
    status: ClusterStatus
    reason: str | None
    added: datetime
    added_by: str
    apps: int
    """How many apps should run there."""
    dns: list[DnsRecord]


class Finding(Wire, frozen=True):
    """What one check of a cluster found."""

    check: str
    result: Literal["ok", "warning", "fail"]
    message: str
    """A sentence."""
    next: str = ""
    """What to do about it."""


class LoginInfo(Wire, frozen=True):
    """Answer of POST login: where a person confirms that it is them (RFC 8628 section 3.2)."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_in: int
    interval: int

    def __repr__(self) -> str:
        return f"LoginInfo({self.user_code!r}, {self.verification_uri!r})"


class LoginPoll(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST login/token."""

    device_code: str

    def __repr__(self) -> str:
        return "LoginPoll()"


class Session(Wire, frozen=True):
    """Answer of POST login/token. `waiting` while the person has not confirmed; then ask again after `interval`."""

    waiting: bool = False
    interval: int = 0
    token: str | None = None
    """Shown this once."""
    expires: datetime | None = None
    subject: str = ""
    name: str = ""

    def __repr__(self) -> str:
        return f"Session({self.subject!r}, waiting={self.waiting})"


class Grant(Wire, frozen=True):
    """A role that somebody holds, for one org or for all (`*`)."""

    subject: str
    org: str
    role: Role
    name: str = ""
    """As the subject is called, when known."""
    granted: datetime | None = None
    granted_by: str = ""


class GrantRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST access and of POST access/revoke."""

    subject: str
    org: str
    role: Role


class WhoAmI(Wire, frozen=True):
    """Who the caller is, and what they may do."""

    subject: str
    name: str
    grants: list[Grant]


class CiTokenRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST ci-tokens."""

    name: str
    org: str
    roles: list[Role]
    days: int = 90


class CiToken(Wire, frozen=True):
    """A token for a machine. `token` is shown once, when it is made."""

    id: str
    name: str
    grants: list[Grant]
    created: datetime
    created_by: str
    expires: datetime
    last_used: datetime | None
    revoked: datetime | None
    token: str | None = None

    def __repr__(self) -> str:
        return f"CiToken({self.id!r}, {self.name!r})"


class AuthorityInfo(Wire, frozen=True):
    """A certificate authority of an org's cluster."""

    number: int
    state: Literal["coming", "signing", "leaving"]
    """`coming`: believed, and about to sign. `leaving`: signs no more, and believed for a little longer."""
    since: datetime
    until: datetime
    """When its certificate ends; it is changed long before."""
