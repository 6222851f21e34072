"""Wire types of the control plane: releases, deployments and their events, and what runs beside what was asked."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

DeploymentKind = Literal["deploy", "rollback", "scale", "undeploy"]
DeploymentStatus = Literal["queued", "running", "restoring", "succeeded", "failed"]
"""`restoring`: it failed, and what was there before is being put back."""

FINAL: frozenset[DeploymentStatus] = frozenset(("succeeded", "failed"))


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of the control plane's wire types."""


class EnvironmentInfo(Wire, frozen=True):
    """An environment that apps are deployed to."""

    name: str
    type: Literal["test", "production"]
    scheme: str
    domain: str
    approval: Literal["none", "another"]
    """`another`: somebody else than who asks for a deployment must approve it."""


class DeployRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST deployments: put this release there."""

    environment: str
    org: str
    app: str
    release: str
    """Digest of the release."""
    replicas: int | None = None
    """How many; what it was before when absent, else one."""


class ScaleRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST scale."""

    replicas: int


class RollbackRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST rollback: to this revision, or to the last one that differs from what is there."""

    revision: int | None = None


class Deployment(Wire, frozen=True):
    """One change to one app in one environment, wanted by somebody."""

    id: int
    environment: str
    org: str
    app: str
    revision: int
    """Counts the changes to the app in the environment."""
    kind: DeploymentKind
    release: str | None
    replicas: int
    status: DeploymentStatus
    reason: str | None
    """Why it failed, a sentence."""
    requested_by: str
    requested: datetime
    finished: datetime | None


class DeploymentEvent(Wire, frozen=True):
    """A step of a deployment."""

    number: int
    at: datetime
    message: str


class DeploymentProgress(Wire, frozen=True):
    """A deployment and the events after the number asked with."""

    deployment: Deployment
    events: list[DeploymentEvent]


class ReplicaInfo(Wire, frozen=True):
    """One process or pod as the cluster sees it."""

    name: str
    release: str
    state: str
    reason: str | None
    restarts: int
    since: datetime


class AppInfo(Wire, frozen=True):
    """An app in an environment: what was asked for, and what the cluster says."""

    environment: str
    org: str
    app: str
    revision: int
    release: str
    replicas: int
    address: str
    ready: int
    actual: list[ReplicaInfo]
    problem: str | None = None
    """Why the cluster could not be asked."""
    changing: DeploymentStatus | None = None
    """Set while a deployment is under way."""


class ReleaseInfo(Wire, frozen=True):
    """A release that is known to the control plane."""

    org: str
    app: str
    digest: str
    labels: dict[str, str]
    first_deployed: datetime


class AuditEntry(Wire, frozen=True):
    """Who did what, when, from where, and what was there before and after."""

    at: datetime
    who: str
    address: str
    action: str
    environment: str
    org: str
    app: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class LogEntry(Wire, frozen=True):
    """A line of an app's log."""

    time: datetime
    replica: str
    text: str


class MachinePart(Wire, frozen=True):
    """How one part of an embedded platform is."""

    name: str
    state: str
    reason: str | None
    restarts: int
    pid: int | None


class DevRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST dev: run this folder as that app."""

    folder: str
    org: str
    app: str


class DevEvent(Wire, frozen=True):
    """What happens in a session of `havn dev`: `ready`, `log`, `error`, or `alive` from time to time."""

    kind: str
    text: str
