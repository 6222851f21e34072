"""The apps' outbound rules and credentials in an owner's cluster, where its API proxies read them from volumes.

A ConfigMap holds every app's rules, a Secret their credentials; both are mounted by the proxies, which follow them. The
kubelet looks at its volumes every minute or so, and at once when something about the pod changes: so the pods are
annotated. Rules count as published when every proxy that is ready has said in its log that it has read them.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from havn.clusters.kubernetes.kube import Absent, Kube
from havn.clusters.kubernetes.objects import Pod, Service
from havn.clusters.port import ClusterError
from havn.engines.egress_policy import EgressPolicy

PROXY = "havn-egress"
"""Name of the API proxy's Deployment and Service."""
POLICIES = "havn-egress-policies"
SECRETS = "havn-egress-secrets"
COMPONENT = "api-proxy"
_LABELS = {"app.kubernetes.io/component": COMPONENT}
_NUDGE = "havn/outbound"
_WITHIN_SECONDS = 90.0
# What etcd takes of one object, less what the object itself needs.
_MAX_BYTES = 1_000_000


class _Data(msgspec.Struct, frozen=True):
    data: dict[str, str] = {}


class _Line(msgspec.Struct, frozen=True):
    event: str = ""
    app: str = ""
    digest: str = ""
    reason: str = ""


class OutboundRules:
    """See `havn.deploy.publishing.OutboundRules`; `kube` finds the cluster of an org."""

    def __init__(self, kube: Callable[[str], Awaitable[Kube]]) -> None:
        self._kube = kube

    async def put(self, org: str, app: str, policy: EgressPolicy | None) -> None:
        """Put rules in force, and wait until every proxy follows them. Raises `ClusterError`."""
        kube = await self._kube(org)
        text = None if policy is None else msgspec.json.encode(policy).decode()
        known = (await _read(kube, "configmaps", POLICIES)).get(f"{app}.json")
        if text == known:
            return
        await _change(kube, "configmaps", "ConfigMap", POLICIES, {f"{app}.json": text})
        digest = hashlib.sha256((text or "").encode()).hexdigest()
        began = asyncio.get_running_loop().time()
        pods = await _nudge(kube, digest)
        if text is None:
            return
        waiting = [_loaded(kube, pod, f"{org}/{app}", digest, began) for pod in pods]
        try:
            async with asyncio.timeout(_WITHIN_SECONDS):
                await asyncio.gather(*waiting)
        except TimeoutError:
            raise ClusterError(
                f"The API proxy has not read the app's outbound rules within {_WITHIN_SECONDS:.0f} seconds."
            ) from None

    async def put_secrets(self, org: str, app: str, values: Mapping[str, str]) -> None:
        """Make these the credentials of an app's requests, by name; others of the app are taken away."""
        kube = await self._kube(org)
        wanted: dict[str, str | None] = {
            f"{app}.{name}": base64.b64encode(value.encode()).decode() for name, value in values.items()
        }
        known = await _read(kube, "secrets", SECRETS)
        gone: dict[str, str | None] = {name: None for name in known if name.startswith(f"{app}.")}
        changes = {name: value for name, value in (gone | wanted).items() if known.get(name) != value}
        if changes:
            await _change(kube, "secrets", "Secret", SECRETS, changes)
            # By what was changed, never by the values.
            await _nudge(kube, hashlib.sha256(msgspec.json.encode(sorted(changes))).hexdigest())


def address(service: Service) -> str:
    """The URL by which apps speak to the API proxy behind its Service."""
    port = service.spec.ports[0]
    return f"{'https' if port.app_protocol == 'https' else 'http'}://{service.metadata.name}:{port.port}"


async def _read(kube: Kube, kind: str, name: str) -> dict[str, str]:
    found = await kube.find("v1", kind, name, _Data)
    return {} if found is None else found.data


async def _change(kube: Kube, plural: str, kind: str, name: str, data: Mapping[str, str | None]) -> None:
    """Set and remove some keys, leaving those of other apps alone."""
    if sum(len(value or "") for value in data.values()) > _MAX_BYTES:
        raise ClusterError("The outbound rules of the cluster's apps are too large together.")
    body: dict[str, Any] = {"data": data}
    for _ in range(3):
        with contextlib.suppress(Absent):
            await kube.merge("v1", f"{plural}/{name}", body)
            return
        whole = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "labels": _LABELS}, "data": {}}
        # Another deploy may make it at the same time; then the change above finds it.
        with contextlib.suppress(ClusterError):
            await kube.create("v1", plural, whole)
    raise ClusterError(f"The {kind} {name} can be neither made nor changed.")


async def _nudge(kube: Kube, mark: str) -> list[str]:
    """Have the kubelets look at the proxies' volumes; returns the pods that are there."""
    found = []
    for pod in await kube.list("v1", "pods", Pod, labels=_LABELS, fields="status.phase=Running"):
        if pod.metadata.deletion_timestamp is not None:
            continue
        with contextlib.suppress(Absent):
            await kube.merge("v1", f"pods/{pod.metadata.name}", {"metadata": {"annotations": {_NUDGE: mark[:16]}}})
            found.append(pod.metadata.name)
    return found


async def _loaded(kube: Kube, pod: str, app: str, digest: str, began: float) -> None:
    """Wait until the proxy says so. One that goes away meanwhile need not say anything."""
    while True:
        since = math.ceil(asyncio.get_running_loop().time() - began) + 1
        try:
            async for text in kube.log(pod, follow="true", sinceSeconds=str(since)):
                try:
                    line = msgspec.json.decode(text, type=_Line)
                except msgspec.MsgspecError:
                    continue
                if line.app != app:
                    continue
                if line.event == "policy_loaded" and line.digest == digest:
                    return
                if line.event == "policy_broken":
                    raise ClusterError(f"The API proxy cannot use the app's outbound rules: {line.reason}")
        except Absent:
            return
        if await kube.find("v1", "pods", pod, Pod) is None:
            return
        await asyncio.sleep(0.5)
