"""The job that makes a new cluster ready for apps: `charts/cluster` by Helm, then a look from outside.

Each step may be repeated, so a job that was cut off begins again. A failure is written beside the cluster; whoever
adds it once more, with what was wrong put right, begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from havn.clusters.kubernetes import bootstrap as cluster_bootstrap
from havn.clusters.kubernetes.leaves import TRUST, leaf_name
from havn.clusters.kubernetes.outbound import PROXY
from havn.clusters.kubernetes.unknown import PAGE
from havn.clusters.kubernetes.values import merged
from havn.clusters.port import ClusterError
from havn.deploy.authority.keeper import Keeper
from havn.deploy.estate.clusters import EstateClusters, front
from havn.deploy.estate.model import ClusterRow, EnvironmentRow
from havn.deploy.estate.store import EstateStore
from havn.deploy.protection.store import ProtectionStore
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.queue import Job

_NO_APP = "havn-no-such-app"
_TRIES = 4


class _Which(msgspec.Struct, frozen=True):
    org: str
    environment: str


def _certificate(tls: Mapping[str, Any]) -> dict[str, Any]:
    """Where the API proxy's certificate comes from: from where those of the apps do, by their values for `tls`."""
    if not tls:
        return {"existingSecret": leaf_name(PROXY)}
    manager = tls.get("certManager", {})
    return {"certManager": manager} if manager.get("issuer") else {}


def _page(tls: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The same for the page where no app is, and whom Traefik believes; nothing where the chart's values say."""
    if own.get("tls"):
        return {}
    if not tls:
        return {"tls": {"existingSecret": leaf_name(PAGE), "authoritySecret": TRUST}}
    return {"tls": {**_certificate(tls), "authoritySecret": tls.get("authoritySecret", "")}}


def _check_certificate(proxy: Mapping[str, Any], apps: Mapping[str, Any]) -> None:
    """Where apps have certificates that we know nothing of, none of ours would be believed. Raises `ClusterError`."""
    tls = proxy.get("tls", {})
    has_one = tls.get("existingSecret") or tls.get("certManager", {}).get("issuer")
    if proxy.get("enabled", True) and apps.get("tls", {}).get("existingSecret") and not has_one:
        raise ClusterError(
            "Apps have a certificate of your own here (tls.existingSecret in the values of charts/app): name the API "
            "proxy's too, as egress.tls in the values of charts/cluster."
        )


def _egress(row: ClusterRow, environment: EnvironmentRow) -> dict[str, Any]:
    """The API proxy's own view of the environment: where the platform is, as its apps are told."""
    apps = environment.app_values
    platform = apps.get("platform", {})
    return {
        "environment": environment.name,
        "environmentType": environment.type,
        "tls": _certificate(merged(apps, row.app_values).get("tls", {})),
        "platform": {
            "url": platform.get("url", "") or environment.settings.get("HAVN_PLATFORM_URL", ""),
            "address": platform.get("address", ""),
            "authorities": environment.authorities,
            "cidrs": list(apps.get("networkPolicy", {}).get("platformCidrs", [])),
        },
    }


class Bootstrap:
    """Does the jobs `bootstrap`."""

    def __init__(
        self, store: EstateStore, clusters: EstateClusters, keeper: Keeper, shut: ProtectionStore, clock: Clock
    ) -> None:
        self._clock = clock
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
        given = {
            "org": row.org,
            "domain": environment.domain,
            "image": {"repository": image.repository, "digest": image.digest},
            "egress": _egress(row, environment),
            "unknown": _page(
                merged(environment.app_values, row.app_values).get("tls", {}), row.base_values.get("unknown", {})
            ),
        }
        values = merged(given, row.base_values)
        _check_certificate(values["egress"], merged(environment.app_values, row.app_values))
        async with self._clusters.reach(row) as reached:
            await cluster_bootstrap.install(
                reached.kube, reached.helm, tools.charts / "cluster", values,
                self._clusters.issuers(row, environment), self._clock(),
            )  # fmt: skip

    async def _answers(self, row: ClusterRow, environment: EnvironmentRow) -> bool:
        """Whether we reach the ingress: then each rollout is looked at through it too."""
        looking = front(row, environment)
        try:
            return await looking.leads_nowhere(_NO_APP, known=False) is None
        finally:
            await looking.close()
