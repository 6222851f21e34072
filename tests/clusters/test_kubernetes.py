"""A real Kubernetes: the port's own suite, unchanged, and what only holds there."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import sys
from pathlib import Path

import msgspec
import pytest

from havn.clusters.kubernetes import Image, Kube, KubernetesCluster
from havn.clusters.port import ClusterError, RolloutFailed

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


async def test_a_helm_killed_half_way_does_not_hold_up_the_next_apply(owner):
    workload = owner.workload("first", await owner.release("first"))
    await owner.cluster.apply(workload)
    # As a killed `helm upgrade` leaves it.
    kubectl(owner, "label", "secret", "sh.helm.release.v1.first.v1", "--overwrite", "status=superseded")
    record = msgspec.json.decode(kubectl(owner, "get", "secret", "sh.helm.release.v1.first.v1", "-o", "json"))
    release = msgspec.json.decode(gzip.decompress(base64.b64decode(base64.b64decode(record["data"]["release"]))))
    release["version"], release["info"]["status"] = 2, "pending-upgrade"
    packed = base64.b64encode(base64.b64encode(gzip.compress(msgspec.json.encode(release)))).decode()
    labels = {**record["metadata"]["labels"], "version": "2", "status": "pending-upgrade"}
    pending = {
        "apiVersion": "v1", "kind": "Secret", "type": record["type"], "data": {"release": packed},
        "metadata": {"name": "sh.helm.release.v1.first.v2", "labels": labels},
    }  # fmt: skip
    owner.kubernetes.kubectl("create", "-f", "-", text=msgspec.json.encode(pending).decode())
    assert (await owner.cluster.apply(workload)).settled


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
