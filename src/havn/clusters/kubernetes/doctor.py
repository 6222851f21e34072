"""What we rely on in a cluster, looked at one by one: each check says how it is in a sentence, and what to do next.

Nothing is believed of a cluster that can be tried: whether NetworkPolicy is enforced is asked of two short-lived pods,
one that a policy forbids everything and one that it does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime

import msgspec

from havn.clusters.kubernetes import certificates, doctor_network, doctor_rights
from havn.clusters.kubernetes import nodes as node_list
from havn.clusters.kubernetes.bootstrap import Version
from havn.clusters.kubernetes.credentials import Credentials
from havn.clusters.kubernetes.kube import Absent, Kube
from havn.clusters.kubernetes.objects import Listing, Metadata
from havn.clusters.port import ClusterError
from havn.contracts.estate import DnsRecord, Finding
from havn.kit.clock import Clock

_OLDEST = (1, 29)
# What we are tested with.
_NEWEST = (1, 36)
_CLOCK_WARN, _CLOCK_FAIL = 5.0, 30.0
_CRDS = ("ingressroutes", "middlewares")
_SETTINGS = {
    "--providers.kubernetescrd.allowemptyservices": ("true", "an app scaled to nothing answers 404 instead of 503"),
    "--providers.providersthrottleduration": ("100ms", "requests may still go to a pod that is about to end"),
}
_AUTOSCALERS = ("cluster-autoscaler", "karpenter")

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a host name; none when it is unknown."""


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster that is looked at, and what is expected of it."""

    kube: Kube
    credentials: Credentials
    host: str
    """The host of the org's apps."""
    dns: Sequence[DnsRecord]
    ingress: str
    ingress_namespace: str = "traefik"
    ingress_labels: str = "app=traefik"
    image: str | None
    """An image with Python in it, by digest, for short-lived pods; None: there is none yet."""
    pull_secrets: Sequence[str] = ()
    """Secrets of the namespace with which it is pulled."""
    cert_manager: bool = False
    """Whether the charts' values hand certificates to cert-manager."""


class _Kind(msgspec.Struct, frozen=True):
    name: str


class _Resources(msgspec.Struct, frozen=True):
    resources: list[_Kind] = []


class _Object(msgspec.Struct, frozen=True):
    metadata: Metadata


class _Container(msgspec.Struct, frozen=True):
    args: list[str] = []
    command: list[str] = []


class _Pod(msgspec.Struct, frozen=True):
    class Spec(msgspec.Struct, frozen=True):
        containers: list[_Container] = []

    metadata: Metadata
    spec: Spec


async def examine(patient: Patient, *, clock: Clock, resolve: Resolve) -> AsyncIterator[Finding]:
    """Every check as it is done. When the API server cannot be reached, that is the only finding."""
    version = await _version(patient.kube)
    yield version
    if version.result == "fail":
        return
    checks: list[Callable[[], Awaitable[list[Finding]]]] = [
        lambda: _dns(patient, resolve),
        lambda: _time(patient.kube, clock),
        lambda: certificates.check(patient.credentials, patient.ingress, patient.host, clock()),
        lambda: certificates.inside(patient.kube, clock(), manager=patient.cert_manager),
        lambda: doctor_rights.check(patient.kube, manager=patient.cert_manager),
        lambda: _traefik(patient),
        lambda: _metrics(patient.kube),
        lambda: _storage(patient.kube),
        lambda: _nodes(patient.kube),
        lambda: doctor_network.check(patient.kube, patient.image, clock, pull_secrets=patient.pull_secrets),
    ]
    for check in checks:
        for finding in await check():
            yield finding


async def _version(kube: Kube) -> Finding:
    try:
        found = await kube.read("/version", Version)
    except ClusterError as error:
        return Finding(
            check="version", result="fail", message=str(error),
            next="Give the cluster new credentials with `havn cluster add`, or see to its API server.",
        )  # fmt: skip
    if found.numbers < _OLDEST:
        return Finding(
            check="version", result="fail", message=f"It is Kubernetes {found.git_version}, and 1.29 is needed.",
            next="Upgrade the cluster.",
        )  # fmt: skip
    if found.numbers > _NEWEST:
        newest = ".".join(map(str, _NEWEST))
        return Finding(
            check="version", result="warning",
            message=f"It is Kubernetes {found.git_version}, newer than what Havn is tested with ({newest}).",
            next="Deploy to a test environment first.",
        )  # fmt: skip
    return Finding(check="version", result="ok", message=f"It is Kubernetes {found.git_version}.")


async def _dns(patient: Patient, resolve: Resolve) -> list[Finding]:
    if not patient.dns:
        return [
            Finding(
                check="dns", result="warning", message="The address of its ingress is not known here.",
                next="Say it with `havn cluster add … --ingress ADDRESS`.",
            )
        ]  # fmt: skip
    found = []
    for record in patient.dns:
        wanted = {record.value} if record.type != "CNAME" else set(await resolve(record.value.rstrip(".")))
        there = set(await resolve(record.name.rstrip(".")))
        line = f"{record.name} {record.type} {record.value}"
        if there and there <= wanted:
            found.append(Finding(check="dns", result="ok", message=f"{record.name} leads to {record.value}."))
        elif there:
            found.append(
                Finding(
                    check="dns", result="fail",
                    message=f"{record.name} leads to {', '.join(sorted(there))}, and not to {record.value}.",
                    next=f"Change the record: {line}",
                )
            )  # fmt: skip
        else:
            found.append(
                Finding(
                    check="dns", result="fail", message=f"{record.name} leads nowhere.", next=f"Add the record: {line}"
                )
            )
    return found


async def _time(kube: Kube, clock: Clock) -> list[Finding]:
    before = clock()
    answer = await kube.answer("GET", "/version")
    after = clock()
    try:
        theirs = datetime.strptime(answer.headers["date"], "%a, %d %b %Y %H:%M:%S %Z").replace(tzinfo=before.tzinfo)
    except (KeyError, ValueError):
        return [
            Finding(
                check="time", result="warning", message="The API server does not tell its time.", next="Look at it."
            )
        ]
    # The field has whole seconds; what lies between the request and its answer is nobody's fault.
    off = max((before - theirs).total_seconds() - 1, (theirs - after).total_seconds(), 0.0)
    if off < _CLOCK_WARN:
        return [Finding(check="time", result="ok", message="Its clock and ours agree.")]
    return [
        Finding(
            check="time",
            result="fail" if off >= _CLOCK_FAIL else "warning",
            message=f"Its clock and ours are {off:.0f} seconds apart, and tokens are refused ten seconds off.",
            next="Keep the time of both with NTP.",
        )
    ]


async def _traefik(patient: Patient) -> list[Finding]:
    kube, found = patient.kube, []
    try:
        there = {each.name for each in (await kube.read("/apis/traefik.io/v1alpha1", _Resources)).resources}
    except Absent:
        there = set()
    lacking = [name for name in _CRDS if name not in there]
    if lacking:
        return [
            Finding(
                check="traefik", result="fail",
                message=f"Traefik's custom resources {', '.join(lacking)} are not there.",
                next="Install Traefik 3 with its custom resources, from its official chart.",
            )
        ]  # fmt: skip
    found.append(Finding(check="traefik", result="ok", message="Traefik's custom resources are there."))
    place = f"/api/v1/namespaces/{patient.ingress_namespace}/pods?labelSelector={patient.ingress_labels}"
    try:
        pods = (await kube.read(place, Listing[_Pod])).items
    except ClusterError:
        return [
            *found,
            Finding(
                check="traefik settings", result="warning",
                message=f"These credentials may not look at the namespace {patient.ingress_namespace}.",
                next="See yourself to the two settings in docs/how-to/local-kubernetes.md, or let them list its pods.",
            ),
        ]  # fmt: skip
    if not pods:
        return [
            *found,
            Finding(
                check="traefik settings", result="fail",
                message=f"No pod in {patient.ingress_namespace} is labelled {patient.ingress_labels}, and policies "
                "let the ingress in by both.",
                next="Name Traefik's namespace and labels in the cluster's values, under networkPolicy.",
            ),
        ]  # fmt: skip
    given = {
        name: value
        for pod in pods
        for container in pod.spec.containers
        for argument in (*container.command, *container.args)
        for name, _, value in (argument.lower().partition("="),)
    }
    wrong = [(name, *wanted) for name, wanted in _SETTINGS.items() if given.get(name) != wanted[0]]
    if not wrong:
        found.append(Finding(check="traefik settings", result="ok", message="Both settings of Traefik are made."))
    for name, value, otherwise in wrong:
        found.append(
            Finding(
                check="traefik settings", result="warning", message=f"Without {name}={value}, {otherwise}.",
                next=f"Start Traefik with {name}={value}.",
            )
        )  # fmt: skip
    return found


async def _metrics(kube: Kube) -> list[Finding]:
    try:
        await kube.read("/apis/metrics.k8s.io/v1beta1", _Resources)
        await kube.read(f"/apis/metrics.k8s.io/v1beta1/namespaces/{kube.namespace}/pods", Listing[_Object])
    except ClusterError as error:
        if "not let us" in str(error):
            return [Finding(check="metrics", result="ok", message="The metrics API is there.")]
        return [
            Finding(
                check="metrics", result="fail", message="The metrics API does not answer, so nothing scales with load.",
                next="Install metrics-server.",
            )
        ]  # fmt: skip
    return [Finding(check="metrics", result="ok", message="The metrics API answers, so apps can scale with load.")]


async def _storage(kube: Kube) -> list[Finding]:
    default = "storageclass.kubernetes.io/is-default-class"
    try:
        classes = (await kube.read("/apis/storage.k8s.io/v1/storageclasses", Listing[_Object])).items
    except ClusterError:
        return [
            Finding(
                check="storage", result="ok",
                message="Storage classes cannot be looked at with these credentials; apps keep nothing on disk.",
            )
        ]  # fmt: skip
    names = [each.metadata.name for each in classes if each.metadata.annotations.get(default) == "true"]
    if names:
        return [Finding(check="storage", result="ok", message=f"The default storage class is {names[0]}.")]
    return [
        Finding(
            check="storage", result="ok",
            message="There is no default storage class; apps keep nothing on disk, so they need none.",
        )
    ]  # fmt: skip


async def _nodes(kube: Kube) -> list[Finding]:
    try:
        nodes = await node_list.read(kube)
    except ClusterError:
        return [
            Finding(
                check="nodes", result="warning", message="Nodes cannot be looked at with these credentials.",
                next="Make sure that the cluster has a node autoscaler, or room for what you deploy.",
            )
        ]  # fmt: skip
    troubles = node_list.of(nodes)
    if troubles:
        return [
            Finding(
                check="nodes", result="fail", message=f"Nodes take no new pods: {', '.join(troubles)}.",
                next="See to them, beginning with `kubectl describe nodes`.",
            )
        ]  # fmt: skip
    scaler = await _autoscaler(kube)
    count = f"{len(nodes)} node{'s' if len(nodes) != 1 else ''}"
    if scaler is not None:
        return [Finding(check="nodes", result="ok", message=f"It has {count}, and {scaler} adds more.")]
    room = ", ".join(sorted({each.status.allocatable.get("cpu", "?") for each in nodes}))
    if len(nodes) < 2:
        return [
            Finding(
                check="nodes", result="warning",
                message=f"It has {count} ({room} CPU) and no node autoscaler: when the node is away, so are the apps.",
                next="Add a node, or a node autoscaler; for trying things out this is enough.",
            )
        ]  # fmt: skip
    return [
        Finding(
            check="nodes", result="ok",
            message=f"It has {count} ({room} CPU each) and no node autoscaler: that is all the room there is.",
        )
    ]  # fmt: skip


async def _autoscaler(kube: Kube) -> str | None:
    async def deployments() -> str | None:
        for each in (await kube.read("/apis/apps/v1/deployments?limit=1000", Listing[_Object])).items:
            found = next((name for name in _AUTOSCALERS if name in each.metadata.name), None)
            if found is not None:
                return found
        return None

    async def status() -> str | None:
        await kube.read("/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status", _Object)
        return "cluster-autoscaler"

    async def pools() -> str | None:
        await kube.read("/apis/karpenter.sh/v1/nodepools", Listing[_Object])
        return "karpenter"

    async def ask(look: Callable[[], Awaitable[str | None]]) -> str | None:
        try:
            return await look()
        except ClusterError:
            return None

    found = await asyncio.gather(ask(deployments), ask(status), ask(pools))
    return next((each for each in found if each), None)


async def system_resolve(name: str) -> Sequence[str]:
    """The addresses that this machine's resolver gives."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, proto=6)
    except OSError:
        return []
    return sorted({str(each[4][0]) for each in found})
