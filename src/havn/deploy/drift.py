"""Whether an app is still as it was put into its cluster."""

from __future__ import annotations

from havn.clusters.port import Cluster, Workload
from havn.deploy.environments import Environment
from havn.deploy.store import Desired


async def drift(desired: Desired, environment: Environment, cluster: Cluster) -> list[str]:
    """What is not, a sentence each; none while all is. Raises `ClusterError`."""
    workload = Workload(
        app=desired.target.app,
        release=desired.release,
        replicas=desired.replicas,
        scaling=desired.scaling,
        base=desired.base,
        settings=environment.settings,
    )
    return await cluster.drift(workload)
