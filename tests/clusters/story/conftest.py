"""The stage of the long story: a platform cluster and an owner's two, with a browser that finds them by name."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from havn.contracts.estate import CiToken
from havn.deploy.access import Operator
from havn.deploy.authority import certificates
from havn.deploy.logins.access import CI, new_token
from havn.deploy.logins.store import LoginStore
from havn.deploy.release.signing import SigningKey
from havn.kit import db
from havn.local.kubernetes import LocalKubernetes, addons
from havn.local.kubernetes.network import HOST_ADDRESS

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).with_name("havn")
# For the story itself, which cannot import this module by name.
sys.modules["cluster_story"] = sys.modules[__name__]
ORG, APP = "fjord", "tilskudd"
DOMAINS = {"tt02": "tt02.example.test", "production": "example.test"}
SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
APIS = ("authentication", "authorization", "management", "profile", "register", "storage")


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of something asynchronous, beside the loop that Playwright keeps in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@dataclass
class Story:
    """What the steps share."""

    folder: Path
    platform: LocalKubernetes
    owners: dict[str, LocalKubernetes]
    helm: Path
    platform_image: dict[str, str]
    runtime_image: str
    registry_url: str
    database: tuple[Any, int]
    make_volume: Any
    authority: certificates.Pair
    keys: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    releases: dict[int, str] = field(default_factory=dict)
    page: Page | None = None
    instance: str = ""

    def host(self, environment: str) -> str:
        """Where the org's apps are."""
        return f"{ORG}.apps.{DOMAINS[environment]}"

    def address(self, environment: str) -> str:
        """Of the app."""
        return f"https://{self.host(environment)}/{APP}"

    def certify(self, kubernetes: LocalKubernetes, secret: str, names: list[str]) -> str:
        """Give an ingress a new certificate for these names, signed by the story's authority; returns it."""
        made = certificates.leaf(self.authority, names, datetime.now(UTC), timedelta(days=7))
        body = {
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": secret},
            "stringData": {"tls.crt": made.certificate, "tls.key": made.key},
        }  # fmt: skip
        kubernetes.kubectl("apply", "-f", "-", text=json.dumps(body))
        return made.certificate

    def names(self) -> dict[str, str]:
        """Every public name, and the address that DNS has for it."""
        found = {}
        for environment, domain in DOMAINS.items():
            for name in ("platform", "login", "console", "api"):
                found[f"{name}.{domain}"] = self.platform.address
            found[self.host(environment)] = self.owners[environment].address
        return found

    def havn(self, *arguments: str, ok: bool = True, who: str = "kari") -> str:
        """The command line of somebody whose machine resolves the names and believes the authority.

        Gives its standard output, or, when it is to fail, its standard error.
        """
        machine = 'mount --bind "$0" /etc/hosts; mount --bind "$1" /etc/ssl/certs; shift; exec "$@"'
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "HAVN_STATE": str(self.folder / "state"),
            "HAVN_CONSOLE": f"https://console.{DOMAINS['tt02']}",
            "HAVN_TOKEN": self.tokens[who],
            "HAVN_REGISTRY_URL": self.registry_url,
            "NO_COLOR": "1",
        }
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-ec", machine, self.folder / "hosts", self.folder / "believed", BIN,
             *arguments],
            capture_output=True, text=True, timeout=300, check=False, env=environ, cwd=self.folder,
        )  # fmt: skip
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if ok else done.stderr

    def ask(self, environment: str, path: str) -> int:
        """The status of one GET at the app's ingress; 0 without an answer."""
        url = f"https://{self.owners[environment].address}{path}"
        try:
            return httpx2.get(url, headers={"host": self.host(environment)}, verify=False, trust_env=False).status_code
        except httpx2.TransportError:
            return 0

    def ready(self, environment: str) -> int:
        """How many replicas of the app are ready, as the platform knows."""
        return int(json.loads(self.havn("status", f"{ORG}/{APP}", "--env", environment, "--json"))["ready"])

    def shown_certificate(self, environment: str) -> str:
        """What the ingress shows to whoever asks for the org's host."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection((self.owners[environment].address, 443), timeout=10) as connection,
            context.wrap_socket(connection, server_hostname=self.host(environment)) as tls,
        ):
            return ssl.DER_cert_to_PEM_cert(tls.getpeercert(True) or b"").strip()

    def believed(self, environment: str) -> int:
        """How many authorities apps in the cluster believe."""
        secret = self.owners[environment].kubectl("get", "secret", "havn-trust", "-o", "json")
        return base64.b64decode(json.loads(secret)["data"]["ca.crt"]).count(b"BEGIN CERTIFICATE")

    def rows(self, environment: str, query: str, *arguments: Any) -> list[Any]:
        """Of storage's database."""

        async def fetch() -> list[Any]:
            connection = await db.connect(self.keys[environment]["storage"]["storage-database-url"])
            try:
                return await connection.fetch(query, *arguments)
            finally:
                await connection.close()

        return list(run(fetch()))

    def version(self, number: int, hooks: str = "") -> Path:
        """The example with a version in its title, and perhaps more in its code."""
        source = self.folder / f"{APP}-{number}"
        shutil.copytree(ROOT / "examples" / "apps" / APP, source)
        text = source / "App" / "config" / "texts" / "resource.nb.json"
        whole = json.loads(text.read_text())
        whole["resources"] = [each for each in whole["resources"] if each["id"] != "story.version"]
        whole["resources"].append({"id": "story.version", "value": str(number)})
        text.write_text(json.dumps(whole, ensure_ascii=False))
        code = source / "App" / "logic" / "hooks.py"
        code.write_text(code.read_text() + hooks)
        return source

    def build(self, number: int, hooks: str = "") -> str:
        """A signed release of a version; its digest."""
        source = self.version(number, hooks)
        made = json.loads(self.havn("build", str(source), "--key", str(self.folder / "signing-key.pem"), "--json"))
        self.releases[number] = made["digest"]
        return str(made["digest"])

    def shown_version(self, environment: str) -> str:
        """Which version answers."""
        url = f"https://{self.owners[environment].address}/{APP}/api/v1/texts/nb"
        answer = httpx2.get(url, headers={"host": self.host(environment)}, verify=False, trust_env=False)
        found = [each["value"] for each in answer.json()["resources"] if each["id"] == "story.version"]
        return str(found[0])

    def install_platform(self, environment: str) -> None:
        """A release of charts/platform, as docs/how-to/install-the-platform.md tells."""
        server, port = self.database
        domain, kubectl = DOMAINS[environment], self.platform.kubectl
        for what in ("keys", "contents"):
            self.make_volume(f"{environment}-{what}", self.folder / f"{environment}-{what}")
        out = self.folder / f"{environment}-secrets.json"
        control = ["--control-plane-database", f"postgresql://{HOST_ADDRESS}:{port}/story_control"]
        subprocess.run(
            [BIN, "platform", "secrets", "--environment", environment, "--domain", domain, "--test-sign-in",
             "--database", f"postgresql://{HOST_ADDRESS}:{port}/story_{environment}", "--out", out,
             *(control if environment == "tt02" else [])],
            check=True, capture_output=True,
        )  # fmt: skip
        items = json.loads(out.read_text())["items"]
        prefix = f"{environment}-"
        self.keys[environment] = {
            each["metadata"]["name"].removeprefix(prefix): each["stringData"] for each in items
        }  # fmt: skip
        kubectl("apply", "-f", str(out))
        kubectl(
            "apply", "-f", "-",
            text=json.dumps({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{environment}-database-admin"},
                "stringData": {"database-admin-url": server.url()},
            }),
        )  # fmt: skip
        self.certify(
            self.platform,
            f"{environment}-public",
            [f"{each}.{domain}" for each in ("platform", "login", "console", "api")],
        )
        small = {"replicas": 1, "resources": SMALL, "autoscaling": {"enabled": False}}
        values = {
            "domain": domain,
            "environment": environment,
            # The test sign-in is for test environments alone.
            "environmentType": "test",
            "image": self.platform_image,
            "defaults": small,
            "apis": {each: {"resources": SMALL} for each in APIS},
            "signingKeys": {"existingClaim": f"{environment}-keys"},
            "blobs": {"url": "file:///mnt/blobs", "existingClaim": f"{environment}-contents"},
            "orgs": json.loads((ROOT / "src/havn/local/testdata/orgs.json").read_text())["orgs"],
            "migrations": {"adminSecret": f"{environment}-database-admin", "resources": SMALL},
            "testSignIn": {"enabled": True, "resources": SMALL},
            "unknown": {"replicas": 1, "resources": SMALL},
            "ingress": {"tlsSecret": f"{environment}-public"},
            "networkPolicy": {"databaseCidrs": [f"{HOST_ADDRESS}/32"], "databasePort": port},
        }
        if environment == "tt02":
            values["controlPlane"] = {
                "enabled": True,
                "replicas": 1,
                "resources": SMALL,
                "adminSecret": f"{environment}-database-admin",
                "environmentVariables": {
                    "HAVN_REGISTRY_URL": self.registry_url,
                    "HAVN_RUNTIME_IMAGE": self.runtime_image,
                },
            }
        done = subprocess.run(
            [self.helm, "upgrade", "--install", environment, ROOT / "charts" / "platform", "--values=-", "--wait",
             "--timeout=8m", f"--kubeconfig={self.platform.kubeconfig}"],
            input=json.dumps(values), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + kubectl("get", "pods,jobs", "-o", "wide", check=False)

    def first_token(self, name: str, roles: list[Any]) -> str:
        """A token for everything, as somebody who is named in the settings would make it."""

        async def make() -> str:
            store = await LoginStore.open(self.keys["tt02"]["deploy"]["deploy-database-url"])
            token, kept = new_token(CI)
            now = datetime.now(UTC)
            info = CiToken(
                id=name, name=name, grants=[], created=now, created_by="test", expires=now + timedelta(hours=1),
                last_used=None, revoked=None,
            )  # fmt: skip
            await store.add_token(kept, info, "*", roles, Operator("test", ""), now)
            await store.close()
            return token

        return str(run(make()))


def resolve(kubernetes: LocalKubernetes, names: dict[str, str]) -> None:
    """Put names into the DNS of a cluster, as DNS outside would have them."""
    lines = "".join(f"{address} {name}\n" for name, address in names.items())
    kubernetes.kubectl(
        "-n", "kube-system", "patch", "configmap", "coredns", "--type=merge",
        "-p", json.dumps({"data": {"hosts": lines}}),
    )  # fmt: skip
    kubernetes.kubectl("-n", "kube-system", "rollout", "restart", "deployment/coredns")
    addons.wait_for(kubernetes, "kube-system", "coredns")


@pytest.fixture(scope="module")
def story(
    kubernetes, toolchain, image_registry, database, platform_image, pushed, make_volume, tmp_path_factory
) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("story")
    owners: dict[str, LocalKubernetes] = {}

    def bring_up(environment: str) -> None:
        made = LocalKubernetes.create(f"{environment[0]}o{os.getpid()}", folder / environment, toolchain)
        owners[environment] = made
        made.trust_registry(int(image_registry.url.rpartition(":")[2]))
        addons.load_images(made)
        addons.install_dns(made)
        addons.install_traefik(made)
        addons.wait_for(made, "kube-system", "coredns")
        addons.wait_for(made, "traefik", "traefik")

    with sync_playwright() as playwright:
        try:
            for environment in DOMAINS:
                bring_up(environment)
            authority = certificates.authority("Story", datetime.now(UTC), timedelta(days=30))
            made = Story(
                folder, kubernetes, owners, toolchain.program("helm"), platform_image, pushed, image_registry.url,
                database, make_volume, authority,
            )  # fmt: skip
            prepare(made)
            rules = ", ".join(f"MAP {name} {address}" for name, address in made.names().items())
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium",
                args=[
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-quic",
                    f"--host-resolver-rules={rules}",
                ],
            )
            context = browser.new_context(locale="nb-NO", accept_downloads=True, ignore_https_errors=True)
            context.set_default_timeout(30_000)
            made.page = context.new_page()
            # Three clusters on one small machine answer in their own time.
            expect.set_options(timeout=60_000)
            yield made
            browser.close()
        finally:
            expect.set_options(timeout=5_000)
            for each in owners.values():
                each.destroy()
            for environment in DOMAINS:
                command = [toolchain.program("helm"), "uninstall", environment, "--ignore-not-found"]
                subprocess.run([*command, f"--kubeconfig={kubernetes.kubeconfig}"], check=False, capture_output=True)
            resolve(kubernetes, {})


def prepare(story: Story) -> None:
    """Names, what is believed, and the key that releases are signed with."""
    hosts = "".join(f"{address} {name}\n" for name, address in story.names().items())
    (story.folder / "hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
    believed = story.folder / "believed"
    believed.mkdir()
    authority = story.folder / "authority.pem"
    authority.write_text(story.authority.certificate)
    done = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", authority], capture_output=True, text=True, check=True
    )
    shutil.copy(authority, believed / f"{done.stdout.strip()}.0")
    key = SigningKey.generate()
    (story.folder / "signing-key.pem").write_text(key)
    (story.folder / "signing-key.pub.pem").write_text(SigningKey(key).public())
    platform = {name: address for name, address in story.names().items() if address == story.platform.address}
    resolve(story.platform, {**platform, **{story.host(each): story.owners[each].address for each in DOMAINS}})
    # The one owner's cluster asks DNS for the platform, the other is told by its environment's values.
    resolve(story.owners["tt02"], {f"platform.{DOMAINS['tt02']}": story.platform.address})
