"""What an app's pod can reach, found out by trying from inside it; a pod without policies shows that it could."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator

import msgspec
import pytest

pytestmark = pytest.mark.cluster

METADATA, INTERNET, PLATFORM = "169.254.169.254", "203.0.113.10", "203.0.113.20"
OUTSIDE = "havn-outside"
SERVER = "import http.server as h; h.ThreadingHTTPServer(('', 8080), h.SimpleHTTPRequestHandler).serve_forever()"
PROBE = """
import json, socket, sys
reached = []
for name, host, port in json.loads(sys.argv[1]):
    try:
        socket.create_connection((host, port), timeout=2).close()
        reached.append(name)
    except OSError:
        pass
print(json.dumps(reached))
"""
RESOLVE = """
import socket, sys
try:
    print(socket.gethostbyname(sys.argv[1]))
except OSError:
    print("unknown")
"""


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def outside(kubernetes) -> Iterator[None]:
    """The internet, the platform and the metadata address, in a network namespace beside the cluster's."""
    inside = kubernetes.layout.namespace
    run("ip", "netns", "add", OUTSIDE)
    servers = []
    try:
        run("ip", "-n", inside, "link", "add", "outside", "type", "veth", "peer", "name", "eth0", "netns", OUTSIDE)
        run("ip", "-n", inside, "addr", "add", "203.0.113.1/24", "dev", "outside")
        run("ip", "-n", inside, "link", "set", "outside", "up")
        run("ip", "-n", inside, "route", "add", f"{METADATA}/32", "dev", "outside")
        for address in (f"{INTERNET}/24", f"{PLATFORM}/24", f"{METADATA}/32"):
            run("ip", "-n", OUTSIDE, "addr", "add", address, "dev", "eth0")
        for link in ("lo", "eth0"):
            run("ip", "-n", OUTSIDE, "link", "set", link, "up")
        run("ip", "-n", OUTSIDE, "route", "add", "default", "via", "203.0.113.1")
        servers.append(subprocess.Popen(["ip", "netns", "exec", OUTSIDE, "python3", "-c", SERVER]))
        yield
    finally:
        for server in servers:
            server.kill()
            server.wait()
        run("ip", "netns", "del", OUTSIDE)


@pytest.fixture
async def control(kubernetes, owner):
    """A pod in a namespace without policies, which listens on port 8080 too."""
    image = await owner.delivery.base()
    kubernetes.kubectl("create", "namespace", "open")
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "control", "namespace": "open"},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "main", "image": f"{image.repository}@{image.digest}", "command": ["python3", "-c", SERVER],
            }],
        },
    }  # fmt: skip
    kubernetes.kubectl("apply", "-f", "-", text=msgspec.json.encode(pod).decode())
    await asyncio.to_thread(
        kubernetes.kubectl, "-n", "open", "wait", "--for=condition=Ready", "pod/control", "--timeout=60s"
    )
    yield "control"
    await asyncio.to_thread(kubernetes.kubectl, "delete", "namespace", "open", "--wait=true")


async def inside(kubernetes, pod: str, script: str, argument: str, namespace: str = "default") -> str:
    done = await asyncio.to_thread(
        kubernetes.kubectl, "-n", namespace, "exec", pod, "--", "python3", "-c", script, argument
    )
    return done.strip()


def address(kubernetes, pod: str, namespace: str = "default") -> str:
    return kubernetes.kubectl("-n", namespace, "get", "pod", pod, "-o", "jsonpath={.status.podIP}")


def service(kubernetes, name: str, namespace: str = "default") -> str:
    return kubernetes.kubectl("-n", namespace, "get", "service", name, "-o", "jsonpath={.spec.clusterIP}")


async def test_an_app_reaches_the_platform_and_cluster_names_and_nothing_else(kubernetes, owner, outside, control):
    values = {
        **owner.cluster.site.values,
        "networkPolicy": {"platformCidrs": [f"{PLATFORM}/32"], "platformPort": 8080},
    }
    cluster = owner.at(values)
    for app in ("first", "second"):
        await cluster.apply(owner.workload(app, await owner.release(app)))
    first, second = [status.actual[0].name for status in await cluster.apps()]
    targets = [
        ("other app", address(kubernetes, second), 5005),
        ("other app's address", service(kubernetes, "second"), 80),
        ("page for unknown addresses", service(kubernetes, "havn-unknown"), 80),
        ("pod elsewhere", address(kubernetes, control, "open"), 8080),
        ("API server", service(kubernetes, "kubernetes"), 443),
        ("API server's own address", kubernetes.address, 6443),
        ("kubelet", kubernetes.address, 10250),
        ("Traefik", kubernetes.address, 443),
        ("metadata", METADATA, 8080),
        ("internet", INTERNET, 8080),
        ("platform", PLATFORM, 8080),
    ]
    argument = msgspec.json.encode(targets).decode()
    reached = msgspec.json.decode(await inside(kubernetes, first, PROBE, argument))
    assert reached == ["platform"]
    # Each could be reached, had the pods no policy: not so the apps themselves, which let in the ingress alone.
    open_ = msgspec.json.decode(await inside(kubernetes, control, PROBE, argument, "open"))
    guarded = {"other app", "other app's address", "page for unknown addresses"}
    assert set(open_) == {name for name, _, _ in targets} - guarded
    assert (await owner.ask("/first/health")).status == 200

    assert await inside(kubernetes, first, RESOLVE, "kubernetes.default.svc.cluster.local") != "unknown"
    assert await inside(kubernetes, first, RESOLVE, "c2VjcmV0.attacker.example") == "unknown"
    for status in await cluster.apps():
        await cluster.remove(status.app)
