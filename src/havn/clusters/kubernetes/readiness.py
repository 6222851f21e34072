"""Waiting until exactly what was asked for runs, telling meanwhile what stands in the way.

Helm does not wait: we watch the pods ourselves, so that a release that cannot start is seen at once and with its
reason.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection

from havn.clusters.kubernetes import nodes, reading
from havn.clusters.kubernetes.kube import Kube
from havn.clusters.kubernetes.objects import Deployment, Event, Pod
from havn.clusters.port import ClusterError, Progress, UnknownApp

POLL_SECONDS = 0.25
# Beyond its own time to end, for a pod whose node is slow to say that it is gone.
LEAVING_SECONDS = 30.0
# Longer than an app takes to start: one that has run so long and is not ready has something that keeps it.
_SLOW_SECONDS = 10.0
# In place of the log of a container that its node has cleared away, with status 200.
_NO_LOG = ("unable to retrieve container logs for ", "failed to try resolving symlinks in path ")


class NotReady(Exception):
    """The reason, a sentence."""


class Readiness:
    """Of the apps of a cluster: `known` finds an app's Deployment, or raises `UnknownApp`; `pods` finds its pods."""

    def __init__(
        self,
        kube: Kube,
        known: Callable[[str], Awaitable[Deployment]],
        pods: Callable[[str], Awaitable[list[Pod]]],
    ) -> None:
        self._kube = kube
        self._known = known
        self._pods = pods

    async def wait(self, app: str, within: float, old: Collection[str], progress: Progress) -> None:
        """Return once exactly what was asked for runs, and the rest ends. Raises `NotReady`.

        Each new replica has `within` seconds; `old` are the pods that were there before.
        """
        clock = asyncio.get_running_loop().time
        ready: set[str] = set()
        deadline = clock() + within
        troubles: set[str] = set()
        running: dict[str, float] = {}
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                deployment, pods = await self._known(app), await self._pods(app)
            except UnknownApp:
                raise NotReady("somebody has deleted its Deployment.") from None
            except ClusterError as error:
                # It may be back before the time is up.
                if clock() > deadline:
                    raise NotReady(str(error)) from error
                continue
            status = reading.status(deployment, pods, {})
            if deployment.rolled_out and status.settled:
                return
            new = {pod.metadata.name for pod in pods if reading.state(pod) == "ready"} - set(old) - ready
            if new:
                ready |= new
                deadline = clock() + within
                progress(f"{', '.join(sorted(new))} {'is' if len(new) == 1 else 'are'} ready.")
            fresh = [pod for pod in pods if pod.metadata.name not in old]
            for pod in fresh:
                if reading.runs(pod):
                    running.setdefault(pod.metadata.name, clock())
            slow = {name for name, since in running.items() if clock() - since > _SLOW_SECONDS}
            await self._tell_troubles(deployment, fresh, slow, troubles, progress)
            # Nothing else is given up early: a quota, room, a registry may be there again before the time is up.
            if clock() > deadline or any(reading.hopeless(pod) for pod in fresh):
                raise NotReady(await self._reason(deployment, fresh, within))

    async def drained(self, app: str) -> bool:
        """Return once no pod of the app is ending any more; False when one is long after its time to end."""
        clock = asyncio.get_running_loop().time
        began = clock()
        while leaving := [pod for pod in await self._pods(app) if reading.state(pod) == "stopping"]:
            grace = max(pod.spec.termination_grace_period_seconds for pod in leaving)
            if clock() > began + grace + LEAVING_SECONDS:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True

    async def _tell_troubles(
        self, deployment: Deployment, pods: Collection[Pod], slow: Collection[str], told: set[str], progress: Progress
    ) -> None:
        """Say at once what keeps a pod from being ready, each kind of trouble of a pod once; of `slow` pods all."""
        if (blocked := reading.blocked(deployment)) and "blocked" not in told:
            told.add("blocked")
            progress(blocked)
        for pod in pods:
            if reading.state(pod) in ("ready", "stopping"):
                continue
            if not reading.troubled(pod) and pod.metadata.name not in slow:
                continue
            kind = f"{pod.metadata.name} {reading.restarts(pod)} {reading.state(pod)}"
            if kind in told:
                continue
            told.add(kind)
            for name, reason in (await reasons(self._kube, [pod])).items():
                progress(f"{name}: {reason}")

    async def _reason(self, deployment: Deployment, pods: Collection[Pod], within: float) -> str:
        if blocked := reading.blocked(deployment):
            return blocked
        found = await reasons(self._kube, pods)
        # An evicted pod stays listed, perhaps since long before.
        for pod in sorted(pods, key=lambda pod: (pod.status.phase == "Failed", -reading.restarts(pod))):
            if pod.metadata.name in found:
                return f"{pod.metadata.name}: {found[pod.metadata.name]}"
        return f"it was not ready within {within:g} seconds."


async def reasons(kube: Kube, pods: Collection[Pod]) -> dict[str, str]:
    """Why each of the pods that are not ready is not."""
    found = {}
    for pod in pods:
        if reading.state(pod) in ("ready", "stopping"):
            continue
        name = pod.metadata.name
        with contextlib.suppress(ClusterError):
            events = await kube.list("v1", "events", Event, fields=f"involvedObject.name={name}")
            line = await _last_line(kube, name) if reading.crashed(pod) else None
            trouble = await nodes.trouble(kube) if reading.unplaced(pod) else ""
            found[name] = reading.why(pod, events, line, trouble)
    return found


async def _last_line(kube: Kube, pod: str) -> str | None:
    # Of the container before, when it has been started again; there is none the first time.
    for which in ({"previous": "true"}, {}):
        last = None
        with contextlib.suppress(ClusterError):
            async for line in kube.log(pod, tailLines="20", limitBytes="20000", **which):
                if not line.startswith(_NO_LOG):
                    last = line.strip()[:500] or last
        if last is not None:
            return last
    return None
