"""The job that makes a new cluster ready for apps: `charts/cluster` by Helm, then a look from outside.

Each step may be repeated, so a job that was cut off begins again. A failure is written beside the cluster; whoever
adds it once more, with what was wrong put right, begins anew.
"""

from __future__ import annotations

from typing import Any

import msgspec

from havn.clusters.kubernetes import bootstrap as cluster_bootstrap
from havn.clusters.kubernetes.values import merged
from havn.clusters.port import ClusterError
from havn.deploy.authority.keeper import Keeper
from havn.deploy.estate.clusters import EstateClusters, front
from havn.deploy.estate.model import ClusterRow, EnvironmentRow
from havn.deploy.estate.store import EstateStore
from havn.deploy.protection.store import ProtectionStore
from havn.kit.problem import Problem
from havn.kit.queue import Job

_NO_APP = "havn-no-such-app"
_TRIES = 4


class _Which(msgspec.Struct, frozen=True):
    org: str
    environment: str


def _egress(environment: EnvironmentRow) -> dict[str, Any]:
    """The API proxy's own view of the environment: where the platform is, as its apps are told."""
    apps = environment.app_values
    platform = apps.get("platform", {})
    return {
        "environment": environment.name,
        "environmentType": environment.type,
        "platform": {
            "url": platform.get("url", "") or environment.settings.get("HAVN_PLATFORM_URL", ""),
            "address": platform.get("address", ""),
            "authorities": environment.authorities,
            "cidrs": list(apps.get("networkPolicy", {}).get("platformCidrs", [])),
        },
    }


class Bootstrap:
    """Does the jobs `bootstrap`."""

    def __init__(self, store: EstateStore, clusters: EstateClusters, keeper: Keeper, shut: ProtectionStore) -> None:
        self._keeper = keeper
        self._shut = shut
        self._store = store
        self._clusters = clusters

    async def run(self, job: Job) -> None:
        """Handle a job."""
        which = msgspec.json.decode(job.payload, type=_Which)
        row = await self._store.cluster(which.org, which.environment)
        environment = await self._store.environment(which.environment)
        if row is None or environment is None or row.status != "bootstrapping":
            return
        try:
            await self._install(row, environment)
            looked_at = bool(row.ingress) and await self._answers(row, environment)
        except (ClusterError, Problem) as error:
            if isinstance(error, Problem) and job.attempts < _TRIES:
                # A part of our own that is away for now.
                raise
            await self._store.set_cluster(row.org, row.environment, row.version, "failed", reason=str(error)[:2000])
            return
        await self._store.set_cluster(row.org, row.environment, row.version, "ready", front=looked_at)
        await self._keeper.store.request_later(row.environment, row.org, 0)
        # It may be another cluster than before.
        await self._shut.request(row.environment, row.org)

    async def _install(self, row: ClusterRow, environment: EnvironmentRow) -> None:
        tools = self._clusters.tools
        if tools.helm is None:
            raise ClusterError("Helm is not on this machine: install it, or say where it is with HAVN_HELM.")
        image = await tools.images(environment.registry).base()
        values = {
            "org": row.org,
            "domain": environment.domain,
            "image": {"repository": image.repository, "digest": image.digest},
            "egress": _egress(environment),
        }
        async with self._clusters.reach(row) as reached:
            await cluster_bootstrap.install(
                reached.kube, reached.helm, tools.charts / "cluster", merged(values, row.base_values)
            )

    async def _answers(self, row: ClusterRow, environment: EnvironmentRow) -> bool:
        """Whether we reach the ingress: then each rollout is looked at through it too."""
        looking = front(row, environment)
        try:
            return await looking.leads_nowhere(_NO_APP, known=False) is None
        finally:
            await looking.close()
