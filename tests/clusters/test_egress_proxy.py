"""The API proxy in an owner's cluster: an app's only way out, tried from inside its pod."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc import jwk

from havn.clusters.kubernetes import Kube
from havn.clusters.kubernetes.outbound import POLICIES, OutboundRules
from havn.clusters.port import ClusterError
from havn.engines.egress_policy import EgressPolicy

pytestmark = pytest.mark.cluster

INTERNET, PLATFORM, RESOLVER = "203.0.113.10", "203.0.113.20", "203.0.113.53"
OUTSIDE = "havn-beyond"
ROOT = Path(__file__).resolve().parents[2]
# The world outside: a DNS server, an API that tells what it was sent and can be slow, and the platform's public keys.
WORLD = """
import asyncio, json, pathlib, ssl, sys
import dns.message, dns.rrset
folder = pathlib.Path(sys.argv[1])
NAMES = {"api.example.test": "203.0.113.10", "other.example.test": "203.0.113.10", "inside.example.test": "10.0.0.1",
         "metadata.example.test": "169.254.169.254"}
class Dns(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
    def datagram_received(self, data, peer):
        asked = dns.message.from_wire(data)
        answer, question = dns.message.make_response(asked), asked.question[0]
        address = NAMES.get(question.name.to_text(omit_final_dot=True))
        if address is None:
            answer.set_rcode(3)
        elif question.rdtype == 1:
            answer.answer.append(dns.rrset.from_text(question.name, 0, "IN", "A", address))
        self.transport.sendto(answer.to_wire(), peer)
async def serve(reader, writer):
    head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode()
    path = head.split(" ")[1]
    fields = dict(line.lower().split(": ", 1) for line in head.split("\\r\\n")[1:] if line)
    if path.startswith("/authentication/"):
        body = (folder / "keys.json").read_bytes()
    elif path == "/slow":
        writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 200000\\r\\nconnection: close\\r\\n\\r\\n" + b"x" * 100000)
        await writer.drain()
        (folder / "begun").touch()
        while not (folder / "go-on").exists():
            await asyncio.sleep(0.05)
        body = None
        writer.write(b"y" * 100000)
    else:
        body = json.dumps({"path": path, "authorization": fields.get("authorization", "")}).encode()
    if body is not None:
        writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\nconnection: close\\r\\ncontent-length: "
                     + str(len(body)).encode() + b"\\r\\n\\r\\n" + body)
    await writer.drain()
    writer.close()
async def main():
    await asyncio.get_running_loop().create_datagram_endpoint(Dns, local_addr=("203.0.113.53", 53))
    server = await asyncio.start_server(serve, None, 8080)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.pem")
    await asyncio.start_server(serve, None, 443, ssl=tls)
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
# What service code does: the runtime's own helper for HTTP, as this deployment.
CALL = """
import asyncio, json, os, sys
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.clock import system_clock
from havn.runtime.http import Http, HttpError, HttpRefused
async def main():
    key = open("/mnt/app-secrets/platform-access-key").read()
    signer = PlatformTokenSigner(issuer="ttd", app="first", audience="egress", key=key, clock=system_clock)
    http = Http.through(os.environ["HAVN_EGRESS_URL"], signer.token)
    for url in json.loads(sys.argv[1]):
        try:
            answer = await http.get(url)
            print(json.dumps([answer.status_code, len(answer.content), answer.text[:200]]))
        except HttpRefused as error:
            print(json.dumps([error.code, 0, str(error)]))
        except HttpError as error:
            print(json.dumps(["failed", 0, str(error)]))
asyncio.run(main())
"""
DIRECT = """
import json, socket, sys
for host, port in json.loads(sys.argv[1]):
    try:
        socket.create_connection((host, port), timeout=2).close()
        print("reached")
    except OSError:
        print("not reached")
"""


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def certify(folder: Path) -> None:
    """A certificate for the API outside, which vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api.example.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("api.example.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)


@pytest.fixture
def beyond(kubernetes, tmp_path) -> Any:
    """The world outside, in a network namespace beside the cluster's; its folder."""
    inside = kubernetes.layout.namespace
    run("ip", "netns", "add", OUTSIDE)
    world = None
    try:
        run("ip", "-n", inside, "link", "add", "beyond", "type", "veth", "peer", "name", "eth0", "netns", OUTSIDE)
        run("ip", "-n", inside, "addr", "add", "203.0.113.1/24", "dev", "beyond")
        run("ip", "-n", inside, "link", "set", "beyond", "up")
        for address in (INTERNET, PLATFORM, RESOLVER):
            run("ip", "-n", OUTSIDE, "addr", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            run("ip", "-n", OUTSIDE, "link", "set", link, "up")
        run("ip", "-n", OUTSIDE, "route", "add", "default", "via", "203.0.113.1")
        certify(tmp_path)
        world = subprocess.Popen(
            ["ip", "netns", "exec", OUTSIDE, sys.executable, "-c", WORLD, tmp_path],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert world.stdout is not None
        assert world.stdout.readline() == "ready\n"
        yield tmp_path
    finally:
        if world is not None:
            world.kill()
            world.communicate()
        run("ip", "netns", "del", OUTSIDE)


Call = Callable[..., Awaitable[list[list[Any]]]]


@pytest.fixture
async def pod(kubernetes, owner, beyond) -> str:
    """A pod of the app `first`, which knows the proxy's address, and whose public key the platform knows."""
    values = {**owner.cluster.site.values, "egress": {"url": "http://havn-egress:3128"}}
    cluster = owner.at(values)
    workload = owner.workload("first", await owner.release("first"))
    key = jwk.ECKey.import_key(msgspec.json.decode(workload.secrets["platform-access-key"]))
    public = {**key.as_dict(private=False), "kid": key.thumbprint(), "app": "first", "use": "sig"}
    (beyond / "keys.json").write_bytes(msgspec.json.encode({"keys": [public]}))
    status = await cluster.apply(workload)
    return status.actual[0].name


@pytest.fixture
def call(kubernetes, pod) -> Call:
    """What the app's code gets for each address, in turn: status or code, length, text."""

    async def asked(*urls: str) -> list[list[Any]]:
        argument = msgspec.json.encode(urls).decode()
        text = await asyncio.to_thread(
            kubernetes.kubectl, "exec", pod, "--", "python3", "-c", CALL, argument
        )  # fmt: skip
        return [msgspec.json.decode(line) for line in text.splitlines()]

    return asked


async def install(kubernetes, owner, beyond: Path, **egress: Any) -> None:
    """charts/cluster with these values for the proxy; returns when every pod is of that make."""
    image = await owner.delivery.base()
    authority = (beyond / "server.pem").read_text().partition("-----BEGIN PRIVATE")[0]
    values = {
        "org": "ttd", "domain": "tt02.example.test",
        "image": {"repository": image.repository, "digest": image.digest},
        "egress": {
            "environment": "tt02", "environmentType": "production", "drainSeconds": 120,
            "autoscaling": {"enabled": False}, "platform": {"url": f"http://{PLATFORM}:8080"},
            "nameservers": [RESOLVER], "authorities": authority, "allowedRanges": ["203.0.113.0/24"],
            "clusterRanges": ["10.0.0.0/8"],
            **egress,
        },
    }  # fmt: skip
    await owner.helm.upgrade("havn", ROOT / "charts" / "cluster", values)
    try:
        await asyncio.to_thread(kubernetes.kubectl, "rollout", "status", "deployment/havn-egress", "--timeout=60s")
    except Exception as error:
        pods = ("-l", "app.kubernetes.io/component=api-proxy")
        said = [kubernetes.kubectl(*verb, *pods, check=False) for verb in (("describe", "pods"), ("logs", "--tail=20"))]
        raise AssertionError("\n".join(said)) from error


def rules_of(owner) -> OutboundRules:
    async def kube(org: str) -> Kube:
        return owner.cluster.kube

    return OutboundRules(kube)


def policy(**members: Any) -> EgressPolicy:
    return msgspec.convert({"mode": "enforce", **members}, EgressPolicy)


ALLOWED = policy(
    allow=[{"host": "api.example.test", "scheme": "http", "ports": [8080]}],
    upstreams={"api": {"url": "https://api.example.test/v1", "credentials": ["token"]}},
    credentials={
        "token": {"type": "header", "secret": "api-token", "prefix": "Bearer ", "hosts": ["api.example.test"]}
    },
)


async def test_the_proxy_is_the_only_way_out_and_follows_rules_and_credentials(kubernetes, owner, beyond, pod, call):
    await install(kubernetes, owner, beyond)
    rules = rules_of(owner)
    url = "http://api.example.test:8080/list"

    # Without rules nothing is let out, and the refusal names the line to add.
    code, _, said = (await call(url))[0]
    assert code == "no_rule"
    assert "api.example.test" in said

    await rules.put_secrets("ttd", "first", {"api-token": "planted-1"})
    await rules.put("ttd", "first", ALLOWED)
    answers = await call(
        url, "http://egress/api/people", "http://other.example.test:8080/", "http://203.0.113.10:8080/",
        "http://metadata.example.test:8080/", "http://inside.example.test:8080/",
    )  # fmt: skip
    assert [answer[0] for answer in answers[:2]] == [200, 200]
    assert msgspec.json.decode(answers[1][2]) == {"path": "/v1/people", "authorization": "bearer planted-1"}
    assert all(isinstance(answer[0], str) for answer in answers[2:]), answers

    # The same addresses without the proxy, and the proxy's own parts that are none of an app's business.
    operations = kubernetes.kubectl(
        "get", "pods", "-l", "app.kubernetes.io/component=api-proxy", "--sort-by=.metadata.creationTimestamp",
        "-o", "jsonpath={.items[-1:].status.podIP}",
    )  # fmt: skip
    argument = msgspec.json.encode(
        [(INTERNET, 8080), (PLATFORM, 8080), (RESOLVER, 53), (operations, 9310), (operations, 3128)]
    ).decode()
    direct = await asyncio.to_thread(kubernetes.kubectl, "exec", pod, "--", "python3", "-c", DIRECT, argument)
    assert direct.split("\n")[:5] == ["not reached"] * 4 + ["reached"]

    # Rules that are gone are out of force everywhere, and nobody else's were touched.
    await rules.put("ttd", "second", ALLOWED)
    await rules.put("ttd", "first", policy())
    assert {answer[0] for answer in await call(*[url] * 6)} == {"no_rule"}
    kept = msgspec.json.decode(kubernetes.kubectl("get", "configmap", POLICIES, "-o", "json"))["data"]
    assert set(kept) == {"first.json", "second.json"}
    for app in ("first", "second"):
        await rules.put("ttd", app, None)
    await rules.put_secrets("ttd", "first", {})


async def test_a_transfer_under_way_outlives_the_proxy_that_carries_it(kubernetes, owner, beyond, pod, call):
    await install(kubernetes, owner, beyond)
    rules = rules_of(owner)
    await rules.put("ttd", "first", ALLOWED)
    before = set(kubernetes.kubectl("get", "pods", "-l", "app.kubernetes.io/component=api-proxy", "-o", "name").split())
    slow = asyncio.create_task(call("http://api.example.test:8080/slow"))
    while not (beyond / "begun").exists():
        await asyncio.sleep(0.05)
        assert not slow.done(), slow.result()
    # Another update of the proxies: the ones that are ready now are the new ones.
    await install(kubernetes, owner, beyond, drainSeconds=121)
    assert (await call("http://api.example.test:8080/list"))[0][0] == 200
    (beyond / "go-on").touch()
    assert (await slow)[0][:2] == [200, 200_000]
    await asyncio.to_thread(
        kubernetes.kubectl, "wait", "--for=delete", "--timeout=60s", *sorted(before)
    )  # fmt: skip
    await rules.put("ttd", "first", None)


async def test_rules_that_the_proxies_cannot_use_fail_the_deploy_with_the_reason(kubernetes, owner, beyond):
    await install(kubernetes, owner, beyond)
    rules = rules_of(owner)
    broken = policy(allow=[{"host": "*.*.example.test"}])
    with pytest.raises(ClusterError, match="cannot use the app's outbound rules"):
        await rules.put("ttd", "first", broken)
    await rules.put("ttd", "first", None)
