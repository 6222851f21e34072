"""Wire types of the control plane: releases, deployments and their events, and what runs beside what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

EnvironmentType = Literal["test", "production"]
ApprovalRule = Literal["none", "another"]
DeploymentKind = Literal["deploy", "rollback", "scale", "undeploy", "heal", "base"]
DeploymentStatus = Literal["queued", "running", "restoring", "succeeded", "failed"]
"""`restoring`: it failed, and what was there before is being put back."""

FINAL: frozenset[DeploymentStatus] = frozenset(("succeeded", "failed"))


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of the control plane's wire types."""


class EnvironmentInfo(Wire, frozen=True):
    """An environment that apps are deployed to."""

    name: str
    type: EnvironmentType
    scheme: str
    domain: str
    approval: ApprovalRule
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
    mapping: Mapping[str, str] = {}
    """Open instances in a task that is gone are moved to another: old task to new."""
    strand: bool = False
    """Whether open instances that the release has no place for may be left where they are."""


class Scaling(Wire, frozen=True, forbid_unknown_fields=True):
    """Bounds between which the number of replicas follows the load; kept through deploys and rollbacks."""

    minimum: int
    maximum: int
    cpu: int = 75
    """Percent of the CPU asked for that a replica should use on average."""
    up_seconds: int = 0
    """How long the load must have been higher before replicas are added."""
    down_seconds: int = 300
    """How long it must have been lower before some are taken away."""


class ScaleRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST scale: another number of replicas, or bounds for it; one of the two."""

    replicas: int | None = None
    scaling: Scaling | None = None


class BaseRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST base: the release that runs, on this base image."""

    base: str
    """Digest of the base image."""


class RollbackRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST rollback: to this revision, or to the last one that differs from what is there."""

    revision: int | None = None
    mapping: Mapping[str, str] = {}
    """As in a deployment: the release put back may have other tasks."""
    strand: bool = False


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
    base: str | None = None
    """Digest of the base image under the release; null for the cluster's newest, and where there is none."""
    scaling: Scaling | None = None
    """The bounds that a change of scale asks for."""
    mapping: Mapping[str, str] = {}
    strand: bool = False
    promoted_from: str | None = None
    """The environment where the release ran before it came here."""


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
    base: str | None = None
    """Digest of the base image under the release, where there is one."""
    scaling: Scaling | None = None
    """Bounds for the number of replicas, when it follows the load."""
    drift: list[str] | None = None
    """What is not as it was put there, a sentence each; null when it was not looked for."""


class ExecRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST exec: a program and its arguments, run in the surroundings of one replica."""

    command: list[str]


class ExecEvent(Wire, frozen=True):
    """A piece of what the command writes, or how it ended (`code` alone), or why it could not be run (`error`)."""

    stream: Literal["stdout", "stderr"] | None = None
    data: bytes = b""
    """In base64."""
    code: int | None = None
    error: str | None = None


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
