"""charts/cluster: every value is described and matters, and what Kubernetes must take it takes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from havn.clusters.kubernetes import unknown

pytestmark = pytest.mark.cluster
CHART = Path(__file__).resolve().parents[2] / "charts" / "cluster"
BASE = {
    "org": "ttd", "domain": "tt02.example.no:8443",
    "image": {"repository": "registry.example.no/havn/runtime", "digest": "sha256:" + "a" * 64},
}  # fmt: skip
# Each leaf of values.schema.json, set to something else than its default.
SHOWN: dict[str, Any] = {
    "org": "skd",
    "domain": "example.com",
    "image.repository": "elsewhere.example.no/x",
    "image.digest": "sha256:" + "f" * 64,
    "image.pullSecrets": ["registry"],
    "headers.stsSeconds": 0,
    "retry.attempts": 5,
    "protection.enabled": False,
    "protection.addressRate": 0,
    "protection.addressBurst": 7,
    "protection.addressRequests": 0,
    "protection.orgRequests": 7,
    "protection.bodyBytes": 0,
    "protection.proxiesInFront": 2,
    "protection.maintenance": [{"app": "first", "message": "Vi flytter", "until": "2026-12-01T21:00:00Z"}],
    "protection.blocked": ["192.0.2.7"],
    "redirect.enabled": False,
    "redirect.port": "8443",
    "entryPoints.http": "web",
    "entryPoints.https": "websecure",
    "tlsSecret": "wildcard",
    "certManager.issuer": "letsencrypt",
    "certManager.kind": "Issuer",
    "networkPolicy.enabled": False,
    "networkPolicy.ingressNamespace": "edge",
    "networkPolicy.ingressPodLabels": {"edge": "yes"},
    "unknown.replicas": 3,
    "unknown.tls.existingSecret": "mine",
    "unknown.tls.authoritySecret": "trust",
    "unknown.tls.certManager.issuer": "ours",
    "unknown.tls.certManager.kind": "Issuer",
    "unknown.resources": {"requests": {"cpu": "77m"}},
    "dns.enabled": False,
    "dns.replicas": 3,
    "dns.hosts": ["login.example.no"],
    "dns.clusterDomain": "cluster.example",
    "dns.resources": {"requests": {"cpu": "77m"}},
    "egress.enabled": False,
    "egress.environment": "tt02",
    "egress.environmentType": "test",
    "egress.replicas": 3,
    "egress.autoscaling.enabled": False,
    "egress.autoscaling.maxReplicas": 9,
    "egress.autoscaling.targetCPUUtilizationPercentage": 50,
    "egress.drainSeconds": 60,
    "egress.platform.url": "https://elsewhere.example.no",
    "egress.platform.address": "192.0.2.7",
    "egress.platform.authorities": "-----BEGIN CERTIFICATE-----",
    "egress.platform.cidrs": ["192.0.2.0/24"],
    "egress.clusterRanges": ["10.0.0.0/8", "fd00::/8"],
    "egress.allowedRanges": ["192.168.0.0/16"],
    "egress.nameservers": ["192.0.2.53"],
    "egress.authorities": "-----BEGIN CERTIFICATE-----",
    "egress.tls.existingSecret": "mine",
    "egress.tls.certManager.issuer": "ours",
    "egress.tls.certManager.kind": "Issuer",
    "egress.nodeSelector": {"pool": "out"},
    "egress.tolerations": [{"key": "out", "operator": "Exists"}],
    "egress.metricsFrom": [{"namespaceSelector": {}}],
    "egress.resources": {"requests": {"cpu": "77m"}},
}
# What must be said too for a value to matter.
BESIDE: dict[str, dict[str, Any]] = {
    "certManager.kind": {"certManager.issuer": "letsencrypt"},
    "unknown.tls.authoritySecret": {"unknown.tls.existingSecret": "mine"},
    "unknown.tls.certManager.kind": {"unknown.tls.certManager.issuer": "ours"},
    "egress.tls.certManager.kind": {"egress.tls.certManager.issuer": "ours"},
}


@pytest.fixture
def render(helm, tmp_path):
    def run(changes: dict[str, Any] | None = None) -> str:
        values = msgspec.json.decode(msgspec.json.encode(BASE))
        for path, value in (changes or {}).items():
            *parents, last = path.split(".")
            place = values
            for name in parents:
                place = place.setdefault(name, {})
            place[last] = value
        source = tmp_path / "values.json"
        source.write_bytes(msgspec.json.encode(values))
        command = [str(helm), "template", "havn", str(CHART), "-f", str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("path", SHOWN)
def test_every_value_changes_what_is_rendered(render, path):
    beside = BESIDE.get(path, {})
    assert render(beside) != render({**beside, path: SHOWN[path]})


def leaves(schema: dict[str, Any], path: str = "") -> set[str]:
    found: set[str] = set()
    for name, inner in schema.get("properties", {}).items():
        assert inner.get("description"), f"{path}{name} has no description"
        found |= leaves(inner, f"{path}{name}.") if "properties" in inner else {f"{path}{name}"}
    return found


def test_every_value_of_the_schema_is_tried():
    schema = msgspec.json.decode((CHART / "values.schema.json").read_bytes())
    assert leaves(schema) - {"global"} == set(SHOWN)


def test_every_value_is_documented():
    page = (CHART.parents[1] / "docs" / "reference" / "chart-cluster.md").read_text()
    assert [value for value in SHOWN if f"| `{value}` |" not in page] == []


@pytest.mark.parametrize(("given", "secret"), [({}, "havn-public"), ({"tlsSecret": "mine"}, "mine")])
def test_cert_manager_makes_the_certificate_that_traefik_answers_with(render, given, secret):
    objects = list(yaml.safe_load_all(render({"certManager.issuer": "letsencrypt", **given})))
    [certificate] = [each["spec"] for each in objects if each["kind"] == "Certificate"]
    assert certificate["dnsNames"] == ["ttd.apps.tt02.example.no"]
    route = next(
        each for each in objects if (each["kind"], each["metadata"]["name"]) == ("IngressRoute", "havn-unknown")
    )
    assert certificate["secretName"] == route["spec"]["tls"]["secretName"] == secret


def test_only_traefik_reaches_the_pod_that_answers_an_acme_authority_and_only_where_there_may_be_one(render):
    def policies(given):
        objects = yaml.safe_load_all(render(given))
        return {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "NetworkPolicy"}

    assert "havn-acme" not in policies({})
    made = policies({"certManager.issuer": "letsencrypt", "networkPolicy.ingressNamespace": "edge"})["havn-acme"]
    assert made["podSelector"] == {"matchLabels": {"acme.cert-manager.io/http01-solver": "true"}}
    assert made["policyTypes"] == ["Ingress"]
    [rule] = made["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8089}]
    [peer] = rule["from"]
    assert peer["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "edge"}}
    assert peer["podSelector"] == {"matchLabels": {"app": "traefik"}}


@pytest.mark.parametrize(
    ("tls", "secret"),
    [({"egress.tls.existingSecret": "mine"}, "mine"), ({"egress.tls.certManager.issuer": "ours"}, "havn-egress-tls")],
)
def test_a_proxy_with_a_certificate_says_so_to_apps_and_probes(render, tls, secret):
    objects = [each for each in yaml.safe_load_all(render(tls)) if each["metadata"]["name"] == "havn-egress"]
    found = {each["kind"]: each["spec"] for each in objects}
    assert found["Service"]["ports"][0]["appProtocol"] == "https"
    pod = found["Deployment"]["template"]["spec"]
    assert {"name": "tls", "secret": {"secretName": secret, "defaultMode": 0o440}} in pod["volumes"]
    [container] = pod["containers"]
    assert {container[f"{kind}Probe"]["httpGet"]["scheme"] for kind in ("readiness", "liveness")} == {"HTTPS"}


def leads(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Where every route leads."""
    routes = [route for each in objects if each["kind"] == "IngressRoute" for route in each["spec"]["routes"]]
    return [service for route in routes for service in route["services"]]


# What is shut leads to the page as unknown addresses do.
SHUT = {"protection.maintenance": [{"app": "first"}], "protection.blocked": ["192.0.2.7"]}


@pytest.mark.parametrize(
    ("tls", "secret", "authority"),
    [
        ({"existingSecret": "mine", "authoritySecret": "trust"}, "mine", "trust"),
        ({"existingSecret": "mine"}, "mine", "mine"),
        ({"certManager": {"issuer": "ours"}}, "havn-unknown-tls", "havn-unknown-tls"),
    ],
)
def test_the_page_where_no_app_is_speaks_nothing_but_tls_with_a_certificate(render, tls, secret, authority):
    objects = list(yaml.safe_load_all(render({**SHUT, "unknown.tls": tls})))
    named = {each["kind"]: each["spec"] for each in objects if each["metadata"]["name"] == "havn-unknown"}
    pod = named["Deployment"]["template"]["spec"]
    assert {"name": "tls", "secret": {"secretName": secret, "defaultMode": 0o440}} in pod["volumes"]
    [container] = pod["containers"]
    assert {"name": "HAVN_TLS_DIR", "value": "/mnt/tls"} in container["env"]
    assert {container[f"{kind}Probe"]["httpGet"]["scheme"] for kind in ("readiness", "liveness")} == {"HTTPS"}
    assert [port["name"] for port in container["ports"]] == ["https"]
    assert named["NetworkPolicy"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": "https"}]
    assert named["Service"]["ports"] == [{"name": "https", "port": 443, "targetPort": "https", "appProtocol": "https"}]
    assert named["ServersTransport"] == {"serverName": "havn-unknown", "rootCAs": [{"secret": authority}]}
    # As the control plane has it for what it shuts.
    assert leads(objects) == [unknown.leads(secure=True)] * 4
    assert ("Certificate" in named) == ("certManager" in tls)


def test_without_a_certificate_the_page_where_no_app_is_stays_in_clear(render):
    objects = list(yaml.safe_load_all(render(SHUT)))
    named = {each["kind"]: each["spec"] for each in objects if each["metadata"]["name"] == "havn-unknown"}
    assert named["Service"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "appProtocol": "http"}]
    assert leads(objects) == [unknown.leads(secure=False)] * 4
    assert {"ServersTransport", "Certificate"} & set(named) == set()
    pod = named["Deployment"]["template"]["spec"]
    assert "volumes" not in pod
    assert pod["containers"][0]["readinessProbe"]["httpGet"]["scheme"] == "HTTP"
    assert "tls" not in msgspec.json.encode(pod).decode()


def test_helm_finds_nothing_wrong(helm, tmp_path):
    source = tmp_path / "values.json"
    source.write_bytes(msgspec.json.encode(BASE))
    done = subprocess.run(
        [str(helm), "lint", "--strict", str(CHART), "-f", str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
