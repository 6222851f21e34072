"""charts/platform: what every platform API gets, that releases keep apart, and that every value matters."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from cryptography import x509

from havn.cli.platform_certificates import certificate_secrets
from havn.deploy.authority.release import ReleaseAuthority
from havn.platform import APIS

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "platform"
BASE: dict[str, Any] = {
    "domain": "tt02.example.no:8443",
    "environment": "tt02",
    "image": {"repository": "registry.example.no/havn/platform", "digest": "sha256:" + "a" * 64},
    "signingKeys": {"existingClaim": "keys"},
    "blobs": {"url": "s3://contents"},
}
EGRESS = {"egress.enabled": True}
LOGIN = {"testSignIn.enabled": True}
CONTROL = {"controlPlane.enabled": True}
CLAIM = [{"name": "more", "claim": "more", "mountPath": "/mnt/more"}]
CIDRS = ["10.1.0.0/16"]
# Each leaf of values.schema.json, set to something else than its default, and what else must be set for it to show.
SHOWN: dict[str, tuple[Any, dict[str, Any]]] = {
    "domain": ("example.com", {}),
    "scheme": ("http", {}),
    "environment": ("production", {}),
    "environmentType": ("production", {}),
    "image.repository": ("elsewhere.example.no/x", {}),
    "image.digest": ("sha256:" + "f" * 64, {}),
    "image.pullSecrets": (["registry"], {}),
    "defaults.existingSecret": ("all", {}),
    "defaults.replicas": (7, {"defaults.autoscaling.enabled": False}),
    "defaults.autoscaling.enabled": (False, {}),
    "defaults.autoscaling.minReplicas": (3, {}),
    "defaults.autoscaling.maxReplicas": (9, {}),
    "defaults.autoscaling.targetCPUUtilizationPercentage": (42, {}),
    "defaults.autoscaling.behavior": ({"scaleDown": {"stabilizationWindowSeconds": 17}}, {}),
    "defaults.resources.requests": ({"cpu": "123m", "memory": "77Mi"}, {}),
    "defaults.resources.limits": ({"memory": "999Mi"}, {}),
    "defaults.environmentVariables": ({"HAVN_LOG_LEVEL": "DEBUG"}, {}),
    "defaults.holdAnswers": (True, {}),
    "defaults.prefixes": (["more"], {"apis.authorization.prefixes": []}),
    "defaults.calls": (["storage"], {"apis.probe": {}}),
    "defaults.reaches": ([{"cidrs": CIDRS, "port": 6379}], {}),
    "defaults.claims": (CLAIM, {}),
    "defaults.podAnnotations": ({"team": "a"}, {}),
    "defaults.podLabels": ({"team": "a"}, {}),
    "apis": ({"storage": {"existingSecret": "another"}}, {}),
    "signingKeys.existingClaim": ("other", {}),
    "blobs.url": ("az://container", {}),
    "blobs.existingClaim": ("contents", {}),
    "blobs.existingSecret": ("s3", {}),
    "orgs": ({"ttd": {"name": {"nb": "Testdepartementet"}, "orgnr": "991825827"}}, {}),
    "catalogue.enabled": (False, {}),
    "catalogue.api": ("profile", {}),
    "migrations.enabled": (False, {}),
    "migrations.adminSecret": ("admin", {}),
    "migrations.waitSeconds": (5, {}),
    "migrations.backoffLimit": (0, {}),
    "migrations.resources.requests": ({"cpu": "1", "memory": "1Gi"}, {}),
    "migrations.resources.limits": ({"memory": "2Gi"}, {}),
    "egress.enabled": (True, {}),
    "egress.replicas": (5, EGRESS),
    "egress.policy": ({"authentication": {"version": 1, "allow": [{"host": "idporten.no"}]}}, EGRESS),
    "egress.resources.requests": ({"cpu": "1", "memory": "1Gi"}, EGRESS),
    "egress.resources.limits": ({"memory": "2Gi"}, EGRESS),
    "egress.deniedRanges": (CIDRS, EGRESS),
    "egress.allowedRanges": (CIDRS, EGRESS),
    "egress.nameservers": (["10.0.0.53"], EGRESS),
    "egress.networkPolicyCidrs": (CIDRS, EGRESS),
    "testSignIn.enabled": (True, {}),
    "testSignIn.existingSecret": ("login", LOGIN),
    "testSignIn.resources.requests": ({"cpu": "1", "memory": "1Gi"}, LOGIN),
    "testSignIn.resources.limits": ({"memory": "2Gi"}, LOGIN),
    "controlPlane.enabled": (True, {}),
    "controlPlane.existingSecret": ("deploy", CONTROL),
    "controlPlane.adminSecret": ("admin", CONTROL),
    "controlPlane.replicas": (5, CONTROL),
    "controlPlane.environmentVariables": ({"HAVN_LOG_LEVEL": "DEBUG"}, CONTROL),
    "controlPlane.claims": (CLAIM, CONTROL),
    "controlPlane.resources.requests": ({"cpu": "1", "memory": "1Gi"}, CONTROL),
    "controlPlane.resources.limits": ({"memory": "2Gi"}, CONTROL),
    "controlPlane.networkPolicyCidrs": (CIDRS, CONTROL),
    "unknown.enabled": (False, {}),
    "unknown.replicas": (5, {}),
    "unknown.resources.requests": ({"cpu": "1", "memory": "1Gi"}, {}),
    "unknown.resources.limits": ({"memory": "2Gi"}, {}),
    "probes.startup": ({"periodSeconds": 9}, {}),
    "probes.readiness": ({"periodSeconds": 9}, {}),
    "probes.liveness": ({"periodSeconds": 9}, {}),
    "preStopSeconds": (8, {}),
    "drainSeconds": (99, {}),
    "progressDeadlineSeconds": (98, {}),
    "podDisruptionBudget.maxUnavailable": ("25%", {}),
    "ingress.enabled": (False, {}),
    "ingress.entryPoints": (["http"], {}),
    "ingress.tlsSecret": ("wildcard", {}),
    "ingress.certManager.issuer": ("letsencrypt", {}),
    "ingress.certManager.kind": ("Issuer", {"ingress.certManager.issuer": "letsencrypt"}),
    "ingress.middlewares": (["havn-headers"], {}),
    "tls.enabled": (False, {}),
    "tls.authoritySecret": ("bundle", {}),
    "tls.certManager.issuer": ("ours", {}),
    "tls.certManager.kind": ("Issuer", {"tls.certManager.issuer": "ours"}),
    "networkPolicy.enabled": (False, {}),
    "networkPolicy.ingressNamespace": ("edge", {}),
    "networkPolicy.ingressPodLabels": ({"edge": "yes"}, {}),
    "networkPolicy.metricsFrom": ([{"namespaceSelector": {}}], {}),
    "networkPolicy.databaseCidrs": (CIDRS, {}),
    "networkPolicy.databasePodLabels": ({"app": "postgres"}, {}),
    "networkPolicy.databasePort": (6432, {"networkPolicy.databaseCidrs": CIDRS}),
    "networkPolicy.blobsCidrs": (CIDRS, {}),
    "networkPolicy.blobsPort": (9000, {"networkPolicy.blobsCidrs": CIDRS}),
    "networkPolicy.providerCidrs": (CIDRS, {}),
    "networkPolicy.providerPort": (8443, {"networkPolicy.providerCidrs": CIDRS}),
}
EVERYTHING = {**EGRESS, **LOGIN, **CONTROL, "networkPolicy.databaseCidrs": CIDRS}


class RenderError(Exception):
    """Helm refused; the message is its standard error."""


@pytest.fixture(scope="module")
def render(helm, tmp_path_factory):
    """`render({"path": value, …}, release="tt02")`: the objects, with dotted values changed from a plain platform's."""
    folder = tmp_path_factory.mktemp("values")
    known: dict[bytes, list[dict[str, Any]]] = {}

    def run(changes: dict[str, Any] | None = None, release: str = "tt02") -> list[dict[str, Any]]:
        values = msgspec.json.decode(msgspec.json.encode(BASE))
        for path, value in (changes or {}).items():
            place = values
            *parents, last = path.split(".")
            for name in parents:
                place = place.setdefault(name, {})
            place[last] = value
        data = msgspec.json.encode([release, values])
        if data not in known:
            source = folder / "values.json"
            source.write_bytes(msgspec.json.encode(values))
            command = [str(helm), "template", release, str(CHART), "-f", str(source)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RenderError(done.stderr)
            loaded = yaml.load_all(done.stdout, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            known[data] = [document for document in loaded if document]
        return known[data]

    return run


def of(objects: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    return next(item for item in objects if item["kind"] == kind and name in ("", item["metadata"]["name"]))


def names(objects: list[dict[str, Any]], kind: str) -> set[str]:
    return {item["metadata"]["name"] for item in objects if item["kind"] == kind}


@pytest.mark.parametrize("value", SHOWN)
def test_every_value_changes_what_is_rendered(render, value):
    changed, context = SHOWN[value]
    assert render(context) != render({**context, value: changed})


def leaves(schema: dict[str, Any], path: str = "") -> set[str]:
    found: set[str] = set()
    for name, inner in schema.get("properties", {}).items():
        here = f"{path}{name}"
        assert inner.get("description"), f"{here} has no description"
        deeper = "properties" in inner and not here.startswith(("probes.", "defaults.autoscaling.behavior"))
        found |= leaves(inner, f"{here}.") if deeper else {here}
    return found


def test_every_value_of_the_schema_is_described_and_shown_to_matter():
    schema = msgspec.json.decode((CHART / "values.schema.json").read_bytes())
    assert leaves(schema) - {"global"} == set(SHOWN)


def test_an_api_takes_every_default_as_a_value_of_its_own():
    schema = msgspec.json.decode((CHART / "values.schema.json").read_bytes())
    own, default = schema["definitions"]["api"]["properties"], schema["properties"]["defaults"]["properties"]
    assert own == default


def test_every_value_is_documented():
    page = (ROOT / "docs" / "reference" / "chart-platform.md").read_text()
    assert [value for value in SHOWN if f"| `{value}` |" not in page] == []


def test_the_charts_apis_are_the_platforms():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert {name: tuple(api.get("prefixes", ())) for name, api in values["apis"].items()} == {
        api.name: api.other_prefixes for api in APIS
    }


# What brings a client of another API along.
_THROUGH = {"guard.callers": "authentication", "guard.enforcement": "authorization", "guard.metering": "management"}


@pytest.mark.parametrize("api", [api.name for api in APIS])
def test_an_apis_calls_are_those_that_its_code_makes(api):
    sources = [path.read_text() for path in (ROOT / "src" / "havn" / "platform" / api).rglob("*.py")]
    modules = set(re.findall(r"(?m)^from havn\.((?:clients|guard)\.\w+)", "\n".join(sources)))
    made = {module.removeprefix("clients.") for module in modules if module.startswith("clients.")}
    made |= {called for module, called in _THROUGH.items() if module in modules}
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    # The sign-in and the way out are no APIs; nobody needs a rule to reach itself.
    calls = set(values["apis"][api]["calls"]) - {"login", "egress"}
    assert calls == made & {each.name for each in APIS} - {api}


def test_a_new_api_is_one_entry(render):
    objects = render({"apis.brand": {"calls": ["storage"]}})
    assert {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"} <= {
        item["kind"] for item in objects if item["metadata"]["name"] == "tt02-brand"
    }
    routes = [route["match"] for route in of(objects, "IngressRoute")["spec"]["routes"]]
    assert "Host(`platform.tt02.example.no`) && PathPrefix(`/brand/`)" in routes
    arguments = of(objects, "Job", "tt02-migrations")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "brand" in arguments


def test_answers_are_held_for_their_record_but_not_streams_and_large_files(render):
    objects = render({"ingress.middlewares": ["own"]})
    routes = {
        route["match"]: [each["name"] for each in route["middlewares"]]
        for route in of(objects, "IngressRoute")["spec"]["routes"]
    }
    # The one that takes fields away stands outside the one that holds.
    held = ["tt02-record-fields", "tt02-hold", "own"]
    wanted = {
        "authentication": held, "register": held, "profile": held,
        "authorization": ["own"], "storage": ["own"], "management": ["own"],
    }  # fmt: skip
    for api, middlewares in wanted.items():
        assert routes[f"Host(`platform.tt02.example.no`) && PathPrefix(`/{api}/`)"] == middlewares
    assert {"tt02-record-fields", "tt02-hold"} <= names(objects, "Middleware")


def test_every_pod_runs_with_as_little_as_it_needs(render):
    objects = render(EVERYTHING)
    for item in (each for each in objects if each["kind"] in ("Deployment", "Job")):
        pod = item["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 3000,
            "fsGroup": 3000,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        container = pod["containers"][0]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert container["image"].endswith("@sha256:" + "a" * 64)


def test_what_the_control_plane_keeps_for_a_while_stays_in_memory(render):
    volumes = of(render(CONTROL), "Deployment", "tt02-deploy")["spec"]["template"]["spec"]["volumes"]
    assert volumes[0]["emptyDir"]["medium"] == "Memory"


def test_whoever_works_with_the_control_plane_signs_in_as_a_test_person_unless_another_provider_is_named(render):
    def settings(**values: Any) -> dict[str, str]:
        container = of(render({**CONTROL, **values}), "Deployment", "tt02-deploy")["spec"]["template"]["spec"]
        found = {each["name"]: each["value"] for each in container["containers"][0]["env"]}
        return {name: value for name, value in found.items() if name.startswith("HAVN_OIDC")}

    assert settings() == {}
    assert settings(**LOGIN) == {
        "HAVN_OIDC_ISSUER": "https://login.tt02.example.no:8443",
        "HAVN_OIDC_CLIENT_ID": "havn-console",
        "HAVN_OIDC_ADDRESS": "https://tt02-login",
    }
    own = {"HAVN_OIDC_ISSUER": "https://id.example.no", "HAVN_OIDC_CLIENT_ID": "us"}
    assert settings(**LOGIN, **{"controlPlane.environmentVariables": own}) == own


def test_an_update_never_takes_a_ready_pod_away_first(render):
    for api in APIS:
        strategy = of(render(), "Deployment", f"tt02-{api.name}")["spec"]["strategy"]
        assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_the_pod_has_time_to_drain_before_it_is_killed(render):
    pod = of(render({"preStopSeconds": 4, "drainSeconds": 50}), "Deployment", "tt02-storage")["spec"]["template"][
        "spec"
    ]
    assert pod["terminationGracePeriodSeconds"] > 4 + 50


def test_two_releases_in_one_namespace_share_no_name_and_select_no_pod_of_each_other(render):
    one, two = render({**EVERYTHING}, "tt02"), render({**EVERYTHING, "environment": "at22"}, "at22")
    key = [{(item["kind"], item["metadata"]["name"]) for item in objects} for objects in (one, two)]
    assert key[0] & key[1] == set()
    for objects, release in ((one, "tt02"), (two, "at22")):
        for item in objects:
            spec = item.get("spec", {})
            selectors = [spec.get("podSelector"), spec.get("selector")]
            for selector in filter(None, selectors):
                labels = selector.get("matchLabels", selector)
                assert labels["app.kubernetes.io/instance"] == release
        assert all("namespace" not in item["metadata"] for item in objects)


def test_no_secret_stands_in_what_helm_keeps_and_each_api_mounts_its_own_only(render):
    objects = render(EVERYTHING)
    assert names(objects, "Secret") == set()
    for api in APIS:
        volumes = of(objects, "Deployment", f"tt02-{api.name}")["spec"]["template"]["spec"]["volumes"]
        assert [each["secret"]["secretName"] for each in volumes if "secret" in each] == [
            f"tt02-{api.name}",
            f"tt02-{api.name}-tls",
            "tt02-trust",
        ]


def test_every_part_speaks_tls_with_its_own_certificate_and_is_known_by_the_names_it_is_called_by(render):
    objects = render(EVERYTHING)
    components = [*(api.name for api in APIS), "deploy", "egress", "login", "unknown"]
    for component in components:
        pod = of(objects, "Deployment", f"tt02-{component}")["spec"]["template"]["spec"]
        container = pod["containers"][0]
        told = {each["name"]: each["value"] for each in container["env"]}
        assert (told["HAVN_TLS_DIR"], told["HAVN_TRUST_FILE"]) == ("/mnt/tls", "/mnt/trust/ca.crt")
        assert told["HAVN_PLATFORM_URL"] == "https://tt02-{api}"
        assert told.get("HAVN_EGRESS_URL", "https://").startswith("https://")
        assert {container[f"{kind}Probe"]["httpGet"]["scheme"] for kind in ("startup", "readiness", "liveness")} == {
            "HTTPS"
        }
        # A file that is mounted alone is never renewed.
        mounts = [each for each in container["volumeMounts"] if each["name"] in ("tls", "trust")]
        assert [set(each) for each in mounts] == [{"name", "mountPath", "readOnly"}] * 2
    ports = {
        item["metadata"]["name"]: item["spec"]["ports"][0]["port"] for item in objects if item["kind"] == "Service"
    }
    assert ports.pop("tt02-egress") == 3128
    assert set(ports.values()) == {443}
    for route in (each for item in objects if item["kind"] == "IngressRoute" for each in item["spec"]["routes"]):
        (backend,) = route["services"]
        assert (backend["port"], backend["scheme"]) == (443, "https")
        transport = of(objects, "ServersTransport", backend["serversTransport"])["spec"]
        assert transport == {"serverName": backend["name"], "rootCAs": [{"secret": "tt02-trust"}]}


def test_cert_manager_makes_a_certificate_for_every_name_that_a_part_is_called_by(render):
    objects = render({**EVERYTHING, "tls.certManager.issuer": "ours"})
    certificates = {item["metadata"]["name"]: item["spec"] for item in objects if item["kind"] == "Certificate"}
    assert set(certificates) == names(objects, "Deployment")
    called = [name for each in certificates.values() for name in each["dnsNames"]]
    assert sorted(called) == sorted(names(objects, "Service"))
    for name, spec in certificates.items():
        volumes = of(objects, "Deployment", name)["spec"]["template"]["spec"]["volumes"]
        mounted = {each["name"]: each["secret"]["secretName"] for each in volumes if "secret" in each}
        assert mounted["tls"] == mounted["trust"] == spec["secretName"]


@pytest.mark.parametrize(("given", "secret"), [({}, "tt02-public"), ({"ingress.tlsSecret": "mine"}, "mine")])
def test_cert_manager_makes_the_public_certificate_for_every_host_that_is_routed(render, given, secret):
    objects = render({**EVERYTHING, "ingress.certManager.issuer": "letsencrypt", **given})
    [certificate] = [item["spec"] for item in objects if item["kind"] == "Certificate"]
    route = of(objects, "IngressRoute")["spec"]
    hosts = {host for each in route["routes"] for host in re.findall(r"Host\(`([^`]+)`\)", each["match"])}
    assert set(certificate["dnsNames"]) == hosts
    assert certificate["secretName"] == route["tls"]["secretName"] == secret


def test_what_havn_makes_are_the_secrets_that_the_chart_mounts_for_the_names_that_it_calls(render):
    now = datetime.now(UTC)
    made = {
        item["metadata"]["name"]: item["stringData"]
        for item in certificate_secrets("tt02", ReleaseAuthority.new("tt02", now), now)
    }
    objects = render({**EVERYTHING, "tls.certManager.issuer": "ours"})
    for spec in (item["spec"] for item in objects if item["kind"] == "Certificate"):
        found = x509.load_pem_x509_certificate(made.pop(spec["secretName"])["tls.crt"].encode())
        known = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert known.get_values_for_type(x509.DNSName) == spec["dnsNames"]
    # No pod ever sees the authority's key.
    mounted = [
        volume["secret"]["secretName"]
        for item in render(EVERYTHING)
        if item["kind"] == "Deployment"
        for volume in item["spec"]["template"]["spec"]["volumes"]
        if "secret" in volume
    ]
    assert set(made) == {"tt02-authority", "tt02-trust"}
    assert "tt02-trust" in mounted
    assert "tt02-authority" not in mounted


def test_without_tls_nothing_of_it_is_left(render):
    objects = render({**EVERYTHING, "tls.enabled": False})
    assert names(objects, "ServersTransport") == set()
    text = msgspec.json.encode(objects).decode()
    assert not re.search(r"-tls|-trust|/mnt/tls|HTTPS|https://tt02-", text)


def test_hosts_are_routed_only_when_something_answers_there(render):
    def hosts(changes: dict[str, Any]) -> set[str]:
        routes = of(render(changes), "IngressRoute")["spec"]["routes"]
        return {route["match"].split("`")[1].split(".")[0] for route in routes}

    assert hosts({}) == {"platform", "api"}
    assert hosts({"catalogue.enabled": False}) == {"platform"}
    assert hosts(EVERYTHING) == {"platform", "api", "login", "console"}


def test_unknown_hosts_right_below_a_releases_domain_are_answered_by_it_and_by_no_other(render):
    releases = {"tt02": "tt02.example.no", "at22": "at22.example.no:8443", "prod": "example.no"}
    answers: dict[str, set[str]] = {}
    for release, domain in releases.items():
        spec = of(render({"domain": domain}, release), "IngressRoute", f"{release}-havn-unknown")["spec"]
        [route] = spec["routes"]
        assert (route["priority"], spec["tls"], spec["entryPoints"]) == (2, {}, ["https"])
        assert route["services"][0]["name"] == f"{release}-unknown"
        found = re.fullmatch(r"HostRegexp\(`(.+)`\)", route["match"])
        assert found is not None
        for host in (
            "platform.tt02.example.no", "nowhere.tt02.example.no", "platform.at22.example.no", "nowhere.example.no",
            "ttd.apps.tt02.example.no", "platform.tt02xexample.no", "platform.tt02.example.no.elsewhere.no",
            "example.no",
        ):  # fmt: skip
            answers.setdefault(host, set())
            if re.search(found[1], host):
                answers[host].add(release)
    assert answers == {
        "platform.tt02.example.no": {"tt02"}, "nowhere.tt02.example.no": {"tt02"},
        "platform.at22.example.no": {"at22"}, "nowhere.example.no": {"prod"},
        "ttd.apps.tt02.example.no": set(), "platform.tt02xexample.no": set(),
        "platform.tt02.example.no.elsewhere.no": set(), "example.no": set(),
    }  # fmt: skip


def test_what_answers_where_nothing_is_is_reached_by_traefik_alone_and_reaches_nobody(render):
    policy = of(render(EVERYTHING), "NetworkPolicy", "tt02-unknown")["spec"]
    [rule] = policy["ingress"]
    assert "namespaceSelector" in rule["from"][0]
    assert (policy["policyTypes"], policy["egress"]) == (["Ingress", "Egress"], [])
    pod = of(render(), "Deployment", "tt02-unknown")["spec"]["template"]["spec"]
    assert [each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each] == [
        "tt02-unknown-tls", "tt02-trust",
    ]  # fmt: skip


def test_the_test_sign_in_is_refused_in_production(render):
    with pytest.raises(RenderError, match="environmentType test only"):
        render({**LOGIN, "environmentType": "production"})


def test_an_api_reaches_those_it_asks_the_database_and_names_and_nothing_else(render):
    policy = of(render(EVERYTHING), "NetworkPolicy", "tt02-profile")["spec"]
    called = [
        rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        for rule in policy["egress"]
        if "namespaceSelector" not in rule["to"][0] and "podSelector" in rule["to"][0]
    ]
    assert called == ["authentication", "register", "management"]
    assert [rule["to"] for rule in policy["egress"] if "ipBlock" in rule["to"][0]] == [
        [{"ipBlock": {"cidr": CIDRS[0]}}]
    ]
    callers = {
        rule["from"][0]["podSelector"]["matchLabels"].get("app.kubernetes.io/component") for rule in policy["ingress"]
    }
    assert callers == {None, "authentication", "deploy"}


def test_whoever_is_called_lets_its_callers_in(render):
    objects = render(EVERYTHING)
    policies = {item["metadata"]["name"]: item["spec"] for item in objects if item["kind"] == "NetworkPolicy"}

    def peers(name: str, way: str, end: str) -> set[str]:
        return {
            peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
            for rule in policies[name].get(way, [])
            for peer in rule[end]
            if "app.kubernetes.io/component" in peer.get("podSelector", {}).get("matchLabels", {})
        }

    asked = {(name, to) for name in policies for to in peers(name, "egress", "to")}
    let_in = {
        (f"tt02-{caller}", name.removeprefix("tt02-")) for name in policies for caller in peers(name, "ingress", "from")
    }
    assert asked == let_in


def test_migrations_run_before_the_new_pods_with_the_addresses_of_the_databases_only(render):
    job = of(render({"migrations.adminSecret": "admin"}), "Job", "tt02-migrations")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    sources = job["spec"]["template"]["spec"]["volumes"][1]["projected"]["sources"]
    assert {item["key"] for source in sources for item in source["secret"]["items"]} == {
        *(f"{api.name}-database-url" for api in APIS),
        "database-admin-url",
    }


@pytest.mark.parametrize(
    ("value", "wrong"),
    [("image.digest", "latest"), ("preStopSeconds", "long"), ("apis.storage", {"unknown": 1}), ("unknown", 1)],
)
def test_a_wrong_value_is_refused_by_name(render, value, wrong):
    with pytest.raises(RenderError, match=value.split(".")[0]):
        render({value: wrong})


def test_what_must_be_said_is_asked_for(render):
    with pytest.raises(RenderError, match="the claim that keeps the signing keys"):
        render({"signingKeys": {}})
    with pytest.raises(RenderError, match="where file contents are kept"):
        render({"blobs": {}})


def test_a_release_name_that_is_too_long_is_refused(render):
    with pytest.raises(RenderError, match="choose a shorter release name"):
        render(release="a" * 50)


def test_helm_finds_nothing_wrong(helm, tmp_path):
    source = tmp_path / "values.json"
    source.write_bytes(msgspec.json.encode(BASE))
    done = subprocess.run(
        [str(helm), "lint", "--strict", str(CHART), "-f", str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
