"""Whether NetworkPolicy is enforced: tried from two short-lived pods, one of which a policy lets out nowhere.

Both try to reach the API server's Service. Only if the one that may reaches it, what the other cannot says something.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from havn.clusters.kubernetes.kube import Kube
from havn.clusters.kubernetes.objects import Event, Pod
from havn.clusters.kubernetes.reading import why
from havn.clusters.port import ClusterError
from havn.contracts.estate import Finding
from havn.kit.clock import Clock

_LABEL = "havn/doctor"
_WITHIN = 60.0
_POLL_SECONDS = 0.5
# Tries until it is clear: one connection tells that the way is open, three refusals in a row that it is closed. The
# first may be let through, or held back, before the policy has reached the node.
_TRY = """
import os, socket, sys, time
place = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
wanted, streak, last, until = sys.argv[1], 0, "", time.time() + 25
while time.time() < until and streak < 3:
    try:
        socket.create_connection(place, 1.5).close()
        now = "open"
    except OSError:
        now = "closed"
    streak = streak + 1 if now == last else 1
    last = now
    if streak >= 3 and now != wanted and time.time() < until - 15:
        streak = 0
    time.sleep(0.3)
print(f"{last} {time.time():.3f}", flush=True)
"""


async def check(kube: Kube, image: str | None, clock: Clock, *, pull_secrets: Sequence[str] = ()) -> list[Finding]:
    """Try it. Whatever was made for it is taken away again."""
    if image is None:
        return [
            Finding(
                check="network policy", result="warning",
                message="It could not be tried: there is no image yet to run a pod from.",
                next="Add the cluster first, with `havn cluster add`.",
            )
        ]  # fmt: skip
    name = f"havn-doctor-{secrets.token_hex(4)}"
    made = [
        ("networking.k8s.io/v1", "networkpolicies", _policy(f"{name}-closed", [])),
        ("networking.k8s.io/v1", "networkpolicies", _policy(f"{name}-open", [{}])),
        ("v1", "pods", _pod(f"{name}-closed", image, "closed", pull_secrets)),
        ("v1", "pods", _pod(f"{name}-open", image, "open", pull_secrets)),
    ]
    try:
        for version, kind, body in made:
            await kube.create(version, kind, body)
        answers = await asyncio.gather(*(_answer(kube, f"{name}-{which}") for which in ("closed", "open")))
    except ClusterError as error:
        return [
            Finding(
                check="network policy", result="warning", message=f"It could not be tried: {error}",
                next="See to what is said, and try again.",
            )
        ]  # fmt: skip
    finally:
        for version, kind, body in made:
            with contextlib.suppress(ClusterError):
                await kube.delete(version, kind, body["metadata"]["name"])
    return [_judge(*answers), *_node_time(answers[1], clock)]


def _judge(closed: str, opened: str) -> Finding:
    if opened.split(" ", maxsplit=1)[0] != "open":
        return Finding(
            check="network policy", result="warning",
            message="A pod that may go out does not reach the API server, so nothing can be said.",
            next="See to the cluster's network first.",
        )  # fmt: skip
    if closed.split(" ", maxsplit=1)[0] != "closed":
        return Finding(
            check="network policy", result="fail",
            message="A pod that a NetworkPolicy lets out nowhere reaches the API server: policies are not enforced.",
            next="Install a network plugin that enforces NetworkPolicy, such as Calico or Cilium, before any app.",
        )  # fmt: skip
    return Finding(check="network policy", result="ok", message="NetworkPolicy is enforced: it was tried.")


def _node_time(answer: str, clock: Clock) -> list[Finding]:
    told = answer.partition(" ")[2]
    if not told:
        return []
    # Read after it was written: behind by what that took, and never ahead.
    theirs, ours = datetime.fromtimestamp(float(told), UTC), clock()
    ahead = (theirs - ours).total_seconds()
    behind = (ours - theirs).total_seconds() - _WITHIN
    if max(ahead, behind) > 5:
        return [
            Finding(
                check="time", result="fail",
                message=f"A node's clock and ours are {max(ahead, behind):.0f} seconds or more apart.",
                next="Keep the time of all nodes with NTP.",
            )
        ]  # fmt: skip
    return []


async def _answer(kube: Kube, name: str) -> str:
    try:
        async with asyncio.timeout(_WITHIN):
            while True:
                pod = await kube.get("v1", "pods", name, Pod)
                if pod.status.phase in ("Succeeded", "Failed"):
                    break
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        pod = await kube.get("v1", "pods", name, Pod)
        events = await kube.list("v1", "events", Event, fields=f"involvedObject.name={name}")
        raise ClusterError(f"a pod for it did not run: {why(pod, events, None)}") from None
    lines = [line async for line in kube.log(name)]
    return lines[-1].strip() if lines else ""


def _policy(name: str, egress: list[dict[str, Any]]) -> Mapping[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": {_LABEL: name}}, "policyTypes": ["Ingress", "Egress"],
                 "egress": egress},
    }  # fmt: skip


def _pod(name: str, image: str, wanted: str, pull_secrets: Sequence[str]) -> Mapping[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {_LABEL: name}},
        "spec": {
            "restartPolicy": "Never", "automountServiceAccountToken": False, "activeDeadlineSeconds": 90,
            "terminationGracePeriodSeconds": 1, "imagePullSecrets": [{"name": each} for each in pull_secrets],
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 3000,
                                "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "try", "image": image, "command": ["/usr/bin/python3", "-c", _TRY, wanted],
                "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                    "capabilities": {"drop": ["ALL"]}},
                "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
            }],
        },
    }  # fmt: skip
