"""The doctor's judgement, on servers that answer as broken clusters do; test_estate.py has it look at a real one."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from havn.clusters.kubernetes import Kube, bootstrap, cert_manager, certificates, doctor, doctor_network
from havn.clusters.kubernetes.credentials import Credentials
from havn.clusters.kubernetes.doctor import Patient, examine
from havn.clusters.port import ClusterError
from havn.contracts.estate import DnsRecord, Finding
from havn.kit.serve import serve
from havn.local.environment import free_port

IMAGE = "registry.example.no/havn/runtime@sha256:" + "0" * 64
ARGS = ["--providers.kubernetescrd.allowEmptyServices=true", "--providers.providersThrottleDuration=100ms"]


class Server:
    """Answers as an API server; what it answers can be changed. `allowed` says what the caller may do."""

    def __init__(self) -> None:
        names = [{"name": name} for name in ("ingressroutes", "middlewares")]
        self.answers: dict[str, Any] = {
            "/version": {"major": "1", "minor": "33+", "gitVersion": "v1.33.2"},
            "/apis/traefik.io/v1alpha1": {"resources": names},
            "/api/v1/namespaces/traefik/pods": {"items": [_traefik(ARGS)]},
            "/apis/metrics.k8s.io/v1beta1": {"resources": []},
            "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods": {"items": []},
            "/apis/storage.k8s.io/v1/storageclasses": {"items": []},
            "/api/v1/nodes": {"items": [_node("a"), _node("b")]},
            "/apis/apps/v1/deployments": {"items": []},
            "/api/v1/namespaces/default/secrets": {"items": []},
        }
        self.allowed: Callable[[dict[str, str]], bool] = lambda asked: asked["namespace"] == "default"
        self.rules: list[dict[str, list[str]]] = []
        self.date: datetime | None = None
        self.pods: dict[str, str] = {}
        """What the log of a pod says whose name ends so; None runs it for ever."""
        self.there: set[str] = set()

    async def answer(self, request: Request) -> Response:
        path = request.url.path.rstrip("/")
        headers = {} if self.date is None else {"date": self.date.strftime("%a, %d %b %Y %H:%M:%S GMT")}
        if path.endswith("selfsubjectaccessreviews"):
            asked = msgspec.json.decode(await request.body())["spec"]["resourceAttributes"]
            return JSONResponse({"status": {"allowed": self.allowed(asked)}})
        if path.endswith("selfsubjectrulesreviews"):
            return JSONResponse({"status": {"resourceRules": self.rules}})
        if request.method == "POST":
            name = msgspec.json.decode(await request.body())["metadata"]["name"]
            self.there.add(name)
            return JSONResponse({}, 201)
        if request.method == "DELETE":
            self.there.discard(path.rpartition("/")[2])
            return JSONResponse({})
        parts = path.split("/")
        name = next((part for part in parts if part.startswith("havn-doctor-")), None)
        if name is not None:
            ending = name.rpartition("-")[2]
            if path.endswith("/log"):
                return PlainTextResponse(f"{self.pods[ending]} {datetime.now(UTC).timestamp()}\n")
            pod = {"metadata": {"name": name}, "spec": {"containers": []}, "status": {"phase": "Succeeded"}}
            return JSONResponse(pod)
        found = self.answers.get(path)
        if isinstance(found, int) or found is None:
            return JSONResponse({"message": "no"}, found or 404, headers=headers)
        return JSONResponse(found, headers=headers)


def _traefik(args: list[str]) -> dict[str, Any]:
    return {"metadata": {"name": "traefik"}, "spec": {"containers": [{"args": args}]}}


def _node(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"allocatable": {"cpu": "4"}}}


@pytest.fixture
async def cluster(tmp_path) -> AsyncIterator[tuple[Server, Kube]]:
    server, port, stop = Server(), free_port(), asyncio.Event()
    methods = ["GET", "POST", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", server.answer, methods=methods)])
    serving = asyncio.create_task(serve(app, port=port, stop=stop))
    async with asyncio.timeout(10):
        while True:
            try:
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                break
            except OSError:
                await asyncio.sleep(0.01)
    config = tmp_path / "config"
    config.write_bytes(
        msgspec.json.encode(
            {
                "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "users": [{"name": "u", "user": {"token": "x"}}],
            }
        )
    )
    server.pods = {"open": "open", "closed": "closed"}
    kube = Kube(config)
    yield server, kube
    await kube.close()
    stop.set()
    await serving


async def found(
    kube: Kube,
    *,
    addresses: dict[str, Sequence[str]] | None = None,
    offset: timedelta = timedelta(),
    image: str | None = IMAGE,
) -> dict[str, list[Finding]]:
    """The findings by check."""

    async def resolve(name: str) -> Sequence[str]:
        return (addresses or {}).get(name, ())

    patient = Patient(
        kube=kube,
        credentials=Credentials(server="https://127.0.0.1:1", token="x"),
        host="ttd.apps.example.no",
        dns=[DnsRecord(name="ttd.apps.example.no.", type="A", value="203.0.113.7")],
        ingress="",
        image=image,
    )
    made: dict[str, list[Finding]] = {}
    async for each in examine(patient, clock=lambda: datetime.now(UTC) + offset, resolve=resolve):
        assert each.message.endswith("."), each
        assert each.next or each.result == "ok", each
        made.setdefault(each.check, []).append(each)
    return made


def only(findings: list[Finding]) -> tuple[str, str]:
    [one] = findings
    return one.result, one.message


async def test_a_cluster_as_it_should_be(cluster):
    _, kube = cluster
    told = await found(kube, addresses={"ttd.apps.example.no": ["203.0.113.7"]})
    results = {check: {each.result for each in findings} for check, findings in told.items()}
    assert results.pop("certificates") == {"warning"}  # there is no TLS here
    assert all(each == {"ok"} for each in results.values())
    assert set(results) == {
        "version", "dns", "time", "permissions", "traefik", "traefik settings", "metrics", "storage", "nodes",
        "network policy",
    }  # fmt: skip


async def test_an_api_server_that_is_away_is_the_only_finding(tmp_path, cluster):
    _, kube = cluster
    config = msgspec.json.decode(kube.kubeconfig.read_bytes())
    config["clusters"][0]["cluster"]["server"] = f"http://127.0.0.1:{free_port()}"
    away = tmp_path / "away"
    away.write_bytes(msgspec.json.encode(config))
    lost = Kube(away)
    told = await found(lost)
    await lost.close()
    assert set(told) == {"version"}
    assert only(told["version"])[0] == "fail"
    assert "cannot be reached" in only(told["version"])[1]


@pytest.mark.parametrize(("minor", "result"), [("27", "fail"), ("29", "ok"), ("36", "ok"), ("37", "warning")])
async def test_a_version_that_is_too_old_or_newer_than_we_know(cluster, minor, result):
    server, kube = cluster
    server.answers["/version"] = {"major": "1", "minor": minor, "gitVersion": f"v1.{minor}.0"}
    told = await found(kube)
    assert only(told["version"])[0] == result
    assert (set(told) == {"version"}) == (result == "fail")


@pytest.mark.parametrize(
    ("addresses", "says"),
    [([], "leads nowhere"), (["198.51.100.1"], "leads to 198.51.100.1, and not to 203.0.113.7"),
     (["203.0.113.7", "198.51.100.1"], "and not to")],
)  # fmt: skip
async def test_a_record_that_is_missing_or_leads_elsewhere(cluster, addresses, says):
    _, kube = cluster
    [finding] = (await found(kube, addresses={"ttd.apps.example.no": addresses}))["dns"]
    assert (finding.result, says in finding.message) == ("fail", True)
    assert finding.next.endswith("ttd.apps.example.no. A 203.0.113.7")


@pytest.mark.parametrize(("seconds", "result"), [(0, "ok"), (12, "warning"), (-12, "warning"), (90, "fail")])
async def test_clocks_that_are_apart(cluster, seconds, result):
    server, kube = cluster
    server.date = datetime.now(UTC) + timedelta(seconds=seconds)
    assert (await found(kube))["time"][0].result == result


async def test_rights_that_are_too_few_too_wide_or_everything(cluster):
    server, kube = cluster
    server.allowed = lambda asked: asked["resource"] != "ingressroutes" and asked["namespace"] == "default"
    result, says = only((await found(kube))["permissions"])
    assert result == "fail"
    assert "create ingressroutes" in says
    server.allowed = lambda asked: asked["namespace"] == "default" or asked["resource"] == "secrets"
    result, says = only((await found(kube))["permissions"])
    assert (result, "list secrets in every namespace" in says) == ("warning", True)
    server.allowed = lambda asked: True
    assert "everything in every namespace" in only((await found(kube))["permissions"])[1]
    server.allowed = lambda asked: asked["namespace"] == "default"
    server.rules = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    assert only((await found(kube))["permissions"]) == ("warning", "These credentials may do everything in default.")


async def test_traefik_that_is_missing_hidden_elsewhere_or_set_otherwise(cluster):
    server, kube = cluster
    pods = "/api/v1/namespaces/traefik/pods"
    server.answers[pods] = {"items": [_traefik(ARGS[:1])]}
    [finding] = (await found(kube))["traefik settings"]
    assert (finding.result, "100ms" in finding.next) == ("warning", True)
    server.answers[pods] = {"items": []}
    assert (await found(kube))["traefik settings"][0].result == "fail"
    server.answers[pods] = 403
    assert (await found(kube))["traefik settings"][0].result == "warning"
    server.answers["/apis/traefik.io/v1alpha1"] = 404
    told = await found(kube)
    assert (told["traefik"][0].result, "traefik settings" in told) == ("fail", False)


async def test_credentials_that_have_ended_are_told_with_what_to_do(cluster):
    server, kube = cluster
    server.answers["/version"] = 401
    result, message = only((await found(kube))["version"])
    assert result == "fail"
    assert "wrong or have ended, so give it new ones with `havn cluster add`." in message


async def test_metrics_that_do_not_answer(cluster):
    server, kube = cluster
    server.answers["/apis/metrics.k8s.io/v1beta1"] = 503
    assert "nothing scales with load" in only((await found(kube))["metrics"])[1]


async def test_who_adds_nodes_is_told(cluster):
    server, kube = cluster
    assert "2 nodes (4 CPU each) and no node autoscaler" in only((await found(kube))["nodes"])[1]
    server.answers["/apis/apps/v1/deployments"] = {"items": [{"metadata": {"name": "x-cluster-autoscaler"}}]}
    assert "cluster-autoscaler adds more" in only((await found(kube))["nodes"])[1]
    server.answers["/api/v1/nodes"] = 403
    assert only((await found(kube))["nodes"])[0] == "warning"
    full = {"type": "DiskPressure", "status": "True"}
    server.answers["/api/v1/nodes"] = {"items": [_node("a"), {**_node("b"), "status": {"conditions": [full]}}]}
    assert only((await found(kube))["nodes"])[:2] == ("fail", "Nodes take no new pods: the disk of b is full.")


@pytest.mark.parametrize(
    ("closed", "opened", "result", "says"),
    [
        ("closed", "open", "ok", "it was tried"),
        ("open", "open", "fail", "policies are not enforced"),
        ("closed", "closed", "warning", "nothing can be said"),
        ("open", "closed", "warning", "nothing can be said"),
    ],
)
async def test_what_two_pods_reach_decides_whether_policies_are_enforced(cluster, closed, opened, result, says):
    server, kube = cluster
    server.pods = {"open": opened, "closed": closed}
    told = (await found(kube))["network policy"]
    assert only(told)[0] == result
    assert says in only(told)[1]
    assert server.there == set()


async def test_without_an_image_the_network_is_not_tried(cluster):
    _, kube = cluster
    assert only((await found(kube, image=None))["network policy"])[0] == "warning"


async def test_a_node_whose_clock_is_ahead_is_told(cluster):
    _, kube = cluster
    findings = await doctor_network.check(kube, IMAGE, lambda: datetime.now(UTC) - timedelta(seconds=60))
    assert [(each.check, each.result) for each in findings] == [("network policy", "ok"), ("time", "fail")]


async def test_the_systems_resolver_knows_this_machine_and_not_a_name_that_is_not():
    assert "127.0.0.1" in await doctor.system_resolve("localhost")
    assert await doctor.system_resolve("no-such-name.invalid") == []


async def test_rights_are_asked_for_before_anything_is_stored(cluster):
    server, kube = cluster
    assert (await bootstrap.usable(kube)).git_version == "v1.33.2"
    server.allowed = lambda asked: False
    with pytest.raises(ClusterError, match="may not do all that is needed in the namespace default: get deployments"):
        await bootstrap.usable(kube)


async def test_what_cert_manager_takes_is_asked_for_where_the_values_name_an_issuer(cluster):
    server, kube = cluster
    with pytest.raises(ClusterError, match="the cluster has no cert-manager: install it, or name none"):
        await bootstrap.usable(kube, manager=True)
    [told] = await certificates.inside(kube, datetime.now(UTC), manager=True)
    assert (told.result, "has no cert-manager" in told.message) == ("fail", True)
    server.answers["/apis/cert-manager.io/v1"] = {"resources": []}
    assert await certificates.inside(kube, datetime.now(UTC), manager=True) == []
    await bootstrap.usable(kube, manager=True)
    server.allowed = lambda asked: asked["group"] != "cert-manager.io"
    await bootstrap.usable(kube)
    with pytest.raises(ClusterError, match=r"get certificates, .* and more"):
        await bootstrap.usable(kube, manager=True)
    for named in ({"tls": {"certManager": {"issuer": "ours"}}}, {"certManager": {"issuer": "ours", "kind": "Issuer"}}):
        assert cert_manager.used({}, named)
    assert not cert_manager.used({"tls": {"certManager": {"issuer": ""}, "existingSecret": "mine"}}, {"image": {}})


def kept(name: str, begun: timedelta, until: timedelta) -> dict[str, Any]:
    """A TLS Secret with a certificate that began and ends so far from now."""
    now, key = datetime.now(UTC), ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begun)
        .not_valid_after(now + until)
        .sign(key, hashes.SHA256())
    )
    pem = base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()
    return {"metadata": {"name": name}, "data": {"tls.crt": pem}}


async def test_certificates_in_the_namespace_are_told_when_nobody_has_renewed_them(cluster):
    server, kube = cluster
    day = timedelta(days=1)
    good = [kept("young", -day, 29 * day), kept("short", -0.5 * day, 0.5 * day), kept("given", -335 * day, 31 * day)]
    server.answers["/api/v1/namespaces/default/secrets"] = {"items": good}
    [ok] = await certificates.inside(kube, datetime.now(UTC))
    assert (ok.result, ok.message.startswith("The 3 certificates")) == ("ok", True)
    assert "that of short until" in ok.message
    bad = [kept("late", -26 * day, 4 * day), kept("yearly", -340 * day, 25 * day), kept("gone", -31 * day, -day)]
    bad.append({"metadata": {"name": "empty"}, "data": {}})
    server.answers["/api/v1/namespaces/default/secrets"] = {"items": [*good[:1], *bad]}
    told = await certificates.inside(kube, datetime.now(UTC))
    assert [(each.result, *re.findall(r"Secret (\w+) (ends|ended|holds)", each.message)) for each in told] == [
        ("warning", ("late", "ends")), ("warning", ("yearly", "ends")), ("fail", ("gone", "ended")),
        ("warning", ("empty", "holds")), ("ok",),
    ]  # fmt: skip
    assert all(each.next for each in told[:-1])


async def test_a_certificate_that_cert_manager_cannot_make_is_told_with_what_the_issuer_said(cluster):
    server, kube = cluster

    def condition(message: str) -> dict[str, Any]:
        return {"conditions": [{"type": "Ready", "status": "False", "message": message}]}

    def request(name: str, made_for: str, made: str, message: str) -> dict[str, Any]:
        metadata = {
            "name": name, "creationTimestamp": made, "annotations": {"cert-manager.io/certificate-name": made_for},
        }  # fmt: skip
        return {"metadata": metadata, "status": condition(message)}

    place = "/apis/cert-manager.io/v1/namespaces/default"
    waiting = {"metadata": {"name": "first"}, "spec": {"secretName": "first-tls"}, "status": condition("Being made.")}
    server.answers[f"{place}/certificates"] = {"items": [waiting]}
    server.answers[f"{place}/certificaterequests"] = {"items": []}
    [told] = await certificates.inside(kube, datetime.now(UTC))
    assert told.message == "cert-manager has not made the certificate first: Being made."
    server.answers[f"{place}/certificaterequests"] = {
        "items": [
            request("first-2", "first", "2026-11-21T12:00:00Z", "No such issuer"),
            request("first-1", "first", "2026-11-20T12:00:00Z", "Too early"),
            request("second-1", "second", "2026-11-21T13:00:00Z", "Another's"),
        ]
    }
    [told] = await certificates.inside(kube, datetime.now(UTC))
    assert told.message == "cert-manager has not made the certificate first: No such issuer."
    # One that may not be looked at says nothing; the permissions do.
    server.answers[f"{place}/certificaterequests"] = 403
    assert await certificates.inside(kube, datetime.now(UTC)) == []


@pytest.mark.parametrize(
    ("left", "result", "says"),
    [
        (100, "ok", "is good until"),
        (20, "warning", "own certificate ends on"),
        (-1, "fail", "own certificate ended on"),
    ],
)
def test_the_platforms_own_certificate_is_told_too(tmp_path, left, result, says):
    secret = kept("deploy", timedelta(days=left - 365), timedelta(days=left))
    (tmp_path / "tls.crt").write_bytes(base64.b64decode(secret["data"]["tls.crt"]))
    finding = certificates.own(tmp_path, datetime.now(UTC))
    assert (finding.check, finding.result) == ("platform", result)
    assert says in finding.message
    assert ("`havn platform certificates`" in finding.next) == (result != "ok")


def test_a_platform_without_the_certificate_that_it_was_told_of_says_so(tmp_path):
    assert certificates.own(tmp_path, datetime.now(UTC)).result == "warning"


def test_the_role_of_the_how_to_page_is_all_that_is_needed():
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "add-a-cluster.md").read_text()
    found = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert found is not None
    [role] = [each for each in yaml.safe_load_all(found[1]) if each["kind"] == "Role"]
    given = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    needed = {
        (*kind, verb)
        for kinds in (bootstrap.NEEDED, cert_manager.NEEDED_BESIDE)
        for kind, verbs in kinds.items()
        for verb in verbs
    }
    assert needed - given == set()
