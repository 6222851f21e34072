"""Whether an app is still as it was put into its cluster."""

from __future__ import annotations

import msgspec

from havn.clusters.port import Cluster, Scaling, Workload
from havn.deploy.environments import Environment
from havn.deploy.store import Desired


async def drift(desired: Desired, environment: Environment, cluster: Cluster) -> list[str]:
    """What is not, a sentence each; none while all is. Raises `ClusterError`."""
    scaling = desired.scaling
    workload = Workload(
        app=desired.target.app,
        release=desired.release,
        replicas=desired.replicas,
        scaling=None if scaling is None else Scaling(**msgspec.structs.asdict(scaling)),
        base=desired.base,
        settings=environment.settings,
    )
    return await cluster.drift(workload)
