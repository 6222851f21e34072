"""From Kubernetes' objects to the words of the port: which state a pod is in, and in a sentence why it is not ready."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from havn.clusters.kubernetes.objects import Deployment, Event, Pod
from havn.clusters.port import AppStatus, Replica, ReplicaState

_PULL = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")
BASE = "havn/base"
"""Annotation of a Deployment: the base image that its release is put on."""
# The runtime's way to say that starting it again would not help.
_UNUSABLE = 2
# What the kubelet puts around what its container runtime says, with the image's name again.
_PULLING = re.compile(
    r'^Failed to pull image "([^"]+)": (?:rpc error: .*? desc = )?failed to pull and unpack image "\1": '
)
# What the scheduler says of ways to make room that it has not found either.
_VAINLY = re.compile(r"\s*(?:no new claims to deallocate, )?preemption: .*$", re.DOTALL)
_NO_SPACE = "no space left on device"
_EPOCH = datetime.fromtimestamp(0, UTC)


def status(deployment: Deployment, pods: list[Pod], reasons: Mapping[str, str]) -> AppStatus:
    """What was asked for beside what runs; `reasons` tells why, by pod name."""
    return AppStatus(
        app=deployment.metadata.name,
        release=deployment.spec.template.spec.release,
        replicas=deployment.spec.replicas,
        base=deployment.metadata.annotations.get(BASE),
        actual=tuple(
            Replica(
                name=pod.metadata.name,
                release=pod.spec.release,
                state=state(pod),
                reason=reasons.get(pod.metadata.name),
                restarts=restarts(pod),
                since=since(pod),
            )
            for pod in sorted(pods, key=_order)
            # An evicted pod stays listed until somebody clears it up; another runs in its place.
            if pod.status.phase not in ("Succeeded", "Failed")
        ),
    )


def _order(pod: Pod) -> tuple[bool, datetime, str]:
    # What is about to end comes last.
    ends = pod.metadata.deletion_timestamp is not None
    return ends, pod.metadata.creation_timestamp or _EPOCH, pod.metadata.name


def state(pod: Pod) -> ReplicaState:
    """The pod's state in the port's words."""
    if pod.metadata.deletion_timestamp is not None:
        return "stopping"
    if _is(pod, "Ready"):
        return "ready"
    if not pod.status.container_statuses:
        return "starting"
    container = pod.status.container_statuses[0]
    if container.state.running is not None:
        # It was ready once when it has been started and is not now.
        return "unready" if _is(pod, "ContainersReady", "False") and _was_ready(pod) else "starting"
    if container.state.terminated is not None or container.last_state.terminated is not None:
        return "waiting"
    return "waiting" if (container.state.waiting and container.state.waiting.reason in _PULL) else "starting"


def restarts(pod: Pod) -> int:
    """How often its container was started again."""
    return sum(container.restart_count for container in pod.status.container_statuses)


def since(pod: Pod) -> datetime:
    """Since when it is in its state."""
    if pod.metadata.deletion_timestamp is not None:
        return pod.metadata.deletion_timestamp
    found = [c.last_transition_time for c in pod.status.conditions if c.type == "Ready" and c.last_transition_time]
    return found[0] if found else pod.metadata.creation_timestamp or _EPOCH


def crashed(pod: Pod) -> bool:
    """Whether its container stopped by itself, so that its log may say why."""
    return any(c.state.terminated or c.last_state.terminated for c in pod.status.container_statuses)


def hopeless(pod: Pod) -> bool:
    """Whether starting it again cannot help: the runtime said so."""
    ends = [end for c in pod.status.container_statuses for end in (c.state.terminated, c.last_state.terminated)]
    return any(end is not None and end.exit_code == _UNUSABLE for end in ends)


def runs(pod: Pod) -> bool:
    """Whether its container runs, ready or not."""
    return any(container.state.running is not None for container in pod.status.container_statuses)


def unplaced(pod: Pod) -> bool:
    """Whether the scheduler has found no node for it."""
    return _is(pod, "PodScheduled", "False")


def why(pod: Pod, events: list[Event], last_line: str | None, nodes: str | None = "") -> str:
    """Why the pod is not ready, as a sentence.

    `nodes` is what is wrong with the cluster's, None when we may not look: the scheduler says of a full disk only that
    the node has a taint.
    """
    said = _why(pod, events, last_line, nodes)
    if _NO_SPACE in said and not crashed(pod):
        return f"The disk of {pod.spec.node_name or 'its node'} is full: make room there. {said}"
    return said


def _why(pod: Pod, events: list[Event], last_line: str | None, nodes: str | None) -> str:
    if unplaced(pod):
        condition = next(each for each in pod.status.conditions if each.type == "PodScheduled")
        said = _end(_VAINLY.sub("", condition.message or condition.reason or "not said why"))
        if nodes:
            return f"No node has room for it, since {nodes}. The scheduler says: {said}"
        if nodes is None and "taint" in said:
            return f"No node has room for it: {said} `kubectl describe nodes` tells their taints to who may look."
        return f"No node has room for it: {said}"
    if pod.status.phase == "Failed" and pod.status.message:
        return f"Its node has put it out: {_end(pod.status.message)}"
    container = next(iter(pod.status.container_statuses), None)
    if container is None:
        return _of_events(events) or "It has not been started yet."
    waiting = container.state.waiting
    ended = container.state.terminated or container.last_state.terminated
    # One that gave up may be running again just now, only to give up again.
    if ended is not None and (container.state.running is None or hopeless(pod)):
        said = f": {last_line}" if last_line else "."
        if ended.reason == "OOMKilled":
            return "It used more memory than its limit and was stopped."
        return f"It stopped by itself with exit code {ended.exit_code}{said}"
    if waiting is not None and waiting.reason in _PULL:
        pulled = [event.message for event in events if event.reason == "Failed" and event.message]
        detail = next((message for message in pulled if "pull" in message.lower()), waiting.message or "")
        said = _end(_PULLING.sub(r"\1: ", detail))
        return f"Its image cannot be fetched: {said}"
    if waiting is not None and waiting.reason not in ("ContainerCreating", "PodInitializing"):
        return f"It cannot be started: {_end(waiting.message or waiting.reason or 'not said why')}"
    if container.state.running is not None:
        probes = [event.message for event in events if event.reason == "Unhealthy" and event.message]
        if probes:
            return f"It does not answer as it should: {_end(probes[-1])}"
        return "It runs and is not ready yet."
    return _of_events(events) or "It is being started."


def troubled(pod: Pod) -> bool:
    """Whether something other than the time it takes keeps the pod from being ready."""
    if unplaced(pod) or crashed(pod):
        return True
    waiting = [c.state.waiting.reason for c in pod.status.container_statuses if c.state.waiting is not None]
    return any(reason not in (None, "ContainerCreating", "PodInitializing") for reason in waiting)


def blocked(deployment: Deployment) -> str | None:
    """Why no pod can be made at all (a quota, a policy), or None."""
    for condition in deployment.status.conditions:
        if condition.type == "ReplicaFailure" and condition.status == "True":
            said = _end(condition.message or condition.reason or "it does not say why")
            helps = " Have the quota raised, or ask for less." if "exceeded quota" in said else ""
            return f"The cluster refuses to make a pod: {said}{helps}"
    return None


def _of_events(events: list[Event]) -> str | None:
    warnings = [event.message for event in events if event.type == "Warning" and event.message]
    return _end(warnings[-1]) if warnings else None


def _was_ready(pod: Pod) -> bool:
    # A pod's Ready condition changes when it becomes ready; before that its time is that of its making.
    ready = next((c for c in pod.status.conditions if c.type == "Ready"), None)
    first = next((c for c in pod.status.conditions if c.type == "PodScheduled"), None)
    if ready is None or first is None or ready.last_transition_time is None or first.last_transition_time is None:
        return False
    return ready.last_transition_time > first.last_transition_time


def _is(pod: Pod, type_: str, status_: str = "True") -> bool:
    return any(condition.type == type_ and condition.status == status_ for condition in pod.status.conditions)


def _end(text: str) -> str:
    text = " ".join(text.split())[:600]
    return text if text.endswith((".", "!", "?")) else f"{text}."
