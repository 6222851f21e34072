"""What we read of Kubernetes' objects: those fields, decoded once; everything else in them is left alone."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")
RELEASE_VARIABLE = "HAVN_RELEASE"


class Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`metadata` of every object."""

    name: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None


class Listing(msgspec.Struct, Generic[T], frozen=True):
    """A list of objects."""

    items: list[T]


class Variable(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An environment variable of a container."""

    name: str
    value: str | None = None


class Container(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A container as asked for."""

    name: str
    env: list[Variable] = []


class SecretSource(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The Secret of a volume."""

    secret_name: str = ""


class Volume(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A volume of a pod."""

    secret: SecretSource | None = None


class PodSpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a pod is asked to be."""

    containers: list[Container]
    volumes: list[Volume] = []
    node_name: str = ""
    """Empty until it has one."""
    termination_grace_period_seconds: int = 30

    @property
    def release(self) -> str:
        """Digest of the release that the pod runs; empty when it is no app's."""
        found = (each.value for container in self.containers for each in container.env if each.name == RELEASE_VARIABLE)
        return next(found, None) or ""

    @property
    def secrets(self) -> set[str]:
        """Names of the Secrets that the pod mounts."""
        return {volume.secret.secret_name for volume in self.volumes if volume.secret is not None}


class Condition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One of an object's conditions."""

    type: str
    status: str
    reason: str | None = None
    message: str | None = None
    last_transition_time: datetime | None = None


class PodTemplate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The pods that a Deployment makes."""

    spec: PodSpec


class DeploymentSpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a Deployment is asked to be."""

    replicas: int = 1
    template: PodTemplate


class DeploymentStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What its controller has seen of it."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    conditions: list[Condition] = []


class DeploymentMetadata(Metadata, frozen=True, kw_only=True, rename="camel"):
    """A Deployment's, with the count of its changes."""

    generation: int = 0


class Deployment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An app's Deployment."""

    metadata: DeploymentMetadata
    spec: DeploymentSpec
    status: DeploymentStatus = DeploymentStatus()

    @property
    def rolled_out(self) -> bool:
        """Whether its controller has made every pod anew as asked, and has no other."""
        seen, wanted = self.status, self.spec.replicas
        counts = (seen.replicas, seen.updated_replicas, seen.available_replicas)
        return seen.observed_generation >= self.metadata.generation and counts == (wanted, wanted, wanted)


class Ended(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a container stopped."""

    exit_code: int = 0
    reason: str | None = None


class Waiting(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Why a container does not run."""

    reason: str | None = None
    message: str | None = None


class Running(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Since when a container runs."""

    started_at: datetime | None = None


class ContainerState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One of the three."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Ended | None = None


class ContainerStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A container as it is."""

    name: str
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A pod as it is."""

    phase: str = "Pending"
    message: str | None = None
    """Of a pod that its node has evicted or would not take: why."""
    conditions: list[Condition] = []
    container_statuses: list[ContainerStatus] = []


class Pod(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A pod."""

    metadata: Metadata
    spec: PodSpec
    status: PodStatus = PodStatus()


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that a component of the cluster reported of an object."""

    reason: str | None = None
    message: str | None = None
    type: str | None = None
    last_timestamp: datetime | None = None


class ServicePort(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One of a Service's ports."""

    port: int
    app_protocol: str = ""


class ServiceSpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a Service is to be."""

    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    ports: list[ServicePort] = []


class Service(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A Service."""

    metadata: Metadata
    spec: ServiceSpec = ServiceSpec()


class Named(msgspec.Struct, frozen=True):
    """An object of any kind, as far as its name and labels."""

    metadata: Metadata


class Secret(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A Secret; its data in base64, as they travel."""

    metadata: Metadata
    data: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Secret({self.metadata.name!r}, {sorted(self.data)})"


class Autoscaler(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A HorizontalPodAutoscaler, as far as that there is one, and its bounds."""

    class Spec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
        """Its bounds."""

        min_replicas: int = 1
        max_replicas: int

    metadata: Metadata
    spec: Spec
