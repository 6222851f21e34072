"""Local clusters are real, stand side by side, and leave nothing behind, not even after kill -9."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from havn.local.kubernetes import ClusterError, LocalKubernetes, Toolchain, addons, sweep
from havn.local.kubernetes.record import registry

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def toolchain() -> Toolchain:
    return Toolchain.ensure(ROOT / "toolchain", say=print)


def remains(name: str) -> list[str]:
    """What a cluster would leave on the machine."""
    shell = f"""
        ip netns list | grep -w havn-{name}; ls -d /sys/fs/cgroup/*/havn-{name} 2>/dev/null
        grep -E '/{name}(/| )' /proc/mounts | grep havn; ls -d /run/havn/{name} 2>/dev/null
        pgrep -af 'havn.*/{name}/' | grep -v pgrep
    """
    return subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False).stdout.splitlines()


def strays() -> set[str]:
    """Links of clusters on the bridge that belong to no cluster that is known; others may run beside this test."""
    with registry() as records:
        shown = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
        links = {line.split()[1].split("@")[0] for line in shown.splitlines() if "havn-v" in line}
        return links - {f"havn-v{record.index}" for record in records.values()}


def test_two_clusters_run_side_by_side_and_go_without_a_trace(toolchain, tmp_path_factory):
    folder = tmp_path_factory.mktemp("side-by-side")
    first = LocalKubernetes.create("side1", folder / "side1", toolchain)
    second = LocalKubernetes.create("side2", folder / "side2", toolchain)
    try:
        assert "v1.36.3" in first.kubectl("get", "nodes")
        first.kubectl("create", "namespace", "only-here")
        assert "only-here" not in second.kubectl("get", "namespaces")
        with pytest.raises(ClusterError, match="There is a cluster named side1 already"):
            LocalKubernetes.create("side1", folder / "again", toolchain)
    finally:
        first.destroy()
        assert "Ready" in second.kubectl("get", "nodes")
        second.destroy()
    assert remains("side1") + remains("side2") == []
    assert strays() == set()


def test_dns_metrics_and_traefik_answer(toolchain, tmp_path_factory):
    cluster = LocalKubernetes.create("addons", tmp_path_factory.mktemp("addons") / "it", toolchain)
    try:
        addons.load_images(cluster)
        addons.install_dns(cluster)
        addons.install_metrics(cluster)
        addons.install_traefik(cluster)
        addons.wait_for(cluster, "kube-system", "coredns")
        addons.wait_for(cluster, "kube-system", "metrics-server")
        addons.wait_for(cluster, "traefik", "traefik")
        answer = httpx2.get(f"http://{cluster.address}/", trust_env=False)
        assert answer.status_code == 404
        cluster.kubectl("wait", "--for=condition=Available", "apiservice/v1beta1.metrics.k8s.io", "--timeout=60s")
        assert "coredns" in cluster.kubectl("top", "pods", "-n", "kube-system")
    finally:
        cluster.destroy()


def test_a_cluster_whose_maker_was_killed_is_swept_away(toolchain, tmp_path_factory):
    folder = tmp_path_factory.mktemp("orphan")
    script = f"""
import os
from pathlib import Path
from havn.local.kubernetes import LocalKubernetes, Toolchain
LocalKubernetes.create("orphan", Path({str(folder)!r}, "it"), Toolchain.ensure(Path({str(ROOT / "toolchain")!r})))
os.kill(os.getpid(), {int(signal.SIGKILL)})
"""
    made = subprocess.run([sys.executable, "-c", script], check=False)
    assert made.returncode == -signal.SIGKILL
    assert remains("orphan") != []
    assert sweep(toolchain) == ["orphan"]
    assert remains("orphan") == []
    assert strays() == set()


def test_a_folder_too_deep_for_sockets_is_told_before_anything_is_begun(toolchain, tmp_path):
    with pytest.raises(ClusterError, match="has too long a path for a cluster's sockets: choose one of at most 74"):
        LocalKubernetes.create("deep", tmp_path / ("d" * 80), toolchain)
    assert remains("deep") == []
