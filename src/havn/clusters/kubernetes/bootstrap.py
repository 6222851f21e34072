"""Before a cluster's first app: whether we may do there what we must, and `charts/cluster` put in by Helm."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from havn.clusters.kubernetes import leaves, reading, shut
from havn.clusters.kubernetes.cert_manager import NEEDED_BESIDE, require
from havn.clusters.kubernetes.helm import Helm
from havn.clusters.kubernetes.kube import Kube
from havn.clusters.kubernetes.leaves import TRUST, Issuer
from havn.clusters.kubernetes.objects import Deployment, Event, Pod
from havn.clusters.kubernetes.outbound import POLICIES, PROXY, SECRETS
from havn.clusters.kubernetes.unknown import PAGE
from havn.clusters.port import ClusterError

RELEASE = "havn"
_DNS = "havn-dns"
_READY_WITHIN = 120.0
_POLL_SECONDS = 0.5

# What a deployment does in the namespace: verbs by API group and resource.
_WRITE = ("get", "list", "create", "patch", "update", "delete")
NEEDED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("apps", "deployments"): _WRITE,
    ("apps", "deployments/scale"): ("patch",),
    ("", "secrets"): _WRITE,
    ("", "services"): _WRITE,
    ("", "serviceaccounts"): _WRITE,
    ("", "configmaps"): _WRITE,
    ("", "pods"): ("get", "list", "create", "patch", "delete"),
    ("", "pods/log"): ("get",),
    # A WebSocket is opened with GET, and newer servers ask for create too.
    ("", "pods/exec"): ("get", "create"),
    ("", "events"): ("list",),
    ("autoscaling", "horizontalpodautoscalers"): _WRITE,
    ("policy", "poddisruptionbudgets"): _WRITE,
    ("networking.k8s.io", "networkpolicies"): _WRITE,
    ("traefik.io", "ingressroutes"): _WRITE,
    ("traefik.io", "middlewares"): _WRITE,
    ("traefik.io", "serverstransports"): _WRITE,
}


class _Review(msgspec.Struct, frozen=True):
    class Status(msgspec.Struct, frozen=True):
        allowed: bool = False

    status: Status = Status()


class Version(msgspec.Struct, frozen=True, rename={"git_version": "gitVersion"}):
    """What the API server says it is."""

    major: str = ""
    minor: str = ""
    git_version: str = ""

    @property
    def numbers(self) -> tuple[int, int]:
        """Major and minor, without what a provider adds to them."""
        digits = [int("".join(c for c in part if c.isdigit()) or 0) for part in (self.major, self.minor)]
        return digits[0], digits[1]


async def usable(kube: Kube, *, manager: bool = False) -> Version:
    """The server's version, once it is known that we are let in and may do what we must. Raises `ClusterError`.

    With `manager`, the charts' values hand certificates to cert-manager, and it must be there.
    """
    version = await kube.read("/version", Version)
    if manager:
        await require(kube)
    lacking = await lacking_rights(kube, manager=manager)
    if lacking:
        raise ClusterError(
            f"These credentials may not do all that is needed in the namespace {kube.namespace}: "
            f"{', '.join(lacking[:6])}{' and more' if len(lacking) > 6 else ''}. "
            "Give them the role of docs/how-to/add-a-cluster.md."
        )
    return version


async def lacking_rights(kube: Kube, *, manager: bool = False) -> list[str]:
    """What we must be able to do and may not, as `verb resource`; with `manager` what cert-manager takes too."""
    needed = {**NEEDED, **(NEEDED_BESIDE if manager else {})}
    wanted = [(group, resource, verb) for (group, resource), verbs in needed.items() for verb in verbs]
    answers = await asyncio.gather(*(may(kube, *each, namespace=kube.namespace) for each in wanted))
    return [f"{verb} {resource}" for (_, resource, verb), allowed in zip(wanted, answers, strict=True) if not allowed]


async def may(kube: Kube, group: str, resource: str, verb: str, *, namespace: str = "") -> bool:
    """Whether we may do this (SelfSubjectAccessReview); without `namespace`, in all of them."""
    name, _, subresource = resource.partition("/")
    attributes = {
        "group": group, "resource": name, "subresource": subresource, "verb": verb, "namespace": namespace,
    }  # fmt: skip
    body = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }  # fmt: skip
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    return (await kube.post(path, body, _Review)).status.allowed


async def install(
    kube: Kube, helm: Helm, chart: Path, values: Mapping[str, Any], issuer: Issuer, now: datetime
) -> None:
    """Install `charts/cluster`, or bring it up to date, and wait until it is ready. Raises `ClusterError`.

    Where the values name the certificate that is ours for the API proxy, or for the page where no app is, it is there
    before them, and so is the bundle by which Traefik believes the page.
    """
    proxy, page = values.get("egress", {}), values.get("unknown", {}).get("tls", {})
    if proxy.get("enabled", True) and proxy.get("tls", {}).get("existingSecret") == leaves.leaf_name(PROXY):
        await leaves.ensure_leaf(kube, PROXY, issuer, now)
    if page.get("existingSecret") == leaves.leaf_name(PAGE):
        await leaves.write_trust(kube, await issuer.bundle())
        await leaves.ensure_leaf(kube, PAGE, issuer, now)
    await helm.unlock(RELEASE)
    await helm.upgrade(RELEASE, chart, values)
    await shut.lead_on(kube)
    try:
        async with asyncio.timeout(_READY_WITHIN):
            while True:
                unknown, dns = [await kube.find("apps/v1", "deployments", name, Deployment) for name in (PAGE, _DNS)]
                # The values may leave DNS out.
                if unknown is not None and unknown.rolled_out and (dns is None or dns.rolled_out):
                    return
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise ClusterError(f"What charts/cluster brings did not become ready: {await _why(kube)}") from None


async def uninstall(kube: Kube, helm: Helm) -> None:
    """Take `charts/cluster` away, with what is shut, what is believed, and what the API proxy knew.

    Raises `ClusterError`.
    """
    await shut.clear(kube)
    await helm.uninstall(RELEASE)
    for name in (PROXY, PAGE):
        await leaves.drop_leaf(kube, name)
    await kube.delete("v1", "secrets", SECRETS)
    await kube.delete("v1", "configmaps", POLICIES)
    await kube.delete("v1", "secrets", TRUST)


async def _why(kube: Kube) -> str:
    pods = [
        pod
        for name in (PAGE, _DNS)
        for pod in await kube.list("v1", "pods", Pod, labels={"app.kubernetes.io/name": name})
    ]
    for pod in pods:
        if reading.state(pod) != "ready":
            events = await kube.list("v1", "events", Event, fields=f"involvedObject.name={pod.metadata.name}")
            return reading.why(pod, events, None)
    return "it has no pod."
