"""`Clusters` from the rows: a connection to each, made when it is first asked for and anew when its row has changed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import msgspec

from havn.clusters.kubernetes import Front, Helm, Image, Images, Kube, KubernetesCluster, Site
from havn.clusters.kubernetes.credentials import Credentials
from havn.clusters.kubernetes.leaves import Issuer
from havn.clusters.kubernetes.values import merged
from havn.clusters.port import ClusterError
from havn.deploy.estate.model import ClusterRow, EnvironmentRow, cluster_place, host
from havn.deploy.estate.store import EstateStore
from havn.deploy.sealing import Sealer, SealError
from havn.kit.clock import Clock

# Longer than any one change to an app takes.
_IN_USE = timedelta(minutes=20)
# What charts/cluster brings, and apps name.
_BASE = {"ingress": {"middlewares": ["havn-protect", "havn-headers", "havn-retry"]}}


class ImageSource(Images, Protocol):
    """Where images come from: those of apps, and the base image for what every cluster has."""

    async def base(self) -> Image:
        """The base image, put where the cluster's nodes find it. Raises `ClusterError`."""
        ...


Issuers = Callable[[ClusterRow, EnvironmentRow], Issuer]
"""The certificate authority of a cluster."""


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What clusters are worked on with."""

    helm: Path | None
    """The program; None: there is none here, and nothing can be put into a cluster."""
    charts: Path
    """The folder of `charts/app` and `charts/cluster`."""
    images: Callable[[str], ImageSource]
    """The images for nodes that call the registry so; empty: as the control plane does."""
    run: Path
    """A private folder for kubeconfigs in use; emptied at the start."""


class Reached(msgspec.Struct, frozen=True):
    """A connection to a cluster, and Helm for it."""

    kube: Kube
    helm: Helm


class EstateClusters:
    """See `Clusters`."""

    def __init__(self, store: EstateStore, sealer: Sealer, tools: Tools, clock: Clock, issuers: Issuers) -> None:
        """`issuers` are the certificate authorities of the clusters."""
        self.issuers = issuers
        self._store = store
        self._sealer = sealer
        self.tools = tools
        self._clock = clock
        self._made: dict[tuple[str, str], tuple[int, KubernetesCluster]] = {}
        self._retired: list[tuple[datetime, KubernetesCluster]] = []
        """Those whose row has changed, since when; somebody may be using them just now."""
        self._turn = asyncio.Lock()
        self._count = 0
        shutil.rmtree(tools.run, ignore_errors=True)
        tools.run.mkdir(mode=0o700, parents=True)

    async def find(self, org: str, environment: str) -> KubernetesCluster:
        """See `Clusters.find`."""
        row = await self._store.cluster(org, environment)
        if row is None:
            raise ClusterError(
                f"{org} has no cluster in {environment}: add it with `havn cluster add {org} --env {environment}`."
            )
        if row.status == "bootstrapping":
            raise ClusterError(f"The cluster of {org} in {environment} is being set up: try again in a minute.")
        if row.status == "failed":
            raise ClusterError(f"The cluster of {org} in {environment} could not be set up: {row.reason}")
        key = (org, environment)
        async with self._turn:
            known = self._made.get(key)
            if known is not None and known[0] == row.version:
                return known[1]
            place = await self._store.environment(environment)
            assert place is not None  # a cluster's row refers to it
            made = self._build(row, place)
            self._made[key] = (row.version, made)
            if known is not None:
                self._retired.append((self._clock(), known[1]))
            await self._close_unused()
        return made

    @asynccontextmanager
    async def reach(self, row: ClusterRow) -> AsyncIterator[Reached]:
        """A connection of one's own for a while, for what is no matter of one app. Raises `ClusterError`."""
        with_credentials = self.open(row)
        async with self.try_out(with_credentials, row.namespace) as reached:
            yield reached

    @asynccontextmanager
    async def try_out(self, credentials: Credentials, namespace: str) -> AsyncIterator[Reached]:
        """A connection with credentials that are not stored."""
        config = self._write(credentials)
        kube = Kube(config, namespace)
        try:
            yield Reached(kube, self._helm(config, namespace))
        finally:
            await kube.close()
            shutil.rmtree(config.parent, ignore_errors=True)

    def open(self, row: ClusterRow) -> Credentials:
        """A row's credentials. Raises `ClusterError` when they cannot be opened."""
        try:
            text = self._sealer.open(cluster_place(row.org, row.environment), row.credentials)
        except SealError as error:
            raise ClusterError(str(error)) from None
        return msgspec.json.decode(text, type=Credentials)

    async def forget(self, org: str, environment: str) -> None:
        """Close what is open to a cluster that is gone, and take its credentials off the disk."""
        async with self._turn:
            made = self._made.pop((org, environment), None)
            gone = [made[1]] if made is not None else []
            place = (org, environment)
            gone += [each for _, each in self._retired if (each.site.org, each.site.environment) == place]
            self._retired = [each for each in self._retired if each[1] not in gone]
            for cluster in gone:
                await self._discard(cluster)

    async def close(self) -> None:
        """Close every connection, and take the credentials off the disk."""
        for cluster in [*(each for _, each in self._retired), *(each for _, each in self._made.values())]:
            await cluster.close()
        self._made.clear()
        self._retired.clear()
        shutil.rmtree(self.tools.run, ignore_errors=True)

    def _build(self, row: ClusterRow, environment: EnvironmentRow) -> KubernetesCluster:
        config = self._write(self.open(row))
        values = merged(_BASE, environment.app_values, row.app_values)
        # In the bundle of what is believed, and no value of the chart.
        values.get("platform", {}).pop("authorities", None)
        site = Site(
            org=row.org,
            environment=row.environment,
            chart=self.tools.charts / "app",
            values=values,
        )
        return KubernetesCluster(
            site,
            Kube(config, row.namespace),
            self._helm(config, row.namespace),
            self.tools.images(environment.registry),
            front(row, environment) if row.front else None,
            issuer=self.issuers(row, environment),
            clock=self._clock,
        )

    def _helm(self, config: Path, namespace: str) -> Helm:
        # One that is not there says so when it is run.
        return Helm(self.tools.helm or Path("helm"), config, namespace)

    def _write(self, credentials: Credentials) -> Path:
        self._count += 1
        return credentials.write(self.tools.run / str(self._count))

    async def _close_unused(self) -> None:
        now = self._clock()
        for retired, cluster in list(self._retired):
            if now - retired > _IN_USE:
                self._retired.remove((retired, cluster))
                await self._discard(cluster)

    async def _discard(self, cluster: KubernetesCluster) -> None:
        await cluster.close()
        shutil.rmtree(cluster.kube.kubeconfig.parent, ignore_errors=True)


def front(row: ClusterRow, environment: EnvironmentRow) -> Front:
    """The cluster's ingress, as we look at it. No secret is sent, so its certificate may still be on its way."""
    address = f"[{row.ingress}]" if ":" in row.ingress else row.ingress
    return Front(f"{environment.scheme}://{address}", host(row.org, environment.domain), verify=False)
