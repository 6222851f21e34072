"""The port to a cluster: where one org's apps run in one environment, whoever runs them there.

Two promises are part of it. *Routing*: when `apply` has returned, requests for the app's host, under `/{app}` and under
`/{org}/{app}`, reach exactly this app in its new release, and no request failed on the way from the release before.
*Truth*: `status` is read back from what runs, never from what was asked.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from havn.contracts.deploy import Scaling


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What a cluster is asked to run for one app."""

    app: str
    release: str
    """Digest of the release, `sha256:…`."""
    replicas: int = 1
    """How many; with `scaling` the least, unless it is zero."""
    scaling: Scaling | None = None
    base: str | None = None
    """Digest of the base image to put the release on; None: the cluster's newest. A cluster may have none."""
    settings: Mapping[str, str] = {}
    """Environment variables of the app's processes."""
    secrets: Mapping[str, str] = {}
    """Files by name in the folder that `HAVN_SECRETS_DIR` names to the app."""
    secret_variables: Mapping[str, str] = {}
    """Environment variables that hold a secret too, each with the secret's name."""
    chart: Mapping[str, Any] = {}
    """Values of `charts/app` that the app's own folder asks for; of use where a Kubernetes is."""
    ready_within: float = 60.0
    """Seconds each replica has to become ready."""

    def __repr__(self) -> str:
        return f"Workload({self.app!r}, {self.release!r}, replicas={self.replicas}, secrets={sorted(self.secrets)})"


ReplicaState = Literal["starting", "ready", "unready", "waiting", "stopping"]


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """One process or pod as it is now. `waiting`: it failed and will be started again."""

    name: str
    release: str
    state: ReplicaState
    reason: str | None = None
    """Why it is not ready, a sentence, with the last log line when it stopped by itself."""
    restarts: int = 0
    since: datetime


class AppStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, beside what runs."""

    app: str
    release: str
    replicas: int
    """How many were asked for."""
    actual: tuple[Replica, ...] = ()
    """What there is of it; what has been told to end comes last."""
    base: str | None = None
    """Digest of the base image that the release is put on; None where the cluster has none."""

    @property
    def ready(self) -> int:
        """How many replicas of the release asked for are ready."""
        return sum(replica.state == "ready" and replica.release == self.release for replica in self.actual)

    @property
    def settled(self) -> bool:
        """Whether exactly what was asked for runs, whatever is left of replicas that have been told to end."""
        return self.ready == self.replicas == sum(replica.state != "stopping" for replica in self.actual)


class LogLine(msgspec.Struct, frozen=True):
    """A line that one replica wrote."""

    time: datetime
    replica: str
    text: str


class Output(msgspec.Struct, frozen=True):
    """A piece of what a command inside an app wrote."""

    stream: Literal["stdout", "stderr"]
    data: bytes


class Ended(msgspec.Struct, frozen=True):
    """A command inside an app has ended; `code` above 128 for one that a signal ended."""

    code: int


class ClusterError(Exception):
    """The cluster could not do what was asked; the message is a sentence with the reason."""


class RolloutFailed(ClusterError):
    """The release did not become ready; what ran before still runs and is routed to."""

    def __init__(self, reason: str, status: AppStatus) -> None:
        super().__init__(reason)
        self.status = status


class UnknownApp(ClusterError):
    """No such app is in the cluster."""


Progress = Callable[[str], None]
"""Told each step of a rollout as a sentence."""


class Cluster(Protocol):
    """One org's cluster in one environment. Every call but `execute` is safe to repeat."""

    follows_load: bool
    """Whether it changes the number of replicas by itself within an app's `Scaling`."""

    async def apply(self, workload: Workload, progress: Progress = ...) -> AppStatus:
        """Make the app run as `workload` says, replacing what ran before without a failed request.

        Returns when every replica is ready and they alone are routed to; those before may still be ending what they
        have begun. Raises `RolloutFailed` when the new release does not become ready; then everything is as it was
        before the call.
        """
        ...

    async def drained(self, app: str) -> bool:
        """Wait until no replica that has been told to end is left; False when one is long after its time."""
        ...

    async def scale(self, app: str, replicas: int, progress: Progress = ...) -> AppStatus:
        """Change the number of replicas; zero keeps the app known but not running. Raises `UnknownApp`."""
        ...

    async def status(self, app: str) -> AppStatus:
        """The app as it is now. Raises `UnknownApp`."""
        ...

    async def apps(self) -> list[AppStatus]:
        """Every app of the cluster, by name."""
        ...

    def logs(self, app: str, *, lines: int = 100, follow: bool = False) -> AsyncGenerator[LogLine, None]:
        """The last `lines` of all replicas in the order they came, and with `follow` those that come. `UnknownApp`."""
        ...

    async def drift(self, workload: Workload) -> list[str]:
        """What is not as the app was put there, a sentence each: changed by hand, gone, scaled. `UnknownApp`.

        The secrets of `workload` are not looked at.
        """
        ...

    def execute(self, app: str, command: Sequence[str]) -> AsyncGenerator[Output | Ended, None]:
        """Run a command in the surroundings of one ready replica; the last of what comes is `Ended`.

        Raises `UnknownApp`, and `ClusterError` when there is no replica to run it in. Who stops reading ends it.
        """
        ...

    async def remove(self, app: str) -> None:
        """Stop routing to the app, let requests under way end, and stop it. Nothing happens when it is not there."""
        ...


class Clusters(Protocol):
    """Finds the cluster of an org in an environment; asked anew each time, since clusters come and go."""

    async def find(self, org: str, environment: str) -> Cluster:
        """The cluster. Raises `ClusterError` when there is none."""
        ...


def silent(step: str) -> None:
    """Tell nobody."""
