"""What a cluster that others run brings along, put into a local one: DNS, metrics, Traefik as a pod, a registry."""

from __future__ import annotations

import shlex
import shutil
import socket
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from havn.local.kubernetes.cluster import LocalKubernetes
from havn.local.kubernetes.images import write_archive
from havn.local.kubernetes.network import MAX_CLUSTERS, Addresses

_PROGRAMS = ("pause", "coredns", "metrics-server", "traefik")
_TRAEFIK = "github.com/traefik/traefik/v3"
_METRICS = "sigs.k8s.io/metrics-server"
_REGISTRY_PORT = 5000
_CERT_MANAGER = "github.com/cert-manager/cert-manager"


def load_images(cluster: LocalKubernetes, programs: Sequence[str] = _PROGRAMS) -> None:
    """Give the node the images of the add-ons; without that of `pause` no pod starts at all."""
    with tempfile.TemporaryDirectory(dir=cluster.layout.folder) as scratch:
        for name in programs:
            archive = Path(scratch, f"{name}.tar")
            write_archive(archive, f"havn.local/{name}:1", cluster.toolchain.program(name))
            cluster.load_image(archive)
            archive.unlink()


def install_dns(cluster: LocalKubernetes, *, names_of_machine: bool = False) -> None:
    """CoreDNS that answers names of the cluster, and when told so of this machine's /etc/hosts, which it follows.

    Any other name does not exist there. Without `names_of_machine`, names are put into the ConfigMap `coredns`.
    """
    hosts = "/etc/machine/hosts" if names_of_machine else "/etc/coredns/hosts"
    _apply(cluster, "coredns.yaml", dns=str(cluster.layout.addresses.dns), hosts=hosts)


def install_metrics(cluster: LocalKubernetes) -> None:
    """metrics-server, from the manifests of its own module, which the autoscaler reads."""
    base = cluster.toolchain.module(_METRICS) / "manifests" / "base"
    with tempfile.TemporaryDirectory(dir=cluster.layout.folder) as scratch:
        # kustomize reads below its own folder only, so the module's files are copied beside our patch.
        shutil.copytree(base, Path(scratch, "base"), copy_function=shutil.copyfile)
        overlay = (files(__package__) / "manifests" / "metrics-server.yaml").read_text()
        Path(scratch, "kustomization.yaml").write_text(overlay)
        cluster.kubectl("apply", "--server-side", "--kustomize", scratch)


def install_traefik(cluster: LocalKubernetes) -> None:
    """Traefik as a pod on host ports 80 and 443, with the custom resources of its own module."""
    crds = "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"
    cluster.kubectl("apply", "--server-side", "-f", str(cluster.toolchain.module(_TRAEFIK) / crds))
    cluster.kubectl("wait", "--for=condition=Established", "crd/ingressroutes.traefik.io", "--timeout=30s")
    _apply(cluster, "traefik.yaml")


def install_cert_manager(cluster: LocalKubernetes, nameserver: str) -> None:
    """cert-manager with the custom resources of its own module, as a process beside the cluster's own.

    Issuers are CA, self-signed and ACME; the Secrets of a ClusterIssuer are in the namespace `cert-manager`. Before it
    lets an ACME authority ask a host over HTTP, it asks itself; `nameserver` (host:port) tells it where the host is.
    """
    load_images(cluster, ["acmesolver"])
    crds = cluster.toolchain.module(_CERT_MANAGER) / "deploy" / "crds"
    cluster.kubectl("create", "namespace", "cert-manager")
    cluster.kubectl("apply", "--server-side", "-f", str(crds))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(crds))
    command = [
        str(cluster.toolchain.program("certmanager")), f"--kubeconfig={cluster.kubeconfig}",
        "--acme-http01-solver-image=havn.local/acmesolver:1", f"--acme-http01-solver-nameservers={nameserver}",
    ]  # fmt: skip
    cluster.start("cert-manager", command)


def install_registry(cluster: LocalKubernetes) -> str:
    """An OCI registry without TLS at the node's address, which every local cluster pulls from; returns its address.

    It runs beside the cluster's own processes, keeps its images in the cluster's folder, and goes with it.
    """
    # The others' too, also of clusters that are made later: a control plane puts images into one registry.
    for index in range(1, MAX_CLUSTERS):
        cluster.trust_registry(_REGISTRY_PORT, str(Addresses(index).node))
    name = f"{cluster.address}:{_REGISTRY_PORT}"
    folder = cluster.layout.folder / "registry"
    folder.mkdir()
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f"http: {{addr: {name}}}\n"
    )
    cluster.start("registry", [str(cluster.toolchain.program("registry")), "serve", str(config)])
    cluster.wait_until("registry", lambda: _answers(cluster.address, _REGISTRY_PORT))
    return f"http://{name}"


def install_programs(cluster: LocalKubernetes) -> Path:
    """`kubectl` and `helm` as they came with the cluster, in a folder for somebody's PATH; returns it."""
    folder = cluster.layout.folder / "bin"
    folder.mkdir()
    (folder / "helm").symlink_to(cluster.toolchain.program("helm"))
    kubectl = folder / "kubectl"
    kubectl.write_text(f'#!/bin/sh\nexec {shlex.quote(str(cluster.toolchain.program("kube")))} kubectl "$@"\n')
    kubectl.chmod(0o755)
    return folder


def _answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_for(cluster: LocalKubernetes, namespace: str, deployment: str, seconds: int = 90) -> None:
    """Return once every replica of a deployment is ready."""
    cluster.kubectl("-n", namespace, "rollout", "status", f"deployment/{deployment}", f"--timeout={seconds}s")


def _apply(cluster: LocalKubernetes, manifest: str, **values: str) -> None:
    text = Template((files(__package__) / "manifests" / manifest).read_text()).substitute(values)
    cluster.kubectl("apply", "--server-side", "-f", "-", text=text)
