"""The charts without the control plane: what they render is what this Kubernetes knows, and Helm alone runs an app."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from havn.platform.secrets import new_key

pytestmark = pytest.mark.cluster
CHARTS = Path(__file__).resolve().parents[2] / "charts"
IMAGE = {"repository": "registry.example.no/havn/image", "digest": "sha256:" + "0123456789abcdef" * 4}
CIDRS = ["203.0.113.9/32"]

# As much switched on as can be, so that every template has something to render.
EVERYTHING: dict[str, dict[str, Any]] = {
    "app": {
        "org": "ttd",
        "app": "first",
        "domain": "tt02.example.no",
        "environment": "tt02",
        "image": {**IMAGE, "pullSecrets": ["registry"]},
        "existingSecret": "first-v1",
        "secretsAsEnvironment": [{"name": "API_KEY", "key": "api-key"}],
        "environmentVariables": {"GREETING": "hei"},
        "tls": {"existingSecret": "first-tls", "authoritySecret": "trust"},
        "dns": {"address": "10.96.0.53"},
        "platform": {"address": "203.0.113.9"},
        "egress": {"url": "https://egress:3128"},
        "ingress": {"tlsSecret": "public", "middlewares": ["havn-headers"]},
        "networkPolicy": {"platformCidrs": CIDRS},
    },
    "cluster": {
        "org": "ttd",
        "domain": "tt02.example.no",
        "image": IMAGE,
        "egress": {"enabled": True},
        "unknown": {"tls": {"existingSecret": "unknown-tls", "authoritySecret": "trust"}},
    },
    "platform": {
        "domain": "tt02.example.no",
        "environment": "tt02",
        "image": IMAGE,
        "testSignIn": {"enabled": True},
        "egress": {"enabled": True},
        "controlPlane": {"enabled": True, "adminSecret": "admin", "networkPolicyCidrs": CIDRS},
        "migrations": {"adminSecret": "admin"},
        "signingKeys": {"existingClaim": "keys"},
        "blobs": {"url": "s3://contents"},
        "networkPolicy": {"databaseCidrs": CIDRS, "databasePort": 5432},
    },
}


def close(schema: Any) -> None:
    """Let no object have members that its schema does not name."""
    if isinstance(schema, list):
        for each in schema:
            close(each)
    elif isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        for each in schema.values():
            close(each)


@pytest.fixture(scope="module")
def schemas(kubernetes, tmp_path_factory) -> Path:
    """A JSON Schema for each kind that the API server takes, those of Traefik's custom resources among them."""
    folder = tmp_path_factory.mktemp("schemas")
    definitions = msgspec.json.decode(kubernetes.kubectl("get", "--raw=/openapi/v2"))["definitions"]
    for name, definition in definitions.items():
        if name.endswith((".Quantity", ".IntOrString")):
            # Said to be text, and taken as a number too.
            definition["type"] = ["string", "number"]
            definition.pop("format", None)
        else:
            close(definition)
    (folder / "definitions.json").write_bytes(msgspec.json.encode({"definitions": definitions}))
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            # kubeconform takes the version for the group of what has none.
            file = folder / f"{kind['group'] or kind['version']}_{kind['version']}_{kind['kind'].lower()}.json"
            file.write_bytes(msgspec.json.encode({"$ref": f"definitions.json#/definitions/{name}"}))
    return folder


@pytest.fixture
def conform(toolchain, schemas):
    """`conform(chart, values)`: what kubeconform says of all that Helm renders."""

    def run(chart: str, values: dict[str, Any], change: str = "", into: str = "") -> subprocess.CompletedProcess[str]:
        rendered = subprocess.run(
            [toolchain.program("helm"), "template", "dry", CHARTS / chart, "--values=-"],
            input=msgspec.json.encode(values).decode(), capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert change in rendered
        where = f"{schemas}/{{{{.Group}}}}_{{{{.ResourceAPIVersion}}}}_{{{{.ResourceKind}}}}.json"
        return subprocess.run(
            [toolchain.program("kubeconform"), "-strict", "-summary", "-schema-location", where, "-"],
            input=rendered.replace(change, into) if change else rendered, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("chart", EVERYTHING)
def test_every_object_of_a_chart_conforms_to_what_the_api_server_takes(conform, chart):
    done = conform(chart, EVERYTHING[chart])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: 0" in done.stdout


@pytest.mark.parametrize(
    ("change", "into"),
    [
        ("maxSkew: 1", "maxSkew: one"),
        ("imagePullPolicy:", "imagePullPolicies:"),
        ("entryPoints:", "entrypoints:"),
        ("maxReplicas: 6", "maxReplicas: six"),
    ],
)
def test_a_field_that_is_misspelt_or_of_another_type_does_not_conform(conform, change, into):
    done = conform("app", EVERYTHING["app"], change, into)
    assert done.returncode != 0
    assert "Invalid: 1" in done.stdout


async def havn(*arguments: str) -> Any:
    command = [Path(sys.executable).with_name("havn"), *arguments]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout)


async def test_an_app_runs_by_helm_alone_with_an_image_and_a_secret_made_by_hand(
    owner, toolchain, image_registry, pushed, tmp_path
):
    release = await owner.release("first")
    images = [
        await havn(
            "image", "app", "ttd/first", f"--base={image_registry.url}/{pushed}",
            f"--push={image_registry.url}/by-hand/first", f"--state={owner.folder}", "--json",
        )
        for _ in range(2)
    ]  # fmt: skip
    assert images[0] == images[1]
    assert images[0]["release"] == release
    (tmp_path / "key").write_text(new_key())
    owner.kubernetes.kubectl(
        "create", "secret", "generic", "by-hand", f"--from-file=platform-access-key={tmp_path / 'key'}"
    )
    values = {
        "org": "ttd",
        "app": "first",
        "domain": "tt02.example.test",
        "environment": "tt02",
        "image": {"repository": f"{image_registry.address}/by-hand/first", "digest": images[0]["digest"]},
        "release": release,
        "existingSecret": "by-hand",
        "autoscaling": {"enabled": False},
        "replicas": 1,
        "platform": {"url": owner.workload("first", release).settings["HAVN_PLATFORM_URL"]},
        **owner.cluster.site.values,
    }

    async def helm(*arguments: str) -> None:
        command = [str(toolchain.program("helm")), f"--kubeconfig={owner.kubernetes.kubeconfig}", *arguments]
        given = msgspec.json.encode(values).decode()
        await asyncio.to_thread(subprocess.run, command, input=given, capture_output=True, text=True, check=True)

    try:
        await helm("install", "first", str(CHARTS / "app"), "--values=-", "--wait", "--timeout=60s")
        # The route follows within a moment of the pod.
        while (reply := await owner.ask("/first/health")).status in (404, 502, 503):
            pass
        assert (reply.status, reply.body) == (200, "Healthy")
        assert (await owner.ask("/firstly/health")).status == 404
    finally:
        await helm("uninstall", "first", "--wait")
        owner.kubernetes.kubectl("delete", "secret", "by-hand")
    kinds = "deployments,services,networkpolicies,ingressroutes,poddisruptionbudgets"
    left = owner.kubernetes.kubectl("get", kinds, "-l", "app.kubernetes.io/name=first", "-o", "name")
    assert left == ""
