"""`havn cluster`: real Kubernetes clusters on this machine, to try and test with. They need root and a checkout."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

import havn
from havn.cli.output import Failure, JsonOption, say, write, write_json, write_table

if TYPE_CHECKING:
    from havn.local.kubernetes import Toolchain

app = App(name="cluster", help="Make and remove Kubernetes clusters on this machine.")

_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
_PLACE = Path("/var/lib/havn/clusters")


@app.command
def create(
    name: str,
    *,
    local: Annotated[bool, Parameter(negative="")] = False,
    folder: Path | None = None,
    json_: JsonOption = False,
) -> None:
    """Make a cluster with one node, DNS, metrics and Traefik. It runs until it is removed.

    Parameters
    ----------
    name
        Up to twelve lower-case letters and digits, a letter first.
    local
        Say so: a cluster elsewhere is not Havn's to make.
    folder
        Where its state and logs are kept (default: below /var/lib/havn/clusters).
    json_
        Write where it is as JSON.
    """
    from havn.local.kubernetes import ClusterError, LocalKubernetes, addons

    if not local:
        raise Failure(f"Only clusters on this machine are made here: say havn cluster create --local {name}.")
    if not _NAME.fullmatch(name):
        raise Failure(f"{name[:40]!r} cannot be a cluster's name: use up to twelve lower-case letters and digits.")
    place = folder or _PLACE / name
    if place.exists() and any(place.iterdir()):
        raise Failure(f"{place} is not empty: choose another with --folder.")
    tools = _toolchain()
    cluster = None
    try:
        cluster = LocalKubernetes.create(name, place, tools, keep=True)
        say(f"Kubernetes answers at https://{cluster.address}:6443.")
        addons.load_images(cluster)
        addons.install_dns(cluster)
        addons.install_metrics(cluster)
        addons.install_traefik(cluster)
        for namespace, deployment in (("kube-system", "coredns"), ("traefik", "traefik")):
            addons.wait_for(cluster, namespace, deployment)
            say(f"{deployment} is ready.")
        addons.wait_for(cluster, "kube-system", "metrics-server")
        say("metrics-server is ready.")
    except BaseException as error:
        if cluster is not None:
            cluster.destroy()
        if isinstance(error, ClusterError):
            raise Failure(str(error)) from error
        raise
    if json_:
        write_json({"name": name, "kubeconfig": str(cluster.kubeconfig), "address": cluster.address})
        return
    write(f"export KUBECONFIG={cluster.kubeconfig}")


@app.command
def remove(name: str) -> None:
    """Take a local cluster away, with everything in it.

    Parameters
    ----------
    name
        The name it was made with.
    """
    from havn.local.kubernetes import ClusterError, LocalKubernetes

    try:
        LocalKubernetes.find(name, _toolchain()).destroy()
    except ClusterError as error:
        raise Failure(f"{error} See havn cluster list.") from error
    except PermissionError as error:
        raise Failure("Local clusters are root's: run this with sudo.") from error
    say(f"{name} is gone.")


@app.command(name="list")
def list_(*, json_: JsonOption = False) -> None:
    """List the clusters of this machine.

    Parameters
    ----------
    json_
        Write them as JSON.
    """
    from havn.local.kubernetes.cluster import known

    try:
        found = known()
    except PermissionError as error:
        raise Failure("Local clusters are root's: run this with sudo.") from error
    if json_:
        write_json([{"name": each.name, "address": each.address, "kubeconfig": str(each.kubeconfig)} for each in found])
        return
    write_table(("NAME", "ADDRESS", "KUBECONFIG"), [(each.name, each.address, str(each.kubeconfig)) for each in found])


def _toolchain() -> Toolchain:
    from havn.local.kubernetes import Toolchain, ToolchainError

    source = Path(havn.__file__).parents[2] / "toolchain"
    if not (source / "go.mod").exists():
        raise Failure("Local clusters are made from a checkout of Havn: this is an installed package.")
    try:
        return Toolchain.ensure(source, say=say)
    except ToolchainError as error:
        raise Failure(str(error)) from error
