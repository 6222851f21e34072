"""From Kubernetes' objects to the port's words; the objects are as a real API server gives them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from havn.clusters.kubernetes import nodes, reading
from havn.clusters.kubernetes.nodes import Node
from havn.clusters.kubernetes.objects import Deployment, Event, Pod

START, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"


def pod(
    container: dict[str, Any] | None = None, *, ready: bool = False, since: str = START, phase: str = "Running", **meta
) -> Pod:
    conditions = [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": START},
        {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": since},
        {"type": "ContainersReady", "status": "True" if ready else "False", "lastTransitionTime": since},
    ]
    body = {
        "metadata": {"name": "first-1", "creationTimestamp": START, **meta},
        "spec": {"containers": [{"name": "app", "env": [{"name": "HAVN_RELEASE", "value": "sha256:b"}]}]},
        "status": {
            "phase": phase,
            "conditions": conditions,
            "containerStatuses": [{"name": "app", "ready": ready, **container}] if container is not None else [],
        },
    }
    return msgspec.convert(body, Pod)


RUNNING = {"state": {"running": {"startedAt": START}}}
CRASHED = {
    "restartCount": 1,
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
    "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}},
}
UNPULLED = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}}


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (pod(), "starting"),
        (pod(RUNNING), "starting"),
        (pod(RUNNING, ready=True, since=LATER), "ready"),
        (pod(RUNNING, since=LATER), "unready"),
        (pod(CRASHED), "waiting"),
        (pod(UNPULLED), "waiting"),
        (pod({"state": {"waiting": {"reason": "ContainerCreating"}}}), "starting"),
        (pod(RUNNING, ready=True, deletionTimestamp=LATER), "stopping"),
    ],
)
def test_states(made, state):
    assert reading.state(made) == state


def event(reason: str, message: str) -> Event:
    return Event(reason=reason, message=message, type="Warning")


@pytest.mark.parametrize(
    ("made", "events", "line", "says"),
    [
        (pod(CRASHED), [], "LoadError: no such module", "exit code 2: LoadError: no such module"),
        (
            pod(UNPULLED),
            [event("Failed", "Failed to pull image x: not found")],
            None,
            "fetched: Failed to pull image x",
        ),
        (pod(RUNNING), [event("Unhealthy", "Readiness probe failed: 500")], None, "answer as it should: Readiness"),
        (pod({"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}), [], None, "more memory"),
        (pod(), [event("FailedMount", "secret first-v1 not found")], None, "secret first-v1 not found."),
    ],
)
def test_why_it_is_not_ready(made, events, line, says):
    assert says in reading.why(made, events, line)


def test_without_room_the_scheduler_is_quoted():
    condition = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 Insufficient cpu"}
    body = {"metadata": {"name": "x"}, "spec": {"containers": []}, "status": {"conditions": [condition]}}
    assert "Insufficient cpu" in reading.why(msgspec.convert(body, Pod), [], None)


TAINTED = "0/1 nodes are available: 1 node(s) had untolerated taint(s)."


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        (
            "the disk of node1 is full: make room",
            f"No node has room for it, since the disk of node1 is full: make room. The scheduler says: {TAINTED}",
        ),
        ("", f"No node has room for it: {TAINTED}"),
        (None, f"No node has room for it: {TAINTED} `kubectl describe nodes` tells their taints to who may look."),
    ],
)
def test_what_the_scheduler_leaves_unsaid_is_told_when_we_may_look_at_nodes(nodes, says):
    condition = {"type": "PodScheduled", "status": "False", "message": TAINTED}
    body = {"metadata": {"name": "x"}, "spec": {"containers": []}, "status": {"conditions": [condition]}}
    assert reading.why(msgspec.convert(body, Pod), [], None, nodes) == says


def node(name: str, *, unschedulable: bool = False, **conditions: str) -> Node:
    body = {
        "metadata": {"name": name},
        "spec": {"unschedulable": unschedulable},
        "status": {"conditions": [{"type": type_, "status": status} for type_, status in conditions.items()]},
    }
    return msgspec.convert(body, Node)


def test_what_is_wrong_with_nodes():
    well = {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True"}
    full = node("a", **{**well, "DiskPressure": "True"})
    others = [
        node("b", **{**well, "MemoryPressure": "True"}),
        node("c", **{**well, "Ready": "Unknown"}, unschedulable=True),
        node("d", **well, unschedulable=True),
        node("e", **{**well, "PIDPressure": "True"}),
    ]
    said = [
        "the disk of a is full", "b has no memory left", "c is not ready", "d was told to take no more",
        "e has no room for more processes",
    ]  # fmt: skip
    assert (nodes.of([node("a", **well), node("b")]), nodes.told([node("b")])) == ([], "")
    assert nodes.of([full, *others]) == said
    assert nodes.told([full, node("b")]) == "the disk of a is full: make room there, or add a node"
    assert nodes.told([full, *others]) == f"{', '.join(said)}: see to them, or add a node"


def test_a_disk_that_is_full_while_an_image_is_pulled_is_told_in_the_nodes_words():
    said = (
        'Failed to pull image "x": rpc error: code = Unknown desc = failed to pull and unpack image "x": failed to '
        "copy: write /var/lib/containerd/y: no space left on device"
    )
    made = pod(UNPULLED)
    placed = msgspec.structs.replace(made, spec=msgspec.structs.replace(made.spec, node_name="node1"))
    told = "Its image cannot be fetched: x: failed to copy: write /var/lib/containerd/y: no space left on device."
    assert reading.why(made, [event("Failed", said)], None) == f"The disk of its node is full: make room there. {told}"
    assert reading.why(placed, [event("Failed", said)], None) == f"The disk of node1 is full: make room there. {told}"


def test_a_disk_that_is_full_while_a_pod_is_set_up_is_told():
    said = "Failed to create pod sandbox: mkdir /var/lib/y: no space left on device"
    assert reading.why(pod(), [event("FailedCreatePodSandBox", said)], None) == (
        f"The disk of its node is full: make room there. {said}."
    )


def test_an_app_that_fills_its_own_room_says_nothing_of_its_nodes_disk():
    assert reading.why(pod(CRASHED), [], "OSError: no space left on device").startswith("It stopped by itself with")


def test_the_schedulers_word_is_quoted_without_what_it_found_to_be_in_vain():
    said = (
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available."
    )
    condition = {"type": "PodScheduled", "status": "False", "message": said}
    body = {"metadata": {"name": "x"}, "spec": {"containers": []}, "status": {"conditions": [condition]}}
    told = reading.why(msgspec.convert(body, Pod), [], None)
    assert told == "No node has room for it: 0/1 nodes are available: 1 Insufficient cpu."


def test_a_pod_that_its_node_put_out_says_why():
    message = (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 20Mi."
    )  # fmt: skip
    made = pod(RUNNING, phase="Failed")
    evicted = msgspec.structs.replace(made, status=msgspec.structs.replace(made.status, message=message))
    assert reading.why(evicted, [], None) == f"Its node has put it out: {message}"


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (
            'pods "x" is forbidden: exceeded quota: apps',
            ": exceeded quota: apps. Have the quota raised, or ask for less.",
        ),
        ('pods "x" is forbidden: violates PodSecurity', ': pods "x" is forbidden: violates PodSecurity.'),
    ],
)
def test_why_no_pod_can_be_made_at_all(message, says):
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    body = {
        "metadata": {"name": "first"},
        "spec": {"template": {"spec": {"containers": []}}},
        "status": {"conditions": [condition]},
    }
    told = reading.blocked(msgspec.convert(body, Deployment))
    assert told is not None
    assert told.startswith("The cluster refuses to make a pod: ")
    assert told.endswith(says)


def test_only_the_runtimes_own_word_is_hopeless():
    assert reading.hopeless(pod(CRASHED))
    assert not reading.hopeless(pod({"state": {"terminated": {"exitCode": 1}}}))
    assert not reading.hopeless(pod(RUNNING))


def deployment(wanted: int, **status: int) -> Deployment:
    body = {
        "metadata": {"name": "first", "generation": 2},
        "spec": {"replicas": wanted, "template": {"spec": {"containers": []}}},
        "status": status,
    }
    return msgspec.convert(body, Deployment)


def test_a_rollout_is_over_when_its_controller_has_seen_the_change_and_has_only_new_replicas():
    whole = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    assert deployment(2, **whole).rolled_out
    assert not deployment(2, **{**whole, "observedGeneration": 1}).rolled_out
    assert not deployment(2, **{**whole, "replicas": 3}).rolled_out
    assert not deployment(2, **{**whole, "availableReplicas": 1}).rolled_out
    assert deployment(0, observedGeneration=2).rolled_out


def test_an_evicted_pod_is_not_counted():
    assert reading.status(deployment(1), [pod(RUNNING, phase="Failed")], {}).actual == ()


def test_what_has_been_told_to_end_comes_last_and_is_no_part_of_what_was_asked_for():
    ending = pod(RUNNING, ready=True, since=LATER, name="first-0", deletionTimestamp=LATER)
    staying = pod(RUNNING, ready=True, since=LATER, creationTimestamp=LATER)
    status = reading.status(deployment(1), [ending, staying], {})
    assert [(each.name, each.state) for each in status.actual] == [("first-1", "ready"), ("first-0", "stopping")]
    assert msgspec.structs.replace(status, release="sha256:b").settled
