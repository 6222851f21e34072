"""The deploy story on a real Kubernetes: each fault for real, told while it lasts; drift; scaling by load."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from havn.clusters.kubernetes import Helm, Image, Kube, KubernetesCluster
from havn.clusters.port import ClusterError, Output, RolloutFailed
from havn.contracts.deploy import Scaling
from havn.deploy.image.delivery import Delivery
from havn.deploy.registry.remote import RemoteRegistry
from havn.kit.http import HttpClient

pytestmark = pytest.mark.cluster

ADMINISTRATOR = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: administrator}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: administrator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: administrator, namespace: default}]
"""
HANGS = "import time\ntime.sleep(600)\n"
CRASHES = "raise RuntimeError('broken on purpose')\n"


def kubectl(owner, *arguments: str) -> str:
    return owner.kubernetes.kubectl(*arguments)


class MissingImage:
    def __init__(self, owner) -> None:
        self._owner = owner

    async def image(self, org: str, app: str, release: str, base: str | None = None) -> Image:
        return Image(f"{self._owner.delivery.address}/{org}/{app}", "sha256:" + "0" * 64)


class ClosedRegistry:
    def __init__(self, owner) -> None:
        self._owner = owner

    async def image(self, org: str, app: str, release: str, base: str | None = None) -> Image:
        made = await self._owner.delivery.image(org, app, release, base)
        host = self._owner.delivery.address.partition(":")[0]
        return msgspec.structs.replace(made, repository=f"{host}:1/{org}/{app}")


@dataclass
class Fault:
    """What goes wrong, what is told while it does, and what in the end."""

    told: str
    """Part of what is said before the time is up; empty when nothing shows until then."""
    reason: str
    hooks: str | None = None
    values: dict = field(default_factory=dict)
    within: float = 8.0
    missing: bool = False
    closed: bool = False
    quota: bool = False


FAULTS = {
    "missing image": Fault("image cannot be fetched", "image cannot be fetched", missing=True),
    # Ours is there, and the nodes' name for it leads nowhere.
    "registry away": Fault("connection refused", r"Its image cannot be fetched: .*connection refused", closed=True),
    "crashing hook": Fault("broken on purpose", "broken on purpose", hooks=CRASHES, within=60),
    "failing probe": Fault("does not answer as it should", "does not answer as it should", hooks=HANGS, within=15),
    "no room": Fault("Insufficient cpu", "Insufficient cpu", values={"resources": {"requests": {"cpu": "900"}}}),
    "quota": Fault("exceeded quota", "exceeded quota: .*Have the quota raised, or ask for less", quota=True),
    "wrong value": Fault("", "preStopSeconds", values={"preStopSeconds": "three"}),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_why_a_release_does_not_become_ready_is_told_and_the_next_one_does(owner, fault):
    values = {**owner.cluster.site.values, **fault.values}
    images = MissingImage(owner) if fault.missing else ClosedRegistry(owner) if fault.closed else owner.delivery
    site = msgspec.structs.replace(owner.cluster.site, values=values)
    cluster = KubernetesCluster(site, owner.cluster.kube, owner.helm, images)
    told: list[str] = []
    if fault.quota:
        kubectl(owner, "create", "quota", "none", "--hard=pods=1")
    try:
        release = await owner.release("first", 1, fault.hooks)
        with pytest.raises(RolloutFailed) as caught:
            await cluster.apply(owner.workload("first", release, ready_within=fault.within), told.append)
    finally:
        if fault.quota:
            kubectl(owner, "delete", "quota", "none")
    assert re.search(fault.reason, str(caught.value)), (str(caught.value), told)
    before_the_end = told[: told.index("It did not become ready; what ran before is put back.")]
    assert not fault.told or any(fault.told in each for each in before_the_end), told
    assert await owner.cluster.apps() == []
    status = await owner.cluster.apply(owner.workload("first", await owner.release("first", 2)))
    assert status.settled


async def test_what_somebody_changed_by_hand_is_named_field_by_field_and_healed_by_the_next_apply(owner):
    workload = owner.workload("first", await owner.release("first"), replicas=1)
    cluster = owner.cluster
    await cluster.apply(workload)
    assert await cluster.drift(workload) == []

    kubectl(owner, "set", "env", "deployment/first", "DEBUG=1")
    kubectl(owner, "scale", "deployment/first", "--replicas=2")
    kubectl(owner, "delete", "networkpolicy", "first")
    kubectl(
        owner, "patch", "service", "first", "--type=merge", "-p", '{"spec":{"ports":[{"name":"http","port":8080}]}}'
    )
    route = '[{"op":"replace","path":"/spec/routes/0/match","value":"Host(`elsewhere.example.no`)"}]'
    kubectl(owner, "patch", "ingressroutes.traefik.io", "first", "--type=json", "-p", route)
    found = await cluster.drift(workload)
    assert "The NetworkPolicy first is gone: somebody has deleted it." in found
    assert "The Deployment first was scaled by hand to 2 replicas and should have 1." in found
    for part in ("env[DEBUG] was added", "The Service first was changed by hand", "elsewhere.example.no"):
        assert any(part in each for each in found), (part, found)

    status = await cluster.apply(workload)
    assert (status.settled, status.replicas) == (True, 1)
    assert await cluster.drift(workload) == []


async def test_bounds_let_the_replicas_follow_the_load_and_change_without_a_restart(owner):
    cluster, plain = owner.cluster, owner.workload("first", await owner.release("first"), replicas=2)
    before = await cluster.apply(plain)
    bounded = msgspec.structs.replace(plain, replicas=2, scaling=Scaling(minimum=2, maximum=4, cpu=60))
    status = await cluster.apply(bounded)
    assert (status.replicas, [each.name for each in status.actual]) == (2, [each.name for each in before.actual])
    shown = "jsonpath={.spec.minReplicas} {.spec.maxReplicas} {.spec.metrics[0].resource.target.averageUtilization}"
    assert kubectl(owner, "get", "hpa", "first", "-o", shown) == "2 4 60"
    assert await cluster.drift(bounded) == []
    kubectl(owner, "patch", "hpa", "first", "--type=merge", "-p", '{"spec":{"maxReplicas":9}}')
    assert await cluster.drift(bounded) == [
        "The HorizontalPodAutoscaler first was changed by hand: spec.maxReplicas is 9 and should be 4."
    ]
    other = msgspec.structs.replace(bounded, scaling=Scaling(minimum=2, maximum=5, cpu=60, down_seconds=30))
    again = await cluster.apply(other)
    assert [each.name for each in again.actual] == [each.name for each in before.actual]
    window = "jsonpath={.spec.maxReplicas} {.spec.behavior.scaleDown.stabilizationWindowSeconds}"
    assert kubectl(owner, "get", "hpa", "first", "-o", window) == "5 30"


async def test_what_is_put_back_is_the_earlier_image_on_the_earlier_base_with_the_secrets_of_today(owner):
    shown = "jsonpath={.spec.template.spec.containers[0].image}"
    first = await owner.cluster.apply(owner.workload("first", await owner.release("first")))
    image = kubectl(owner, "get", "deployment", "first", "-o", shown)
    assert first.base is not None
    assert image.endswith((await owner.delivery.image("ttd", "first", first.release, first.base)).digest)
    await owner.cluster.apply(owner.workload("first", await owner.release("first", 2)))
    assert kubectl(owner, "get", "deployment", "first", "-o", shown) != image

    workload = owner.workload("first", first.release)
    again = msgspec.structs.replace(workload, base=first.base, secrets={**workload.secrets, "api-key": "of today"})
    status = await owner.cluster.apply(again)
    assert (status.base, status.release, status.settled) == (first.base, first.release, True)
    assert kubectl(owner, "get", "deployment", "first", "-o", shown) == image
    assert (await owner.helm.history("first"))[-1].revision == 3
    words = ["python3", "-c", "print(open('/mnt/app-secrets/api-key').read())"]
    said = [each.data async for each in owner.cluster.execute("first", words) if isinstance(each, Output)]
    assert b"".join(said) == b"of today\n"


def token(owner, seconds: int) -> str:
    """A token of the cluster's own administrator, as its API server would issue it, that ends in `seconds`."""
    owner.kubernetes.kubectl("apply", "-f", "-", text=ADMINISTRATOR)
    uid = kubectl(owner, "get", "serviceaccount", "administrator", "-o", "jsonpath={.metadata.uid}")
    key = RSAKey.import_key((owner.kubernetes.layout.folder / "keys" / "service-accounts.key").read_bytes())
    issuer, now = "https://kubernetes.default.svc", int(time.time())
    account = {"namespace": "default", "serviceaccount": {"name": "administrator", "uid": uid}}
    claims = {
        "iss": issuer, "aud": [issuer], "iat": now - 3600, "nbf": now - 3600, "exp": now + seconds,
        "sub": "system:serviceaccount:default:administrator", "kubernetes.io": account,
    }  # fmt: skip
    return jwt.encode({"alg": "RS256"}, claims, key)


async def test_what_stands_in_the_way_before_anything_is_changed_is_told_and_the_next_deploy_works(owner, tmp_path):
    config = msgspec.json.decode(owner.kubernetes.kubeconfig.read_bytes())
    ended = tmp_path / "kubeconfig"
    good = tmp_path / "good"
    for path, seconds in ((good, 600), (ended, -60)):
        user = {"name": "admin", "user": {"token": token(owner, seconds)}}
        path.write_bytes(msgspec.json.encode({**config, "users": [user]}))
    nowhere = HttpClient("http://127.0.0.1:1", name="The registry")
    away = Delivery(
        releases=owner.registry, base=owner.delivery._base, base_digest=owner.delivery._base_digest,
        target=RemoteRegistry(nowhere), address=owner.delivery.address,
    )  # fmt: skip
    site = owner.cluster.site
    known, strangers = [
        KubernetesCluster(site, Kube(path), Helm(owner.helm._program, path), owner.delivery) for path in (good, ended)
    ]
    without = KubernetesCluster(site, owner.cluster.kube, owner.helm, away)
    workload = owner.workload("first", await owner.release("first"))
    with pytest.raises(ClusterError, match="credentials are wrong or have ended, so give it new ones with `havn clus"):
        await strangers.apply(workload)
    with pytest.raises(ClusterError, match=r"The registry cannot be reached just now: try again\."):
        await without.apply(workload)
    await strangers.close()
    await nowhere.close()
    assert await owner.cluster.apps() == []
    # With credentials that differ only in when they end.
    assert (await known.apply(workload)).settled
    await known.close()


class Tampering:
    """Images of which somebody changes a byte in the registry before nodes fetch them."""

    def __init__(self, owner, image_registry) -> None:
        self._owner = owner
        self._registry = image_registry
        self.changed: list[tuple[Path, bytes]] = []

    async def image(self, org: str, app: str, release: str, base: str | None = None) -> Image:
        made = await self._owner.delivery.image(org, app, release, base)
        manifest = msgspec.json.decode(self._registry.content(made.digest).read_bytes())
        layer = self._registry.content(manifest["layers"][-1]["digest"])
        content = layer.read_bytes()
        self.changed.append((layer, content))
        layer.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        return made

    def mend(self) -> None:
        for path, content in self.changed:
            path.write_bytes(content)


async def test_an_image_that_was_tampered_with_is_not_run_and_the_next_deploy_works(owner, image_registry):
    good = owner.workload("first", await owner.release("first"))
    await owner.cluster.apply(good)
    tampering = Tampering(owner, image_registry)
    cluster = KubernetesCluster(owner.cluster.site, owner.cluster.kube, owner.helm, tampering)
    # A version that no other test has: a node has what it once fetched.
    wanted = owner.workload("first", await owner.release("first", 77), ready_within=10)
    with pytest.raises(RolloutFailed, match=r"Its image cannot be fetched: .*digest"):
        await cluster.apply(wanted)
    status = await owner.cluster.status("first")
    assert (status.release, status.settled) == (good.release, True)
    tampering.mend()
    assert (await owner.cluster.apply(wanted)).settled


class Wire:
    """A way to the API server that can be cut."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._open: set[asyncio.StreamWriter] = set()
        self.cut = False

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        yield server.sockets[0].getsockname()[1]
        self.sever()
        server.close()

    def sever(self) -> None:
        self.cut = True
        for writer in list(self._open):
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._to)
        self._open |= {writer, far_writer}
        with contextlib.suppress(OSError):
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        self._open -= {writer, far_writer}
        for each in (writer, far_writer):
            each.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()


async def test_an_api_server_that_goes_away_mid_deploy_is_told_and_the_next_deploy_works(owner, tmp_path):
    good = owner.workload("first", await owner.release("first"))
    await owner.cluster.apply(good)
    config = msgspec.json.decode(owner.kubernetes.kubeconfig.read_bytes())
    server = config["clusters"][0]["cluster"]["server"].removeprefix("https://")
    host, _, port = server.rpartition(":")
    wire = Wire(host, int(port))
    async with wire.listening() as local:
        cluster_ = {**config["clusters"][0]["cluster"], "server": f"https://127.0.0.1:{local}", "tls-server-name": host}
        path = tmp_path / "kubeconfig"
        path.write_bytes(
            msgspec.json.encode({**config, "clusters": [{**config["clusters"][0], "cluster": cluster_}]})
        )  # fmt: skip
        helm = Helm(owner.helm._program, path)
        cluster = KubernetesCluster(owner.cluster.site, Kube(path), helm, owner.delivery)

        def progress(step: str) -> None:
            if step.startswith("Helm has made"):
                wire.sever()

        with pytest.raises(RolloutFailed) as caught:
            await cluster.apply(owner.workload("first", await owner.release("first", 2), ready_within=3), progress)
        assert "API server cannot be reached" in str(caught.value)
        assert "what ran before could not be put back" in str(caught.value)
        with pytest.raises(ClusterError, match="cannot be reached"):
            await cluster.drift(good)
        await cluster.close()
    status = await owner.cluster.apply(owner.workload("first", await owner.release("first", 3)))
    assert status.settled
