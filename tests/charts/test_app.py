"""charts/app: what every app gets, and that every value matters."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

pytestmark = pytest.mark.cluster
CHART = Path(__file__).resolve().parents[2] / "charts" / "app"

# Each leaf of values.schema.json, set to something else than its default, and what else must be set for it to show.
SHOWN: dict[str, tuple[Any, dict[str, Any]]] = {
    "org": ("skd", {}),
    "app": ("second", {}),
    "domain": ("example.com", {}),
    "scheme": ("http", {}),
    "environment": ("production", {}),
    "environmentType": ("production", {}),
    "image.repository": ("elsewhere.example.no/x", {}),
    "image.digest": ("sha256:" + "f" * 64, {}),
    "image.pullSecrets": (["registry"], {}),
    "release": ("sha256:" + "e" * 64, {}),
    "replicas": (7, {"autoscaling.enabled": False}),
    "autoscaling.enabled": (False, {}),
    "autoscaling.minReplicas": (3, {}),
    "autoscaling.maxReplicas": (9, {}),
    "autoscaling.targetCPUUtilizationPercentage": (42, {}),
    "autoscaling.behavior": ({"scaleDown": {"stabilizationWindowSeconds": 17}}, {}),
    "resources.requests": ({"cpu": "123m", "memory": "77Mi"}, {}),
    "resources.limits": ({"memory": "999Mi"}, {}),
    "environmentVariables": ({"GREETING": "hei"}, {}),
    "existingSecret": ("first-v3", {}),
    "secretsAsEnvironment": ([{"name": "API_KEY", "key": "api-key"}], {"existingSecret": "first-v3"}),
    "tls.existingSecret": ("first-tls", {"tls.authoritySecret": "trust"}),
    "tls.authoritySecret": ("trust", {}),
    "tls.certManager.issuer": ("internal", {}),
    "tls.certManager.kind": ("Issuer", {"tls.certManager.issuer": "internal"}),
    "dns.address": ("10.96.0.53", {}),
    "dns.clusterDomain": ("cluster.example", {"dns.address": "10.96.0.53"}),
    "platform.url": ("https://platform.example.org", {}),
    "platform.address": ("10.0.0.1", {}),
    "egress.url": ("http://egress:3128", {}),
    "probes.startup": ({"periodSeconds": 9}, {}),
    "probes.readiness": ({"periodSeconds": 9}, {}),
    "probes.liveness": ({"periodSeconds": 9}, {}),
    "terminationGracePeriodSeconds": (99, {}),
    "preStopSeconds": (8, {}),
    "progressDeadlineSeconds": (98, {}),
    "ingress.enabled": (False, {}),
    "ingress.entryPoints": (["http"], {}),
    "ingress.tlsSecret": ("wildcard", {}),
    "ingress.middlewares": (["havn-headers"], {}),
    "networkPolicy.enabled": (False, {}),
    "networkPolicy.ingressNamespace": ("edge", {}),
    "networkPolicy.ingressPodLabels": ({"edge": "yes"}, {}),
    "networkPolicy.platformCidrs": (["10.0.0.1/32"], {}),
    "networkPolicy.platformPort": (8443, {"networkPolicy.platformCidrs": ["10.0.0.1/32"]}),
    "networkPolicy.egressPodLabels": ({"way": "out"}, {}),
    "networkPolicy.egressPort": (3129, {}),
    "podDisruptionBudget.maxUnavailable": (2, {}),
    "podAnnotations": ({"team": "a"}, {}),
    "podLabels": ({"team": "a"}, {}),
}


def kind(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(item for item in objects if item["kind"] == name)


@pytest.mark.parametrize("value", SHOWN)
def test_every_value_changes_what_is_rendered(render_app, value):
    changed, context = SHOWN[value]
    assert render_app(context) != render_app({**context, value: changed})


def leaves(schema: dict[str, Any], path: str = "") -> set[str]:
    found: set[str] = set()
    for name, inner in schema.get("properties", {}).items():
        here = f"{path}{name}"
        assert inner.get("description"), f"{here} has no description"
        deeper = "properties" in inner and not here.startswith(("probes.", "autoscaling.behavior"))
        found |= leaves(inner, f"{here}.") if deeper else {here}
    return found


def test_every_value_of_the_schema_is_described_and_shown_to_matter():
    schema = msgspec.json.decode((CHART / "values.schema.json").read_bytes())
    assert leaves(schema) - {"global"} == set(SHOWN)


def test_every_value_is_documented():
    page = (CHART.parents[1] / "docs" / "reference" / "chart-app.md").read_text()
    assert [value for value in SHOWN if f"| `{value}` |" not in page] == []


def test_an_app_runs_with_as_little_as_it_needs(render_app):
    pod = kind(render_app(), "Deployment")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 3000,
        "fsGroup": 3000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["image"].endswith("@sha256:" + "0123456789abcdef" * 4)
    assert {probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")} == {
        "startup": "/health",
        "readiness": "/health",
        "liveness": "/health",
    }


def test_an_update_never_takes_a_ready_pod_away_first(render_app):
    strategy = kind(render_app(), "Deployment")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_an_apps_pods_are_spread_and_one_at_a_time_goes_when_nodes_are_drained(render_app):
    objects = render_app()
    spec = kind(objects, "Deployment")["spec"]
    [selector] = {tuple(each["labelSelector"]["matchLabels"].items()) for each in spread(spec)}
    assert {each["topologyKey"]: each["whenUnsatisfiable"] for each in spread(spec)} == {
        "kubernetes.io/hostname": "ScheduleAnyway",
        "topology.kubernetes.io/zone": "ScheduleAnyway",
    }
    budget = kind(objects, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    for labels in (dict(selector), budget["selector"]["matchLabels"], spec["selector"]["matchLabels"]):
        assert labels
        assert labels.items() <= spec["template"]["metadata"]["labels"].items()


def test_a_rollout_and_a_drain_have_an_end_and_pods_ask_for_cpu_and_memory(render_app):
    spec = kind(render_app(), "Deployment")["spec"]
    pod = spec["template"]["spec"]
    [container] = pod["containers"]
    assert 0 < spec["progressDeadlineSeconds"] <= 600
    assert 0 < container["lifecycle"]["preStop"]["sleep"]["seconds"] < pod["terminationGracePeriodSeconds"]
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    account = kind(render_app(), "ServiceAccount")
    assert (account["metadata"]["name"], account["automountServiceAccountToken"]) == (pod["serviceAccountName"], False)


def spread(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return list(spec["template"]["spec"]["topologySpreadConstraints"])


def test_helm_finds_nothing_wrong(helm, tmp_path):
    source = tmp_path / "values.json"
    image = {"repository": "registry.example.no/ttd/first", "digest": "sha256:" + "0123456789abcdef" * 4}
    values = {"org": "ttd", "app": "first", "domain": "tt02.example.no", "environment": "tt02", "image": image}
    source.write_bytes(msgspec.json.encode(values))
    done = subprocess.run(
        [str(helm), "lint", "--strict", str(CHART), "-f", str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_autoscaler_owns_the_number_of_pods(render_app):
    assert "replicas" not in kind(render_app(), "Deployment")["spec"]
    assert [item["kind"] for item in render_app({"autoscaling.enabled": False})].count("HorizontalPodAutoscaler") == 0


def test_routes_match_whole_segments_in_both_forms(render_app):
    match = kind(render_app(), "IngressRoute")["spec"]["routes"][0]["match"]
    assert match == (
        "Host(`ttd.apps.tt02.example.no`) && (Path(`/first`) || PathPrefix(`/first/`) || "
        "Path(`/ttd/first`) || PathPrefix(`/ttd/first/`))"
    )


def test_no_object_names_a_namespace_or_holds_a_secret(render_app):
    for item in render_app({"existingSecret": "first-v1"}):
        assert "namespace" not in item["metadata"]
        assert item["kind"] != "Secret"


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("replicas", "many"),
        ("image.digest", "latest"),
        ("org", "Not An Org"),
        ("autoscaling.targetCPUUtilizationPercentage", 500),
        ("unknown", 1),
    ],
)
def test_a_wrong_value_is_refused_by_name(render_app, value, wrong):
    with pytest.raises(render_app.error, match=value.rsplit(".", 1)[-1]):
        render_app({value: wrong})


def test_cert_manager_gives_the_app_its_certificate_where_it_is_used(render_app):
    objects = render_app({"tls.certManager.issuer": "internal"})
    secret = kind(objects, "Certificate")["spec"]["secretName"]
    pod = kind(objects, "Deployment")["spec"]["template"]["spec"]
    assert {volume["name"]: volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume} == {
        "tls": secret,
        "trust": secret,
    }
    assert kind(objects, "ServersTransport")["spec"]["rootCAs"] == [{"secret": secret}]
    assert (
        kind(objects, "Certificate")["spec"]["dnsNames"][0] == kind(objects, "ServersTransport")["spec"]["serverName"]
    )
    assert "Certificate" not in [each["kind"] for each in render_app()]
