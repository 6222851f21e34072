"""`KubernetesCluster`: an app is a Helm release of `charts/app`, and it is there when the cluster says so.

When a release does not become ready, the revision that was last ready is put back. Which one that was stands on the
Deployment, so that a deploy killed half way does not make a broken revision the one to go back to.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from havn.clusters.kubernetes import drift, execution, leaves, logs, outbound, reading, secrets, unknown
from havn.clusters.kubernetes.cert_manager import lacking, used
from havn.clusters.kubernetes.front import Front
from havn.clusters.kubernetes.helm import PENDING, Helm
from havn.clusters.kubernetes.kube import Absent, Kube
from havn.clusters.kubernetes.leaves import Issuer
from havn.clusters.kubernetes.objects import Autoscaler, Deployment, Named, Pod, Service
from havn.clusters.kubernetes.outbound import PROXY
from havn.clusters.kubernetes.readiness import LEAVING_SECONDS, POLL_SECONDS, NotReady, Readiness, reasons
from havn.clusters.kubernetes.values import Image, values
from havn.clusters.port import (
    AppStatus,
    ClusterError,
    Ended,
    LogLine,
    Output,
    Progress,
    RolloutFailed,
    UnknownApp,
    Workload,
    silent,
)
from havn.kit.clock import Clock, system_clock

_APPS = "apps/v1"
_SCALING = "autoscaling/v2"
_NAME = "app.kubernetes.io/name"
_OURS = "app.kubernetes.io/component"
_ORG = "app.kubernetes.io/part-of"
_DNS = "havn-dns"
_READY_REVISION = "havn/ready-revision"
_SCALE_WITHIN = 60.0
# What Helm notes at a release while it changes it, and for good when it is killed meanwhile.
_UNDER_WAY = f"status in ({','.join(PENDING)})"


class Images(Protocol):
    """Where apps' images come from."""

    async def image(self, org: str, app: str, release: str, base: str | None = None) -> Image:
        """The image of a release on a base image (None: the newest), put where the cluster's nodes find it.

        Raises `ClusterError`.
        """
        ...


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """One org's cluster in one environment."""

    org: str
    environment: str
    chart: Path
    """The folder of `charts/app`."""
    values: Mapping[str, Any] = {}
    """Values of the chart for every app of the cluster: domain, platform, ingress, network policy, scaling."""


class KubernetesCluster:
    """See `Cluster`. One call at a time changes an app."""

    follows_load = True

    def __init__(
        self,
        site: Site,
        kube: Kube,
        helm: Helm,
        images: Images,
        front: Front | None = None,
        *,
        issuer: Issuer | None = None,
        clock: Clock = system_clock,
    ) -> None:
        """With `front`, a rollout has not succeeded until the app answers through the ingress.

        With `issuer`, the ingress speaks TLS to each app, unless the site's values give certificates of their own.
        """
        self._issuer = None if site.values.get("tls") else issuer
        self._clock = clock
        self.site = site
        self.kube = kube
        self._helm = helm
        self._images = images
        self._front = front
        self._readiness = Readiness(kube, self._known, self._pods)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def apply(self, workload: Workload, progress: Progress = silent) -> AppStatus:
        """See `Cluster.apply`."""
        app = workload.app
        async with self._locks[app]:
            # First in our own words, which Helm has not, whether we are let in.
            before = await self._find(app)
            if await self.kube.list("v1", "secrets", Named, labels={"owner": "helm", "name": app}, beside=_UNDER_WAY):
                await self._helm.unlock(app)
                before = await self._find(app)
            image = await self._images.image(self.site.org, app, workload.release, workload.base)
            progress(f"The image {image.digest.removeprefix('sha256:')[:12]} is in the registry.")
            old = {pod.metadata.name for pod in await self._pods(app)}
            secret = await secrets.write(self.kube, app, workload.secrets)
            asked = values(self.site.values, self.site.org, workload, image, secret) | await self._certified(app)
            for part, given in (await self._brought()).items():
                asked[part] = {**given, **asked.get(part, {})}
            if before is not None and workload.scaling is not None:
                await self._keep_replicas(before)
            try:
                revision = await self._upgrade(app, asked, workload.replicas)
                progress(f"Helm has made revision {revision}.")
                await self._readiness.wait(app, workload.ready_within, old, progress)
                await self._routed(app, workload.replicas, workload.release, len(old))
            except (NotReady, ClusterError) as error:
                status = await self._as_it_is(workload)
                progress("It did not become ready; what ran before is put back.")
                reason = f"The release did not become ready: {error}"
                if used(self.site.values) and (lacks := await lacking(self.kube, app)):
                    reason = f"The release did not become ready: {lacks}"
                try:
                    await self._put_back(app, before)
                except (NotReady, ClusterError) as worse:
                    reason += f" And what ran before could not be put back: {worse}"
                raise RolloutFailed(reason, status) from error
            marks = {_READY_REVISION: str(revision), reading.BASE: image.base}
            await self.kube.merge(_APPS, f"deployments/{app}", {"metadata": {"annotations": marks}})
            await secrets.keep_only(self.kube, app, {secret})
            return await self._status(await self._known(app))

    async def drained(self, app: str) -> bool:
        """See `Cluster.drained`."""
        return await self._readiness.drained(app)

    async def scale(self, app: str, replicas: int, progress: Progress = silent) -> AppStatus:
        """See `Cluster.scale`; under an autoscaler it changes the least that there are."""
        async with self._locks[app]:
            before = (await self._known(app)).spec.replicas
            old = {pod.metadata.name for pod in await self._pods(app)}
            try:
                await self._set_replicas(app, replicas)
                await self._readiness.wait(app, _SCALE_WITHIN, old, progress)
                await self._routed(app, replicas)
                await self._readiness.drained(app)
            except NotReady as error:
                status = await self._status(await self._known(app))
                await self._set_replicas(app, before)
                raise RolloutFailed(f"Not every replica became ready: {error}", status) from error
            return await self._status(await self._known(app))

    async def status(self, app: str) -> AppStatus:
        """See `Cluster.status`."""
        return await self._status(await self._known(app))

    async def apps(self) -> list[AppStatus]:
        """See `Cluster.apps`."""
        ours = {_OURS: "service-app", _ORG: self.site.org}
        deployments = await self.kube.list(_APPS, "deployments", Deployment, labels=ours)
        pods: defaultdict[str, list[Pod]] = defaultdict(list)
        for pod in await self.kube.list("v1", "pods", Pod, labels=ours):
            pods[pod.metadata.labels.get(_NAME, "")].append(pod)
        return [
            reading.status(each, found := pods[each.metadata.name], await reasons(self.kube, found))
            for each in sorted(deployments, key=lambda each: each.metadata.name)
        ]

    async def logs(self, app: str, *, lines: int = 100, follow: bool = False) -> AsyncGenerator[LogLine, None]:
        """See `Cluster.logs`."""
        await self._known(app)

        async def names() -> list[str]:
            await self._known(app)
            return [pod.metadata.name for pod in await self._pods(app)]

        if not follow:
            for _, line in await logs.read(self.kube, await names(), lines):
                yield line
            return
        async with contextlib.aclosing(logs.follow(self.kube, names, lines)) as following:
            async for line in following:
                yield line

    async def drift(self, workload: Workload) -> list[str]:
        """See `Cluster.drift`: what Helm's newest revision has rendered, compared with what is there."""
        await self._known(workload.app)
        wanted = drift.read(await self._helm.manifest(workload.app))
        if not wanted:
            return [f"Helm no longer knows {workload.app}: its release was deleted, and its objects left."]
        found = []
        for each in drift.bounded(wanted, workload.replicas):
            version, kind, name = drift.place(each)
            found += drift.sentences(each, await self.kube.find(version, kind, name, dict[str, Any]))
        return found

    async def execute(self, app: str, command: Sequence[str]) -> AsyncGenerator[Output | Ended, None]:
        """See `Cluster.execute`; a command that nobody reads from any more goes on in its pod."""
        await self._known(app)
        ready = [pod for pod in await self._pods(app) if reading.state(pod) == "ready"]
        if not ready:
            raise ClusterError(f"No replica of {app} is ready, so there is none to run a command in.")
        pod = ready[0]
        container = pod.spec.containers[0].name
        async with contextlib.aclosing(execution.execute(self.kube, pod.metadata.name, container, command)) as running:
            async for each in running:
                yield each

    async def remove(self, app: str) -> None:
        """See `Cluster.remove`."""
        async with self._locks[app]:
            # Not another's Deployment of the same name.
            await self._find(app)
            await self._helm.uninstall(app)
            await self._gone(app)
            await leaves.drop_leaf(self.kube, app)
            if self._front is not None and (reason := await self._front.leads_nowhere(app, known=False)):
                raise ClusterError(reason)

    async def renew_certificates(self) -> None:
        """Give whoever speaks TLS a new certificate where that is due, and all the newest bundle.

        That is every app, and the API proxy and the page where no app is when their certificates are ours.
        """
        if self._issuer is None:
            return
        now = self._clock()
        news = await leaves.write_trust(self.kube, await self._issuer.bundle())
        for component in ("service-app", outbound.COMPONENT, unknown.COMPONENT):
            ours = {_OURS: component, _ORG: self.site.org}
            for deployment in await self.kube.list(_APPS, "deployments", Deployment, labels=ours):
                name = deployment.metadata.name
                if leaves.leaf_name(name) not in deployment.spec.template.spec.secrets:
                    continue
                renewed = await leaves.ensure_leaf(self.kube, name, self._issuer, now)
                if renewed or news:
                    pods = await self.kube.list("v1", "pods", Pod, labels={_NAME: name, _OURS: component})
                    await leaves.nudge(self.kube, [pod.metadata.name for pod in pods], now)

    async def close(self) -> None:
        """Close what is open."""
        await self.kube.close()
        if self._front is not None:
            await self._front.close()

    async def _brought(self) -> dict[str, dict[str, str]]:
        """Where apps look names up and how they get out: by what `charts/cluster` brought, when it did."""
        dns, proxy = [await self.kube.find("v1", "services", name, Service) for name in (_DNS, PROXY)]
        return {
            "dns": {"address": dns.spec.cluster_ip if dns is not None else ""},
            "egress": {"url": outbound.address(proxy) if proxy is not None else ""},
        }

    async def _certified(self, app: str) -> dict[str, Any]:
        """The chart's values for TLS, once the app has its certificate."""
        if self._issuer is None:
            return {}
        await leaves.write_trust(self.kube, await self._issuer.bundle())
        await leaves.ensure_leaf(self.kube, app, self._issuer, self._clock())
        return {"tls": {"existingSecret": leaves.leaf_name(app), "authoritySecret": leaves.TRUST}}

    async def _find(self, app: str) -> Deployment | None:
        found = await self.kube.find(_APPS, "deployments", app, Deployment)
        if found is None:
            return None
        labels = found.metadata.labels
        if labels.get(_OURS) != "service-app" or labels.get(_ORG) != self.site.org:
            raise ClusterError(f"The cluster has a Deployment {app} that is not an app of {self.site.org}: rename it.")
        return found

    async def _known(self, app: str) -> Deployment:
        found = await self._find(app)
        if found is None:
            raise UnknownApp(f"{self.site.org}/{app} is not in {self.site.environment}.")
        return found

    async def _pods(self, app: str) -> list[Pod]:
        return await self.kube.list("v1", "pods", Pod, labels={_NAME: app, _OURS: "service-app"})

    async def _status(self, deployment: Deployment) -> AppStatus:
        pods = await self._pods(deployment.metadata.name)
        return reading.status(deployment, pods, await reasons(self.kube, pods))

    async def _as_it_is(self, workload: Workload) -> AppStatus:
        """For a report of what failed: when it cannot be read, what was asked for alone."""
        try:
            return await self.status(workload.app)
        except ClusterError:
            return AppStatus(app=workload.app, release=workload.release, replicas=workload.replicas)

    async def _upgrade(self, app: str, asked: Mapping[str, Any], replicas: int) -> int:
        """Have Helm make a revision, whatever somebody has done to its objects by hand."""
        try:
            made = await self._helm.upgrade(app, self.site.chart, asked)
        except ClusterError:
            # A part that somebody put into a list of ours may stand in the way of Helm's.
            if not await self._take_back(await self._helm.manifest(app), replicas):
                raise
            made = await self._helm.upgrade(app, self.site.chart, asked)
        await self._take_back(made.manifest, replicas)
        return made.version

    async def _take_back(self, manifest: str, replicas: int) -> bool:
        """Make the objects as Helm has rendered them; returns whether any was not so."""
        found = False
        for each in drift.bounded(drift.read(manifest), replicas):
            version, kind, name = drift.place(each)
            live = await self.kube.find(version, kind, name, dict[str, Any])
            if live is not None and (change := drift.patch(each, live)) is not None:
                await self.kube.merge(version, f"{kind}/{name}", change)
                found = True
        return found

    async def _keep_replicas(self, before: Deployment) -> None:
        """Let the replicas that run stay while the autoscaler takes over their number from Helm."""
        name = before.metadata.name
        if await self.kube.find(_SCALING, "horizontalpodautoscalers", name, Autoscaler) is None:
            body = {"apiVersion": _APPS, "kind": "Deployment", "metadata": {"name": name},
                    "spec": {"replicas": before.spec.replicas}}  # fmt: skip
            await self.kube.own(_APPS, f"deployments/{name}", body)

    async def _routed(self, app: str, replicas: int, release: str = "", old: int = 0) -> None:
        """Wait until the ingress leads to `replicas` of the app, and with `release` to no others of `old` before."""
        if self._front is None:
            return
        if replicas:
            reason = await self._front.leads_to(app, release, times=replicas + old if release else 1)
        else:
            reason = await self._front.leads_nowhere(app, known=True)
        if reason:
            raise NotReady(reason)

    async def _put_back(self, app: str, before: Deployment | None) -> None:
        """Make the app what it was when it was last ready; when it never was, take it away."""
        good = before.metadata.annotations.get(_READY_REVISION) if before is not None else None
        kept = {each.revision for each in await self._helm.history(app)}
        if before is None or good is None or int(good) not in kept:
            await self._helm.uninstall(app)
            await self._gone(app)
            return
        old = {pod.metadata.name for pod in await self._pods(app)}
        await self._helm.rollback(app, int(good))
        if (await self._known(app)).spec.replicas != before.spec.replicas:
            await self._set_replicas(app, before.spec.replicas)
        await self._readiness.wait(app, _SCALE_WITHIN, old, silent)
        await self._readiness.drained(app)
        revision = (await self._helm.history(app))[-1].revision
        await self.kube.merge(
            _APPS, f"deployments/{app}", {"metadata": {"annotations": {_READY_REVISION: str(revision)}}}
        )
        await secrets.keep_only(self.kube, app, (await self._known(app)).spec.template.spec.secrets)

    async def _set_replicas(self, app: str, replicas: int) -> None:
        scaler = await self.kube.find(_SCALING, "horizontalpodautoscalers", app, Autoscaler)
        if scaler is not None and replicas:
            bounds = {"minReplicas": replicas, "maxReplicas": max(replicas, scaler.spec.max_replicas)}
            await self.kube.merge(_SCALING, f"horizontalpodautoscalers/{app}", {"spec": bounds})
        try:
            await self.kube.merge(_APPS, f"deployments/{app}/scale", {"spec": {"replicas": replicas}})
        except Absent:
            raise UnknownApp(f"{self.site.org}/{app} is not in {self.site.environment}.") from None

    async def _gone(self, app: str) -> None:
        """Wait until no pod of the app is left, then delete its secrets."""
        pods = await self._pods(app)
        grace = max((pod.spec.termination_grace_period_seconds for pod in pods), default=0)
        try:
            async with asyncio.timeout(grace + LEAVING_SECONDS):
                while await self._pods(app):  # noqa: ASYNC110  (the truth is in the cluster)
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise ClusterError(f"Pods of {app} do not end: look at their nodes.") from None
        await secrets.keep_only(self.kube, app, ())
