"""What is shown of apps: always two things side by side, what was asked for and what the cluster says."""

from __future__ import annotations

import asyncio

import msgspec

from havn.clusters.port import AppStatus, ClusterError, Clusters, Replica, UnknownApp
from havn.contracts.deploy import AppInfo, ReplicaInfo
from havn.deploy.drift import drift as find_drift
from havn.deploy.environments import Environments
from havn.deploy.store import Desired, Store, Target

_PATIENCE = 3.0
"""Seconds a cluster has to say how it is: one that cannot be reached must not delay the others."""
_LOOK_WITHIN = 20.0


class Overview:
    """Reads desired state and asks the clusters."""

    def __init__(self, store: Store, environments: Environments, clusters: Clusters) -> None:
        self._store = store
        self._environments = environments
        self._clusters = clusters

    async def apps(self, environment: str | None = None, org: str | None = None) -> list[AppInfo]:
        """Every app that should run, by environment, org and name."""
        desired = await self._store.all_desired(environment, org)
        return list(await asyncio.gather(*(self._info(each) for each in desired)))

    async def app(self, target: Target, *, drift: bool = False) -> AppInfo | None:
        """One app, or None when it is not deployed; `drift`: with what is not as it was put there."""
        desired = await self._store.desired(target)
        if desired is None:
            return None
        info = await self._info(desired)
        # While it is being changed everything differs; and what cannot be asked has not drifted.
        if not drift or info.changing is not None or info.problem is not None:
            return info
        return msgspec.structs.replace(info, drift=await self._drift(desired))

    async def _drift(self, desired: Desired) -> list[str] | None:
        target = desired.target
        try:
            async with asyncio.timeout(_LOOK_WITHIN):
                environment = await self._environments.find(target.environment)
                cluster = await self._clusters.find(target.org, target.environment)
                return await find_drift(desired, environment, cluster)
        except (ClusterError, TimeoutError):
            return None

    async def _info(self, desired: Desired) -> AppInfo:
        target = desired.target
        status: AppStatus | None = None
        problem: str | None = None
        try:
            async with asyncio.timeout(_PATIENCE):
                cluster = await self._clusters.find(target.org, target.environment)
                status = await cluster.status(target.app)
        except UnknownApp:
            problem = "The cluster does not run it."
        except ClusterError as error:
            problem = str(error)
        except TimeoutError:
            problem = "The cluster does not answer."
        if status is not None and status.release != desired.release:
            problem = f"The cluster runs another release, {status.release}."
        changing = await self._store.under_way(target)
        environment = await self._environments.find(target.environment)
        actual = status.actual if status is not None else ()
        return AppInfo(
            environment=target.environment,
            org=target.org,
            app=target.app,
            revision=desired.revision,
            release=desired.release,
            replicas=desired.replicas,
            address=environment.address(target.org, target.app),
            ready=sum(each.state == "ready" and each.release == desired.release for each in actual),
            actual=[_replica(each) for each in actual],
            problem=problem,
            changing=changing.status if changing is not None else None,
            base=status.base if status is not None else desired.base,
            scaling=desired.scaling,
        )


def _replica(replica: Replica) -> ReplicaInfo:
    return ReplicaInfo(**msgspec.structs.asdict(replica))
