"""`havn cluster`: a cluster that outlives the command, until another command takes it away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).with_name("havn")


def havn(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN, "cluster", *arguments], capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, **environ},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "demo"), "say havn cluster create --local demo"),
        (("create", "--local", "../demo"), "cannot be a cluster's name"),
        (("create", "--local", "averyverylongname"), "cannot be a cluster's name"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(arguments, says):
    done = havn(*arguments)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def run_an_image_of_ours(registry: str, programs: str, kubeconfig: str, folder: Path) -> str:
    """Send the runtime's image to the cluster's registry, run a pod of it, and return what that writes."""
    command = [BIN, "image", "build", "runtime", "--push", f"{registry}/havn/runtime", "--out", folder / "images"]
    image = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    kubectl = [f"{programs}/kubectl", f"--kubeconfig={kubeconfig}"]
    tell = ["--command", "--", "python3", "-c", "import havn; print(havn.__name__)"]
    subprocess.run([*kubectl, "run", "told", f"--image={image}", "--restart=Never", *tell], check=True)
    done = "--for=jsonpath={.status.phase}=Succeeded"
    subprocess.run([*kubectl, "wait", "pod/told", done, "--timeout=60s"], check=True)
    return subprocess.run([*kubectl, "logs", "told"], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.cluster
def test_a_cluster_is_made_listed_and_removed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    name = f"c{os.getpid()}"
    made = havn("create", "--local", name, "--folder", str(folder / "cluster"), "--json")
    try:
        assert made.returncode == 0, made.stderr
        where = json.loads(made.stdout)
        programs = where.pop("programs")
        pulled = run_an_image_of_ours(where.pop("registry"), programs, where["kubeconfig"], folder)
        assert pulled == "havn"
        helm = [f"{programs}/helm", "list", f"--kubeconfig={where['kubeconfig']}"]
        assert "NAMESPACE" in subprocess.run(helm, capture_output=True, text=True, check=True).stdout
        # The names of this machine are known to pods, and the other local clusters' registries to the node.
        config = [f"{programs}/kubectl", f"--kubeconfig={where['kubeconfig']}", "-n", "kube-system"]
        served = [*config, "get", "configmap", "coredns", "-o", "jsonpath={.data.Corefile}"]
        assert "hosts /etc/machine/hosts" in subprocess.run(served, capture_output=True, text=True, check=True).stdout
        assert (folder / "cluster" / "registries" / "10.199.49.2:5000" / "hosts.toml").exists()
        assert where in json.loads(havn("list", "--json").stdout)["local"]
        assert havn("create", "--local", name, "--folder", str(folder / "other")).returncode == 1
    finally:
        removed = havn("remove", name)
    assert removed.returncode == 0
    assert name not in havn("list").stdout
    assert not (folder / "cluster").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="local clusters are root's")
def test_an_unknown_local_cluster_is_told_at_once_and_nothing_is_built_for_it(tmp_path):
    done = havn("remove", "nosuch", HAVN_TOOLCHAIN_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 1
    assert "There is no local cluster named nosuch: see `havn cluster list`" in done.stderr
    assert not (tmp_path / "cache").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="tells who is not root")
def test_who_is_not_root_learns_so_before_anything_is_built(tmp_path):
    done = havn("create", "--local", "demo", HAVN_TOOLCHAIN_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 1
    assert "needs root" in done.stderr
    assert not (tmp_path / "cache").exists()
