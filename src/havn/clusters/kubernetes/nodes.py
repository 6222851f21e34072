"""What is wrong with a cluster's nodes, as far as our credentials may see: what the scheduler leaves unsaid."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from havn.clusters.kubernetes.kube import Kube
from havn.clusters.kubernetes.objects import Condition, Listing, Metadata
from havn.clusters.port import ClusterError

# Conditions that a kubelet sets of its node, and whose taints keep new pods away; and what helps.
_PRESSURES = {
    "DiskPressure": ("the disk of {} is full", "make room there"),
    "MemoryPressure": ("{} has no memory left", "run less there"),
    "PIDPressure": ("{} has no room for more processes", "run less there"),
}


class Node(msgspec.Struct, frozen=True):
    """A node: its conditions, and what it has for pods."""

    class Spec(msgspec.Struct, frozen=True):
        """What it is asked to be."""

        unschedulable: bool = False

    class Status(msgspec.Struct, frozen=True):
        """As its kubelet and the control plane see it."""

        allocatable: dict[str, str] = {}
        conditions: list[Condition] = []

    metadata: Metadata
    spec: Spec = Spec()
    status: Status = Status()


async def read(kube: Kube) -> list[Node]:
    """Every node. Raises `ClusterError`, as when these credentials may not look."""
    return (await kube.read("/api/v1/nodes", Listing[Node])).items


async def trouble(kube: Kube) -> str | None:
    """As `told`; None when we may not look at the nodes."""
    try:
        return told(await read(kube))
    except ClusterError:
        return None


def told(nodes: Sequence[Node]) -> str:
    """What keeps these nodes from taking pods and what helps, a clause; empty when nothing does."""
    found = _found(nodes)
    helps = {help_ for _, help_ in found}
    if not found:
        return ""
    return f"{', '.join(said for said, _ in found)}: {helps.pop() if len(helps) == 1 else 'see to them'}, or add a node"


def of(nodes: Sequence[Node]) -> list[str]:
    """What keeps these nodes from taking pods, a clause each."""
    return [said for said, _ in _found(nodes)]


def _found(nodes: Sequence[Node]) -> list[tuple[str, str]]:
    found = []
    for node in nodes:
        name, conditions = node.metadata.name, {each.type: each.status for each in node.status.conditions}
        found += [
            (said.format(name), help_) for type_, (said, help_) in _PRESSURES.items() if conditions.get(type_) == "True"
        ]
        if conditions.get("Ready", "True") != "True":
            found.append((f"{name} is not ready", "see to its kubelet"))
        elif node.spec.unschedulable:
            found.append((f"{name} was told to take no more", "let it again with `kubectl uncordon`"))
    return found
