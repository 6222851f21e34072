"""The API proxy in an owner's cluster: an app's only way out, tried from inside its pod."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from joserfc import jwk

from havn.clusters.kubernetes import Kube, KubernetesCluster, bootstrap, leaves
from havn.clusters.kubernetes.outbound import POLICIES, PROXY, OutboundRules
from havn.clusters.port import ClusterError
from havn.deploy.authority import certificates
from havn.deploy.authority.keeper import TAKEN_UP
from havn.engines.egress_policy import EgressPolicy

pytestmark = pytest.mark.cluster

INTERNET, PLATFORM, RESOLVER = "203.0.113.10", "203.0.113.20", "203.0.113.53"
ROOT = Path(__file__).resolve().parents[2]
# What service code does: the runtime's own helper for HTTP, as this deployment, believing what it is told to.
CALLER = """
import asyncio, itertools, json, os, pathlib, ssl, sys
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.clock import system_clock
from havn.kit.trust import Trust
from havn.runtime.http import Http, HttpError, HttpRefused
key = open("/mnt/app-secrets/platform-access-key").read()
signer = PlatformTokenSigner(issuer="ttd", app="first", audience="egress", key=key, clock=system_clock)
# Looked at for each connection, where the runtime looks every few seconds.
trust = Trust(pathlib.Path(os.environ["HAVN_TRUST_FILE"]), clock=itertools.count(step=10).__next__)
world = ssl.create_default_context(cadata=sys.argv[2])
def way_out():
    return Http.through(os.environ["HAVN_EGRESS_URL"], signer.token, verify=world, trust=trust)
"""
CALL = (
    CALLER
    + """
async def main():
    http = way_out()
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
)
# The same without pause, each time over a connection that is kept and over a new one, until there is a file /tmp/end;
# tells how many calls there were, and what was wrong with those that failed.
KEEP_CALLING = (
    CALLER
    + """
async def main():
    kept, calls, failed = way_out(), 0, []
    while not os.path.exists("/tmp/end"):
        new = way_out()
        for http in (kept, new):
            for url in json.loads(sys.argv[1]):
                calls += 1
                try:
                    answer = await http.get(url)
                    if answer.status_code != 200:
                        failed.append(answer.text[:200])
                except HttpError as error:
                    failed.append(str(error))
        await new.close()
    print(json.dumps([calls, failed[:5]]))
asyncio.run(main())
"""
)
# What the proxy answers to somebody who speaks to it in clear.
IN_CLEAR = """
import socket
connection = socket.create_connection(("havn-egress", 3128), timeout=5)
connection.sendall(b"GET http://api.example.test:8080/list HTTP/1.1\\r\\nHost: api.example.test:8080\\r\\n\\r\\n")
try:
    print(connection.recv(100))
except OSError as error:
    print(error)
"""
# The certificate that a proxy shows, whoever signed it.
SHOWN = "import ssl; print(ssl.get_server_certificate(('127.0.0.1', 3128)))"
DIRECT = """
import json, socket, sys
for host, port in json.loads(sys.argv[1]):
    try:
        socket.create_connection((host, port), timeout=2).close()
        print("reached")
    except OSError:
        print("not reached")
"""


Call = Callable[..., Awaitable[list[list[Any]]]]


@pytest.fixture
async def pod(kubernetes, owner, certified, beyond) -> str:
    """A pod of the app `first`, beside the proxy, and whose public key the platform knows."""
    await install(kubernetes, owner, certified, beyond)
    workload = owner.workload("first", await owner.release("first"))
    key = jwk.ECKey.import_key(msgspec.json.decode(workload.secrets["platform-access-key"]))
    public = {**key.as_dict(private=False), "kid": key.thumbprint(), "app": "first", "use": "sig"}
    (beyond / "keys.json").write_bytes(msgspec.json.encode({"keys": [public]}))
    status = await certified.cluster.apply(workload)
    await shows(kubernetes, await stored(certified.cluster))
    return status.actual[0].name


def authority(beyond: Path) -> str:
    """Whom to believe to believe the API outside, PEM."""
    return (beyond / "authority.pem").read_text()


@pytest.fixture
def call(kubernetes, pod, beyond) -> Call:
    """What the app's code gets for each address, in turn: status or code, length, text."""

    async def asked(*urls: str) -> list[list[Any]]:
        argument = msgspec.json.encode(urls).decode()
        text = await asyncio.to_thread(
            kubernetes.kubectl, "exec", pod, "--", "python3", "-c", CALL, argument, authority(beyond)
        )  # fmt: skip
        return [msgspec.json.decode(line) for line in text.splitlines()]

    return asked


async def install(kubernetes, owner, certified, beyond: Path, **egress: Any) -> None:
    """charts/cluster as the control plane puts it in, with these values; returns when every pod is of that make."""
    image = await owner.delivery.base()
    values = {
        "org": "ttd", "domain": "tt02.example.test",
        "image": {"repository": image.repository, "digest": image.digest},
        "egress": {
            "environment": "tt02", "environmentType": "production", "drainSeconds": 120,
            "autoscaling": {"enabled": False}, "platform": {"url": f"http://{PLATFORM}:8080"},
            "nameservers": [RESOLVER], "authorities": authority(beyond), "allowedRanges": ["203.0.113.0/24"],
            "clusterRanges": ["10.0.0.0/8"], "tls": {"existingSecret": leaves.leaf_name(PROXY)},
            **egress,
        },
    }  # fmt: skip
    kube, now = certified.cluster.kube, certified.time()
    await bootstrap.install(kube, owner.helm, ROOT / "charts" / "cluster", values, certified.issuer, now)
    await leaves.nudge(kube, proxies(kubernetes), now)
    try:
        await asyncio.to_thread(kubernetes.kubectl, "rollout", "status", "deployment/havn-egress", "--timeout=60s")
    except Exception as error:
        pods = ("-l", "app.kubernetes.io/component=api-proxy")
        said = [kubernetes.kubectl(*verb, *pods, check=False) for verb in (("describe", "pods"), ("logs", "--tail=20"))]
        raise AssertionError("\n".join(said)) from error


def proxies(kubernetes) -> list[str]:
    """The proxies' pods."""
    selector = ("-l", "app.kubernetes.io/component=api-proxy", "--field-selector=status.phase=Running")
    return kubernetes.kubectl("get", "pods", *selector, "-o", "custom-columns=:metadata.name").split()


async def stored(cluster: KubernetesCluster) -> str:
    """The proxies' certificate."""
    secret = await cluster.kube.get("v1", "secrets", leaves.leaf_name(PROXY), leaves.Secret)
    return base64.b64decode(secret.data["tls.crt"]).decode().strip()


async def shows(kubernetes, certificate: str) -> None:
    """Wait until each proxy shows this certificate."""
    for name in proxies(kubernetes):
        while True:
            found = await asyncio.to_thread(kubernetes.kubectl, "exec", name, "--", "python3", "-c", SHOWN, check=False)
            if found.strip() == certificate or name not in proxies(kubernetes):
                break


def rules_of(owner) -> OutboundRules:
    async def kube(org: str) -> Kube:
        return owner.cluster.kube

    return OutboundRules(kube)


def policy(**members: Any) -> EgressPolicy:
    return msgspec.convert({"mode": "enforce", **members}, EgressPolicy)


ALLOWED = policy(
    allow=[{"host": "api.example.test", "scheme": "http", "ports": [8080]}, {"host": "api.example.test"}],
    upstreams={"api": {"url": "https://api.example.test/v1", "credentials": ["token"]}},
    credentials={
        "token": {"type": "header", "secret": "api-token", "prefix": "Bearer ", "hosts": ["api.example.test"]}
    },
)


async def test_the_proxy_is_the_only_way_out_and_follows_rules_and_credentials(kubernetes, owner, pod, call):
    rules = rules_of(owner)
    url = "http://api.example.test:8080/list"

    # Without rules nothing is let out, and the refusal names the line to add.
    code, _, said = (await call(url))[0]
    assert code == "no_rule"
    assert "api.example.test" in said

    await rules.put_secrets("ttd", "first", {"api-token": "planted-1"})
    await rules.put("ttd", "first", ALLOWED)
    answers = await call(
        url, "http://egress/api/people", "https://api.example.test/list", "http://other.example.test:8080/", "http://203.0.113.10:8080/",
        "http://metadata.example.test:8080/", "http://inside.example.test:8080/",
    )  # fmt: skip
    assert [answer[0] for answer in answers[:3]] == [200, 200, 200]
    assert msgspec.json.decode(answers[1][2]) == {"path": "/v1/people", "authorization": "bearer planted-1"}
    assert all(isinstance(answer[0], str) for answer in answers[3:]), answers

    # On the way to the proxy nothing is in clear: it speaks nothing but TLS.
    clear = await asyncio.to_thread(kubernetes.kubectl, "exec", pod, "--", "python3", "-c", IN_CLEAR)
    assert "HTTP/" not in clear

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


async def slow_transfers(beyond: Path, call: Call) -> list[asyncio.Task[list[list[Any]]]]:
    """A request in clear and a tunnel, of which half has arrived; they go on once there is a file `go-on`."""
    urls = ("http://api.example.test:8080/slow", "https://api.example.test/slow")
    begun = [asyncio.create_task(call(url)) for url in urls]
    while not (beyond / "begun").exists() or (beyond / "begun").read_text() != "xx":
        await asyncio.sleep(0.05)
        assert not any(each.done() for each in begun), [each.result() for each in begun if each.done()]
    return begun


async def test_transfers_under_way_outlive_the_proxy_that_carries_them(kubernetes, owner, certified, beyond, pod, call):
    rules = rules_of(owner)
    await rules.put("ttd", "first", ALLOWED)
    before = proxies(kubernetes)
    slow = await slow_transfers(beyond, call)
    # Another update of the proxies: the ones that are ready now are the new ones.
    await install(kubernetes, owner, certified, beyond, drainSeconds=121)
    assert (await call("http://api.example.test:8080/list"))[0][0] == 200
    (beyond / "go-on").touch()
    assert [(await each)[0][:2] for each in slow] == [[200, 200_000]] * 2
    await asyncio.to_thread(
        kubernetes.kubectl, "wait", "--for=delete", "--timeout=60s", *(f"pod/{name}" for name in before)
    )  # fmt: skip
    await rules.put("ttd", "first", None)


async def test_no_call_fails_while_certificate_and_authority_are_changed_and_a_strangers_is_not_believed(
    kubernetes, owner, certified, beyond, pod, call
):
    rules, cluster, keeper = rules_of(owner), certified.cluster, certified.keeper
    await rules.put("ttd", "first", ALLOWED)
    urls = ("http://api.example.test:8080/list", "https://api.example.test/list")
    first, before = await stored(cluster), set(proxies(kubernetes))
    slow = await slow_transfers(beyond, call)
    command = ("python3", "-c", KEEP_CALLING, msgspec.json.encode(urls).decode(), authority(beyond))
    calling = asyncio.create_task(asyncio.to_thread(kubernetes.kubectl, "exec", pod, "--", *command))
    # Another authority is believed, ...
    await keeper.rotate("tt02", "ttd")
    await cluster.renew_certificates()
    bundle = await keeper.bundle("tt02", "ttd")
    assert bundle.count("BEGIN CERTIFICATE") == 2
    read = ("exec", pod, "--", "python3", "-c", "print(open('/mnt/trust/ca.crt').read())")
    while (await asyncio.to_thread(kubernetes.kubectl, *read)).strip() != bundle.strip():
        pass
    assert await stored(cluster) == first
    # ... signs, ...
    certified.time.behind -= TAKEN_UP
    await keeper.advance("tt02", "ttd")
    await cluster.renew_certificates()
    second = await stored(cluster)
    assert second != first
    await shows(kubernetes, second)
    # ... and is alone.
    certified.time.behind -= TAKEN_UP
    assert not await keeper.advance("tt02", "ttd")
    await cluster.renew_certificates()
    bundle = await keeper.bundle("tt02", "ttd")
    while (await asyncio.to_thread(kubernetes.kubectl, *read)).strip() != bundle.strip():
        pass
    assert [answer[0] for answer in await call(*urls)] == [200, 200]
    (beyond / "go-on").touch()
    assert [(await each)[0][:2] for each in slow] == [[200, 200_000]] * 2
    kubernetes.kubectl("exec", pod, "--", "python3", "-c", "open('/tmp/end', 'w')")
    # After what its log says of the authorities.
    calls, failed = msgspec.json.decode((await calling).splitlines()[-1])
    assert failed == []
    assert calls > 20
    # Nothing was started anew for it.
    assert set(proxies(kubernetes)) == before

    # Whoever shows another's certificate is told nothing, until the next look puts it right.
    now = certified.time()
    other = certificates.leaf(certificates.authority("Somebody else", now, TAKEN_UP), [PROXY], now, TAKEN_UP)
    data = {
        name: base64.b64encode(value.encode()).decode()
        for name, value in (("tls.crt", other.certificate), ("tls.key", other.key))
    }
    await cluster.kube.merge("v1", f"secrets/{leaves.leaf_name(PROXY)}", {"data": data})
    await leaves.nudge(cluster.kube, before, certified.time())
    await shows(kubernetes, other.certificate.strip())
    assert [answer[0] for answer in await call(*urls)] == ["failed", "failed"]
    await cluster.renew_certificates()
    await shows(kubernetes, await stored(cluster))
    assert [answer[0] for answer in await call(*urls)] == [200, 200]
    await rules.put("ttd", "first", None)


async def test_rules_that_the_proxies_cannot_use_fail_the_deploy_with_the_reason(kubernetes, owner, certified, beyond):
    await install(kubernetes, owner, certified, beyond)
    rules = rules_of(owner)
    broken = policy(allow=[{"host": "*.*.example.test"}])
    with pytest.raises(ClusterError, match="cannot use the app's outbound rules"):
        await rules.put("ttd", "first", broken)
    await rules.put("ttd", "first", None)
