"""A real Kubernetes: the port's own suite, unchanged, and what only holds there."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from havn.clusters.kubernetes import Image, Kube, KubernetesCluster
from havn.clusters.port import ClusterError, RolloutFailed
from havn.local.kubernetes.network import HOST_ADDRESS

suite = sys.modules["cluster_suite"]
pytestmark = pytest.mark.cluster


@pytest.fixture
def site(owner):
    return suite.Site(
        cluster=owner.cluster,
        ask=owner.ask,
        app="first",
        org=owner.org,
        version=lambda number: owner.release("first", number),
        broken=lambda: owner.release("first", 9, "raise RuntimeError('broken on purpose')\n"),
        workload=lambda release, **more: owner.workload("first", release, **more),
    )


@pytest.fixture
def crash(owner):
    """End the process of one replica from inside, and wait until the cluster has seen it."""

    async def run(site) -> None:
        name = (await site.cluster.status(site.app)).actual[0].name
        end = "import os, signal; os.kill(1, signal.SIGTERM)"
        await asyncio.to_thread(owner.kubernetes.kubectl, "exec", name, "--", "python3", "-c", end)
        while (await site.cluster.status(site.app)).settled:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    return run


class TestKubernetesCluster(suite.ClusterSuite):
    pass


def kubectl(owner, *arguments: str) -> str:
    return owner.kubernetes.kubectl(*arguments)


async def test_a_secret_is_a_file_in_the_pod_and_nowhere_in_what_helm_stores(owner):
    workload = owner.workload("first", await owner.release("first"))
    planted = msgspec.structs.replace(
        workload,
        secrets={**workload.secrets, "api-key": "planted-7e1f"},
        secret_variables={"API_KEY": "api-key"},
    )
    status = await owner.cluster.apply(planted)
    assert "planted" not in repr(planted)
    pod = status.actual[0].name
    show = "import os; print(open('/mnt/app-secrets/api-key').read(), os.environ['API_KEY'])"
    assert kubectl(owner, "exec", pod, "--", "python3", "-c", show).split() == ["planted-7e1f", "planted-7e1f"]
    stored = msgspec.json.decode(kubectl(owner, "get", "secrets", "-o", "json"))["items"]
    helms = [each for each in stored if each["type"] == "helm.sh/release.v1" and "first" in each["metadata"]["name"]]
    assert helms
    for each in helms:
        packed = base64.b64decode(base64.b64decode(each["data"]["release"]))
        assert b"planted-7e1f" not in gzip.decompress(packed)
    kinds = kubectl(owner, "api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
    assert "pods" in kinds
    everything = kubectl(owner, "get", ",".join(set(kinds) - {"secrets"}), "-o", "json")
    assert "planted-7e1f" not in everything
    assert "planted-7e1f" not in kubectl(owner, "logs", pod)
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        # One that has ended meanwhile has nothing to show.
        with contextlib.suppress(OSError):
            assert b"planted-7e1f" not in process.read_bytes()
    [secret] = [each for each in stored if each["metadata"].get("labels", {}).get("havn/secrets-of") == "first"]
    assert secret["immutable"] is True
    # Another value is another version; the one before goes when the rollout is done.
    await owner.cluster.apply(msgspec.structs.replace(planted, secrets={**workload.secrets, "api-key": "next"}))
    left = kubectl(owner, "get", "secrets", "-l", "havn/secrets-of=first", "-o", "name").split()
    assert left == ["secret/first-v2"]


async def test_what_someone_changed_by_hand_is_taken_back_by_the_next_apply(owner):
    workload = owner.workload("first", await owner.release("first"))
    await owner.cluster.apply(workload)
    patch = '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":99}}}}'
    kubectl(owner, "patch", "deployment", "first", "--type=merge", "-p", patch)
    status = await owner.cluster.apply(workload)
    assert status.settled
    grace = "jsonpath={.spec.template.spec.terminationGracePeriodSeconds}"
    assert kubectl(owner, "get", "deployment", "first", "-o", grace) == "30"


_HOLD = {
    "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "hold"},
    "webhooks": [{
        "name": "hold.example.test", "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 30,
        # Gone, it holds nothing any more, though the API server may not know yet.
        "failurePolicy": "Ignore",
        "rules": [{"apiGroups": ["traefik.io"], "apiVersions": ["*"], "operations": ["UPDATE"],
                   "resources": ["ingressroutes"]}],
    }],
}  # fmt: skip


@contextlib.asynccontextmanager
async def held_routes(owner) -> AsyncIterator[asyncio.Event]:
    """The API server takes no change of a route, of whose app's objects it is the last: it waits for one who is asked
    and says nothing. The event is set when it does."""
    held, hold = asyncio.Event(), asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.set()
        await hold.wait()
        writer.transport.abort()

    async def change() -> None:
        # One that would change nothing, if it were taken.
        path = "/apis/traefik.io/v1alpha1/namespaces/default/ingressroutes/first"
        more = {"headers": {"content-type": "application/merge-patch+json"}, "params": {"dryRun": "All"}}
        while True:
            await owner.cluster.kube.answer("PATCH", path, content=b"{}", **more)

    async with await asyncio.start_server(say_nothing, str(HOST_ADDRESS), 0) as server:
        address = "{}:{}".format(*server.sockets[0].getsockname())
        [webhook] = _HOLD["webhooks"]
        hook = {**_HOLD, "webhooks": [{**webhook, "clientConfig": {"url": f"https://{address}/"}}]}
        owner.kubernetes.kubectl("apply", "-f", "-", text=msgspec.json.encode(hook).decode())
        try:
            # It takes a moment until the API server goes by it.
            changing = asyncio.create_task(change())
            async with asyncio.timeout(30):
                await held.wait()
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)
            held.clear()
            yield held
        finally:
            kubectl(owner, "delete", "validatingwebhookconfiguration", "hold")
            hold.set()


def helm_upgrades(owner) -> list[int]:
    """The processes of Helm that change the app now."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = process.read_bytes().decode(errors="replace").split("\0")
            if words[1:3] == ["upgrade", "first"] and f"--kubeconfig={owner.kubernetes.kubeconfig}" in words:
                found.append(int(process.parent.name))
    return found


async def test_a_helm_killed_half_way_loses_no_replica_and_does_not_hold_up_the_next_apply(owner):
    good = await owner.release("first")
    ran = (await owner.cluster.apply(owner.workload("first", good, replicas=2))).actual
    broken = await owner.release("first", 9, "raise RuntimeError('broken on purpose')\n")
    state = ("get", "secrets", "-l", "owner=helm,name=first", "-o", "jsonpath={.items[*].metadata.labels.status}")
    answers: list[int] = []
    pressed = asyncio.Event()

    async def press() -> None:
        while not pressed.is_set():
            answers.append((await owner.ask("/first/health")).status)

    pressing = asyncio.create_task(press())
    async with held_routes(owner) as held:
        applying = asyncio.create_task(owner.cluster.apply(owner.workload("first", broken, replicas=2)))
        async with asyncio.timeout(30):
            await held.wait()
        [helm] = helm_upgrades(owner)
        # Together: nobody of us is there to see how it ended.
        os.kill(helm, signal.SIGKILL)
        applying.cancel()
        await asyncio.gather(applying, return_exceptions=True)
        assert applying.cancelled()
    assert kubectl(owner, *state).split() == ["deployed", "pending-upgrade"]
    status = await owner.cluster.status("first")
    assert status.release == broken
    assert {each.name for each in ran} <= {each.name for each in status.actual if each.state == "ready"}
    good = await owner.release("first", 2)
    status = await owner.cluster.apply(owner.workload("first", good, replicas=2))
    assert (status.release, status.settled) == (good, True)
    pressed.set()
    await pressing
    assert len(answers) > 10
    assert set(answers) == {200}


async def test_an_image_that_cannot_be_pulled_is_named_and_what_ran_stays(owner):
    good = await owner.release("first")
    await owner.cluster.apply(owner.workload("first", good))

    class Missing:
        async def image(self, org: str, app: str, release: str, base: str | None = None) -> Image:
            return Image(f"{owner.delivery.address}/{org}/{app}", "sha256:" + "0" * 64)

    cluster = KubernetesCluster(owner.cluster.site, owner.cluster.kube, owner.helm, Missing())
    with pytest.raises(RolloutFailed, match="image cannot be fetched"):
        await cluster.apply(owner.workload("first", await owner.release("first", 2), ready_within=15))
    status = await owner.cluster.status("first")
    assert (status.release, status.settled) == (good, True)


async def test_a_pod_for_which_there_is_no_room_is_told(owner):
    values = {**owner.cluster.site.values, "resources": {"requests": {"cpu": "900"}}}
    with pytest.raises(RolloutFailed, match=r"No node has room for it: .*Insufficient cpu"):
        await owner.at(values).apply(owner.workload("first", await owner.release("first"), ready_within=6))
    assert await owner.cluster.apps() == []


async def test_a_quota_that_is_used_up_is_told(owner):
    kubectl(owner, "create", "quota", "none", "--hard=pods=1")
    try:
        with pytest.raises(RolloutFailed, match=r"refuses to make a pod: .*exceeded quota"):
            await owner.cluster.apply(owner.workload("first", await owner.release("first"), ready_within=6))
    finally:
        kubectl(owner, "delete", "quota", "none")


async def test_a_value_of_the_wrong_type_is_refused_by_name_and_changes_nothing(owner):
    good = await owner.release("first")
    await owner.cluster.apply(owner.workload("first", good))
    before = await owner.cluster.status("first")
    with pytest.raises(RolloutFailed, match="preStopSeconds"):
        await owner.at({**owner.cluster.site.values, "preStopSeconds": "three"}).apply(owner.workload("first", good))
    assert await owner.cluster.status("first") == before


async def test_a_deployment_of_somebody_else_is_left_alone(owner):
    kubectl(owner, "create", "deployment", "first", "--image=example.no/x@sha256:" + "0" * 64, "--replicas=0")
    try:
        with pytest.raises(ClusterError, match="not an app of ttd"):
            await owner.cluster.apply(owner.workload("first", await owner.release("first")))
        with pytest.raises(ClusterError, match="not an app of ttd"):
            await owner.cluster.remove("first")
        assert await owner.cluster.apps() == []
    finally:
        kubectl(owner, "delete", "deployment", "first")


async def test_a_cluster_that_cannot_be_reached_or_does_not_know_us_is_told(owner, tmp_path):
    config = msgspec.json.decode(owner.kubernetes.kubeconfig.read_bytes())
    server = config["clusters"][0]["cluster"]["server"]
    for change, says in (
        ({"users": [{"name": "admin", "user": {"token": "expired"}}]}, "does not let us"),
        ({"clusters": [{"name": config["current-context"], "cluster": {"server": "https://127.0.0.1:1"}}]}, "reached"),
        # Without the authority that has signed its certificate.
        ({"clusters": [{"name": config["current-context"], "cluster": {"server": server}}]}, "is not trusted: self"),
    ):
        path = tmp_path / f"{says}.json"
        path.write_bytes(msgspec.json.encode({**config, **change}))
        kube = Kube(path)
        cluster = KubernetesCluster(owner.cluster.site, kube, owner.helm, owner.delivery)
        with pytest.raises(ClusterError, match=says):
            await cluster.status("first")
        await cluster.close()
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    with pytest.raises(ClusterError, match="kubeconfig"):
        await KubernetesCluster(owner.cluster.site, Kube(broken), owner.helm, owner.delivery).apps()


async def test_under_an_autoscaler_a_scale_changes_the_least_there_are(owner):
    values = {**owner.cluster.site.values, "autoscaling": {"enabled": True, "maxReplicas": 2}}
    cluster = owner.at(values)
    await cluster.apply(owner.workload("first", await owner.release("first")))
    assert (await cluster.scale("first", 3)).ready == 3
    bounds = "jsonpath={.spec.minReplicas}-{.spec.maxReplicas}"
    assert kubectl(owner, "get", "hpa", "first", "-o", bounds) == "3-3"
