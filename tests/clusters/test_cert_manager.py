"""A real cert-manager beside the real Traefik: it makes and renews what the charts' values hand to it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from cryptography import x509

from havn.cli.platform_secrets import secrets as write_secrets
from havn.clusters.kubernetes import Helm, Kube, KubernetesCluster, bootstrap, cert_manager, certificates, leaves
from havn.clusters.port import ClusterError, RolloutFailed
from havn.deploy.authority.release import ReleaseAuthority
from havn.kit.http import HttpClient
from havn.kit.problem import Problem
from havn.local.kubernetes import addons

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
HOST = "ttd.apps.tt02.example.test"
NAMED = {"certManager": {"issuer": "ours", "kind": "ClusterIssuer"}}
# An authority of the cluster's own, and an issuer that signs with it.
ISSUERS = """
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: itself}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: ours, namespace: cert-manager}
spec:
  isCA: true
  commonName: The cluster's authority
  secretName: ours
  issuerRef: {name: itself, kind: ClusterIssuer}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: ours}
spec: {ca: {secretName: ours}}
"""

# Of the ports of the node's own address: an ACME authority, what it tells about itself, and the DNS that it believes.
ACME, ABOUT_ACME, DNS = 14000, 15000, 5300
PLATFORM = "platform.tt02.example.test"
PUBLIC = "tt02-platform"
ACME_ISSUER = """
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {{name: acme}}
spec:
  acme:
    server: https://{address}:{port}/dir
    skipTLSVerify: true
    privateKeySecretRef: {{name: acme-account}}
    solvers: [{{http01: {{ingress: {{ingressClassName: traefik}}}}}}]
"""
# A host that no DNS record leads to: its challenge stays.
NOWHERE = """
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: nowhere}
spec:
  secretName: nowhere
  issuerRef: {name: acme, kind: ClusterIssuer}
  dnsNames: [nowhere.example.test]
"""

TO_PROXY = """
import os, socket, ssl
believed = ssl.create_default_context(cafile=os.environ["HAVN_TRUST_FILE"])
connection = believed.wrap_socket(socket.create_connection(("havn-egress", 3128), 10), server_hostname="havn-egress")
print(os.environ["HAVN_EGRESS_URL"], connection.version())
"""


@pytest.fixture(scope="module")
def narrow(kubernetes, tmp_path_factory) -> Path:
    """A kubeconfig of the service account of docs/how-to/add-a-cluster.md, made as that page says."""
    page = (ROOT / "docs" / "how-to" / "add-a-cluster.md").read_text()
    manifests = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert manifests is not None
    kubernetes.kubectl("apply", "-f", "-", text=manifests[1])
    token = kubernetes.kubectl("create", "token", "havn", "--duration=1h").strip()
    config = json.loads(kubernetes.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    made = tmp_path_factory.mktemp("narrow") / "kubeconfig"
    made.touch(mode=0o600)
    made.write_text(json.dumps(config))
    return made


@pytest.fixture(scope="module")
def manager(kubernetes, narrow, toolchain) -> Iterator[None]:
    """cert-manager with the issuer `ours`; before it is there, values that name an issuer are refused."""

    async def refused() -> None:
        kube = Kube(narrow)
        with pytest.raises(ClusterError, match="has no cert-manager"):
            await bootstrap.usable(kube, manager=True)
        await kube.close()

    asyncio.run(refused())
    names = kubernetes.layout.folder / "names"
    names.write_text(
        f".:{DNS} {{\n hosts {{\n  {kubernetes.address} {HOST} {PLATFORM}\n  fallthrough\n }}\n"
        " template ANY ANY . {\n  rcode NXDOMAIN\n }\n}\n"
    )
    kubernetes.start("names", [str(toolchain.program("coredns")), "-conf", str(names)])
    addons.install_cert_manager(kubernetes, f"{kubernetes.address}:{DNS}")
    kubernetes.kubectl("apply", "-f", "-", text=ISSUERS)
    kubernetes.kubectl("wait", "--for=condition=Ready", "clusterissuer/ours", "--timeout=30s")
    yield
    # Helm could not read what it has installed once the custom resources are gone.
    asyncio.run(Helm(toolchain.program("helm"), kubernetes.kubeconfig).uninstall(bootstrap.RELEASE))
    kubernetes.stop("cert-manager")
    kubernetes.stop("names")
    kubernetes.kubectl("delete", "secret", "havn-public", check=False)
    crds = toolchain.module("github.com/cert-manager/cert-manager") / "deploy" / "crds"
    kubernetes.kubectl("delete", "-f", str(crds), "--timeout=60s")
    kubernetes.kubectl("delete", "namespace", "cert-manager", "--wait=false", check=False)


@pytest.fixture
async def managed(owner, manager, narrow, toolchain) -> AsyncIterator[KubernetesCluster]:
    """The org's cluster, set up with what the page's service account may do, certificates in cert-manager's hands."""
    kube, helm = Kube(narrow), Helm(toolchain.program("helm"), narrow)
    assert (await bootstrap.usable(kube, manager=True)).numbers >= (1, 29)
    site = msgspec.structs.replace(owner.cluster.site, values={**owner.cluster.site.values, "tls": NAMED})
    cluster = KubernetesCluster(site, kube, helm, owner.delivery, owner.cluster._front)
    yield cluster
    await kube.close()


@pytest.fixture
async def acme(managed, kubernetes, toolchain) -> AsyncIterator[str]:
    """The root certificate of a real ACME authority, which the issuer `acme` asks.

    It asks hosts on port 80, as public ones do, and asks again for each certificate.
    """
    folder, now = kubernetes.layout.folder / "acme", datetime.now(UTC)
    folder.mkdir()
    itself = ReleaseAuthority.new("acme", now).leaf(["acme"], now)
    (folder / "tls.crt").write_text(itself.certificate)
    (folder / "tls.key").write_text(itself.key)
    told = {
        "listenAddress": f"{kubernetes.address}:{ACME}", "httpPort": 80, "keyAlgorithm": "ecdsa",
        "managementListenAddress": f"{kubernetes.address}:{ABOUT_ACME}",
        "certificate": f"{folder}/tls.crt", "privateKey": f"{folder}/tls.key",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps({"pebble": told}))
    command = [str(toolchain.program("pebble")), f"-config={folder}/config.json"]
    # It waits and refuses by chance unless it is told not to.
    environ = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": "0"}
    kubernetes.start("acme", [*command, f"-dnsserver={kubernetes.address}:{DNS}"], environ)
    about = HttpClient(f"https://{kubernetes.address}:{ABOUT_ACME}", name="The ACME authority", verify=False)
    async with asyncio.timeout(30):
        while True:
            try:
                root = (await about.request("GET", "/roots/0")).text
                break
            except Problem:
                pass
    await about.close()
    kubernetes.kubectl("apply", "-f", "-", text=ACME_ISSUER.format(address=kubernetes.address, port=ACME))
    kubernetes.kubectl("wait", "--for=condition=Ready", "clusterissuer/acme", "--timeout=30s")
    kubernetes.kubectl("create", "namespace", "platform")
    yield root
    # Challenges go while cert-manager is there to let go of them.
    kubernetes.kubectl("delete", "certificate", "nowhere", "havn-public", "--ignore-not-found")
    kubernetes.kubectl("-n", "platform", "delete", "certificate", "--all")
    kubernetes.kubectl("wait", "--for=delete", "challenge", "--all", "--all-namespaces", "--timeout=60s")
    kubernetes.kubectl("delete", "namespace", "platform", "--wait=false")
    kubernetes.kubectl("delete", "clusterissuer", "acme")
    kubernetes.stop("acme")


@dataclass
class Platform:
    """The certificates that are wanted, and what the Secrets held that Havn made before."""

    certificates: list[dict[str, Any]]
    secrets: dict[str, dict[str, str]]


async def asked(owner, host: str, path: str) -> int:
    """The status of one request through Traefik, on a connection of its own; 0 when there was none."""
    http = HttpClient(f"https://{owner.kubernetes.address}", name="Traefik", host=host, verify=False)
    try:
        return (await http.request("GET", path)).status_code
    except Problem:
        return 0
    finally:
        await http.close()


@asynccontextmanager
async def asked_all_the_time(owner, host: str = HOST, path: str = "/first/health") -> AsyncIterator[list[int]]:
    """Requests one after the other through Traefik, a third of them on connections of their own; each one's status."""
    statuses: list[int] = []
    done = False

    async def on_its_own() -> None:
        while not done:
            statuses.append(await asked(owner, host, path))

    async def on_one_connection() -> None:
        http = HttpClient(f"https://{owner.kubernetes.address}", name="Traefik", host=host, verify=False)
        while not done:
            try:
                statuses.append((await http.request("GET", path)).status_code)
            except Problem:
                statuses.append(0)
        await http.close()

    asking = [asyncio.create_task(each()) for each in (on_one_connection, on_one_connection, on_its_own)]
    try:
        yield statuses
    finally:
        done = True
        await asyncio.gather(*asking)


def stored(kubernetes, secret: str, key: str = "tls.crt", namespace: str = "default") -> str:
    """What a Secret holds; empty when it is not there."""
    path = "jsonpath={.data." + key.replace(".", "\\.") + "}"
    return base64.b64decode(
        kubernetes.kubectl("-n", namespace, "get", "secret", secret, "-o", path, check=False)
    ).decode()


def same(one: str, other: str) -> bool:
    """Whether two texts begin with the same certificate."""
    first, second = (x509.load_pem_x509_certificate(each.encode()) for each in (one, other))
    return first == second


def renew(kubernetes, certificate: str) -> None:
    """What `cmctl renew` does: tell cert-manager by the object's status that it is to be made anew."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    known = json.loads(kubernetes.kubectl("get", "certificate", certificate, "-o", "json"))
    told = {
        "type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "asked for",
        "lastTransitionTime": now,
    }  # fmt: skip
    conditions = [each for each in known["status"]["conditions"] if each["type"] != "Issuing"]
    change = json.dumps({"status": {"conditions": [*conditions, told]}})
    kubernetes.kubectl("patch", "certificate", certificate, "--subresource=status", "--type=merge", "-p", change)


async def shown_by_traefik(owner, authority: str, host: str = HOST) -> str:
    """The certificate that browsers get for a host, believed by the authority alone."""
    context = ssl.create_default_context(cadata=authority)
    _, writer = await asyncio.open_connection(owner.kubernetes.address, 443, ssl=context, server_hostname=host)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return ssl.DER_cert_to_PEM_cert(der)


async def certified_by(owner, root: str) -> str:
    """The certificate that browsers get for the org's host, once it is one that this root vouches for."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await shown_by_traefik(owner, root)
            except ssl.SSLCertVerificationError:
                pass


async def shown_by_pod(owner, pod: str, port: int = 5005) -> str:
    """The certificate that a pod shows to whoever connects to it."""
    look = f"import ssl; print(ssl.get_server_certificate(('127.0.0.1', {port})))"
    return await asyncio.to_thread(owner.kubernetes.kubectl, "exec", pod, "--", "python3", "-c", look)


async def test_cert_manager_makes_and_renews_every_certificate_and_no_request_fails(owner, managed):
    kubernetes, kube = owner.kubernetes, managed.kube
    image = await owner.delivery.base()
    base = {
        "org": "ttd", "domain": "tt02.example.test", "dns": {"replicas": 1},
        "egress": {"replicas": 1, "autoscaling": {"enabled": False}, "tls": NAMED},
        "unknown": {"tls": NAMED},
        "image": {"repository": image.repository, "digest": image.digest}, **NAMED,
    }  # fmt: skip
    # No issuer of our own: no certificate here is Havn's.
    await bootstrap.install(kube, managed._helm, ROOT / "charts" / "cluster", base, None, datetime.now(UTC))
    workload = owner.workload("first", await owner.release("first"))
    status = await managed.apply(workload)
    pod = status.actual[0].name

    # Made by the issuer: what browsers get from Traefik, and what Traefik gets from the pod.
    authority = stored(kubernetes, "ours", namespace="cert-manager")
    public = await certified_by(owner, authority)
    assert same(public, stored(kubernetes, "havn-public"))
    leaf = stored(kubernetes, "first-tls")
    assert same(await shown_by_pod(owner, pod), leaf)
    assert stored(kubernetes, "first-tls", "ca.crt") == authority
    issued = x509.load_pem_x509_certificate(leaf.encode())
    issued.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))
    assert await managed.drift(workload) == []
    # The API proxy's too, which the app is told to call over TLS, and believes.
    await asyncio.to_thread(
        kubernetes.kubectl, "wait", "--for=condition=Available", "deployment/havn-egress", "--timeout=60s"
    )
    said = await asyncio.to_thread(kubernetes.kubectl, "exec", pod, "--", "python3", "-c", TO_PROXY)
    assert said.split() == ["https://havn-egress:3128", "TLSv1.3"]
    # And that of the page where no app is, which Traefik believes.
    assert stored(kubernetes, "havn-unknown-tls", "ca.crt") == authority
    async with asyncio.timeout(30):
        while "unknown_app" not in (await owner.ask("/no-such-app")).body:
            pass

    # Renewed while they are used.
    async with asked_all_the_time(owner) as statuses:
        for name in ("first", "havn-public"):
            await asyncio.to_thread(renew, kubernetes, name)
        async with asyncio.timeout(120):
            while (renewed := stored(kubernetes, "first-tls")) == leaf:
                pass
            while await shown_by_traefik(owner, authority) == public:
                pass
            while not all([same(await shown_by_pod(owner, pod), renewed) for _ in range(3)]):
                pass
        count = len(statuses)
        while len(statuses) < count + 200:
            await owner.ask("/first/health")
    assert set(statuses) == {200}
    assert [each.name for each in (await managed.status("first")).actual] == [pod]

    # Traefik believes the authority that stands in its transport and no other.
    other = {"spec": {"rootCAs": [{"secret": "stranger"}]}}
    kubernetes.kubectl("create", "secret", "generic", "stranger", f"--from-literal=ca.crt={stranger()}")
    await kube.merge("traefik.io/v1alpha1", "serverstransports/first", other)
    async with asyncio.timeout(30):
        while (await owner.ask("/first/health")).status != 500:
            pass
        assert await managed.drift(workload) != []
        await managed.apply(workload)
        while (await owner.ask("/first/health")).status != 200:
            pass
    kubernetes.kubectl("delete", "secret", "stranger")

    # The doctor reads how old they are, beside those that others have left in the namespace.
    now = datetime.now(UTC)
    [good] = await certificates.inside(kube, now)
    assert good.result == "ok", good
    late = [each for each in await certificates.inside(kube, now + timedelta(days=80)) if each.result == "warning"]
    assert {re.search(r"Secret (\S+)", each.message)[1] for each in late} >= {
        "first-tls", "havn-egress-tls", "havn-unknown-tls", "havn-public",
    }  # fmt: skip


async def test_an_issuer_that_is_not_there_is_told_and_what_was_made_is_taken_away(owner, managed):
    kube = managed.kube
    wrong = {"certManager": {"issuer": "nobody", "kind": "Issuer"}}
    site = msgspec.structs.replace(managed.site, values={**managed.site.values, "tls": wrong})
    cluster = KubernetesCluster(site, kube, managed._helm, owner.delivery, owner.cluster._front)
    workload = owner.workload("second", await owner.release("second"), ready_within=4)
    applying = asyncio.create_task(cluster.apply(workload))
    async with asyncio.timeout(60):
        while not (found := await certificates.inside(kube, datetime.now(UTC))) or "nobody" not in found[0].message:
            pass
    assert found[0].result == "fail"
    with pytest.raises(
        RolloutFailed, match=r'cert-manager has not made its certificate: .*issuer.* "nobody" not found'
    ):
        await applying
    assert "second" not in {each.metadata.name for each in await cert_manager.certificates(kube)}
    assert await kube.find("v1", "secrets", leaves.leaf_name("second"), leaves.Secret) is None


@pytest.fixture
def platform(manager, kubernetes, toolchain, platform_image, tmp_path) -> Iterator[Platform]:
    """What charts/platform has cert-manager make, after `havn platform secrets`; of its parts the test sign-in runs."""
    out = tmp_path / "secrets.json"
    write_secrets(
        environment="tt02", domain="tt02.example.test", database="postgresql://nowhere/tt02", test_sign_in=True, out=out
    )  # fmt: skip
    kubernetes.kubectl("apply", "-f", str(out))
    values = {
        "domain": "tt02.example.test", "environment": "tt02", "environmentType": "test", "image": platform_image,
        "tls": NAMED, "ingress": NAMED, "egress": {"enabled": True}, "controlPlane": {"enabled": True},
        "testSignIn": {"enabled": True, "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}}},
        "signingKeys": {"existingClaim": "keys"}, "blobs": {"url": "file:///mnt/blobs", "existingClaim": "contents"},
    }  # fmt: skip
    command = [toolchain.program("helm"), "template", "tt02", ROOT / "charts" / "platform", "--values=-"]
    done = subprocess.run(command, input=json.dumps(values).encode(), capture_output=True, check=True)
    rendered = [each for each in yaml.safe_load_all(done.stdout) if each is not None]
    label = "app.kubernetes.io/component"
    wanted = [
        each
        for each in rendered
        if each["kind"] == "Certificate" or each["metadata"].get("labels", {}).get(label) in ("login", "platform")
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": wanted})
    kubernetes.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", text=text)
    secrets = {each["metadata"]["name"]: each["stringData"] for each in json.loads(out.read_text())["items"]}
    yield Platform([each for each in wanted if each["kind"] == "Certificate"], secrets)
    kubernetes.kubectl("delete", "-f", "-", "--wait=false", text=text, check=False)
    kubernetes.kubectl("delete", "-f", str(out), "--wait=false", check=False)


async def test_the_platforms_certificates_replace_havns_own_and_are_renewed_while_they_are_used(owner, platform):
    kubernetes = owner.kubernetes
    named = [f"certificate/{each['metadata']['name']}" for each in platform.certificates]
    await asyncio.to_thread(kubernetes.kubectl, "wait", "--for=condition=Ready", "--timeout=60s", *named)
    authority = stored(kubernetes, "ours", namespace="cert-manager")
    for each in platform.certificates:
        secret = each["spec"]["secretName"]
        found = x509.load_pem_x509_certificate(stored(kubernetes, secret).encode())
        found.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))
        assert stored(kubernetes, secret, "ca.crt") == authority
        called = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert called.get_values_for_type(x509.DNSName) == each["spec"]["dnsNames"]
        # Each part had one by Havn's own authority; the public one is new.
        assert (secret in platform.secrets) == (secret != "tt02-public")

    host, path = "login.tt02.example.test", "/health/ready"
    async with asyncio.timeout(60):
        while (await asked(owner, host, path)) != 200:
            pass
    rollout = ("rollout", "status", "deployment/tt02-login", "--timeout=60s")
    await asyncio.to_thread(kubernetes.kubectl, *rollout)
    pods = ("get", "pods", "-l", "app.kubernetes.io/component=login", "-o", "jsonpath={.items[*].metadata.name}")
    pod = kubernetes.kubectl(*pods)
    before = stored(kubernetes, "tt02-login-tls")
    assert same(await shown_by_pod(owner, pod, 8080), before)
    public = await shown_by_traefik(owner, authority, host)
    async with asked_all_the_time(owner, host, path) as statuses:
        for name in ("tt02-login", "tt02-platform"):
            await asyncio.to_thread(renew, kubernetes, name)
        async with asyncio.timeout(120):
            while same(renewed := stored(kubernetes, "tt02-login-tls"), before):
                pass
            while not all([same(await shown_by_pod(owner, pod, 8080), renewed) for _ in range(3)]):
                pass
            while await shown_by_traefik(owner, authority, host) == public:
                pass
        count = len(statuses)
        while len(statuses) < count + 100:
            await asked(owner, host, path)
    assert set(statuses) == {200}
    assert kubernetes.kubectl(*pods) == pod


async def plain(owner, host: str, path: str) -> tuple[int, str]:
    """The status and the content of one request to Traefik in clear; redirects are not followed."""
    http = HttpClient(f"http://{owner.kubernetes.address}", name="Traefik", host=host)
    try:
        reply = await http.request("GET", path)
        return reply.status_code, reply.text
    finally:
        await http.close()


def platform_by_acme(toolchain) -> str:
    """What charts/platform has an ACME authority certify, and its policies, as it renders them."""
    values = {
        "domain": "tt02.example.test", "environment": "tt02", "environmentType": "test",
        "image": {"repository": "registry.example.test/havn/platform", "digest": f"sha256:{64 * '0'}"},
        "catalogue": {"enabled": False},
        "tls": NAMED, "ingress": {"certManager": {"issuer": "acme"}},
        "signingKeys": {"existingClaim": "keys"}, "blobs": {"url": "file:///mnt/blobs", "existingClaim": "contents"},
    }  # fmt: skip
    command = [toolchain.program("helm"), "template", "tt02", ROOT / "charts" / "platform", "--values=-"]
    done = subprocess.run(command, input=json.dumps(values).encode(), capture_output=True, check=True)
    wanted = [
        each
        for each in yaml.safe_load_all(done.stdout)
        if each is not None
        and (each["kind"] == "NetworkPolicy" or (each["kind"], each["metadata"]["name"]) == ("Certificate", PUBLIC))
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": wanted})


async def test_an_acme_authority_asks_the_host_over_plain_http_and_certifies_what_browsers_get(
    owner, managed, acme, toolchain
):
    kubernetes, kube = owner.kubernetes, managed.kube
    image = await owner.delivery.base()
    base = {
        "org": "ttd", "domain": "tt02.example.test", "dns": {"replicas": 1}, "egress": {"enabled": False},
        "image": {"repository": image.repository, "digest": image.digest}, "certManager": {"issuer": "acme"},
    }  # fmt: skip
    await bootstrap.install(kube, managed._helm, ROOT / "charts" / "cluster", base, None, datetime.now(UTC))
    kubernetes.kubectl("apply", "-f", "-", text=NOWHERE)
    kubernetes.kubectl("-n", "platform", "apply", "-f", "-", text=platform_by_acme(toolchain))
    workload = owner.workload("first", await owner.release("first"))
    assert (await managed.apply(workload)).actual[0].state == "ready"

    # What an authority waits for is told by whoever may no more than the page says.
    async with asyncio.timeout(60):
        while not (
            told := [
                each.message
                for each in await certificates.inside(kube, datetime.now(UTC))
                if "certificate nowhere: Waiting for HTTP-01" in each.message
            ]
        ):
            pass
    assert "no such host" in told[0]

    public = "certificate/havn-public"
    await asyncio.to_thread(kubernetes.kubectl, "wait", "--for=condition=Ready", public, "--timeout=90s")
    first = await certified_by(owner, acme)
    assert (await owner.ask("/first/health")).status == 200
    # Beside the answer to the authority all of it is TLS.
    assert (await plain(owner, HOST, "/first/health"))[0] == 301
    assert (await plain(owner, HOST, "/.well-known/acme-challenge/other"))[0] == 301

    revision = int(kubernetes.kubectl("get", public, "-o", "jsonpath={.status.revision}"))
    renew(kubernetes, "havn-public")
    again = f"--for=jsonpath={{.status.revision}}={revision + 1}"
    await asyncio.to_thread(kubernetes.kubectl, "wait", again, public, "--timeout=90s")
    while same(await certified_by(owner, acme), first):
        pass
    assert (await owner.ask("/first/health")).status == 200

    # The platform's namespace has policies for its own pods only.
    theirs = ("-n", "platform", "wait", "--for=condition=Ready", f"certificate/{PUBLIC}", "--timeout=90s")
    await asyncio.to_thread(kubernetes.kubectl, *theirs)


def stranger() -> str:
    """The certificate of an authority that nobody here knows."""
    return ReleaseAuthority.new("stranger", datetime.now(UTC)).bundle()
