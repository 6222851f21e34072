"""A real Kubernetes under the control plane as a process of its own: added, examined, deployed to, and removed.

The process is killed on the way, and apps get another base image.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import msgspec
import pyrage
import pytest

from havn.deploy.image.model import CONFIG, ImageConfig
from havn.deploy.registry.model import encode
from havn.deploy.registry.remote import RemoteRegistry
from havn.deploy.release.signing import SigningKey
from havn.kit.http import HttpClient
from havn.local.environment import Keys, free_port
from havn.local.kubernetes.network import HOST_ADDRESS
from havn.local.secrets import SecretStore

# A busy machine takes minutes to make the cluster and the image.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).with_name("havn")
DOMAIN = "tt02.example.test"
COMMAND = [sys.executable, "-m", "havn.deploy"]


@dataclass
class Plane:
    """`python -m havn.deploy`, and the command line that speaks to it."""

    url: str
    token: str
    folder: Path
    output: Path
    environ: dict[str, str]
    seen: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Begin to serve, and wait until it does."""
        with self.output.open("ab") as log:
            self.process = subprocess.Popen(COMMAND, env=self.environ, stdout=log, stderr=log, cwd=self.folder)
        _ready(self.url, self.process, self.output)

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        self.process.kill()
        self.process.wait()

    @property
    def caller(self) -> dict[str, str]:
        """The environment of a command line that speaks to it."""
        return {**os.environ, "HAVN_CONSOLE": self.url, "HAVN_TOKEN": self.token, "NO_COLOR": "1"}

    def havn(self, *arguments: str, ok: bool = True, token: str | None = None) -> str:
        """Run a command; its standard output, or, when it is to fail, its standard error."""
        environ = {**self.caller, "HAVN_TOKEN": token or self.token}
        done = subprocess.run(
            [BIN, *arguments], capture_output=True, text=True, timeout=200, check=False, env=environ, cwd=self.folder
        )
        self.seen += [done.stdout, done.stderr]
        assert (done.returncode == 0) == ok, done.stdout + done.stderr + self.output.read_text()[-4000:]
        assert "Traceback" not in done.stderr
        return done.stdout if ok else done.stderr


@pytest.fixture(scope="module")
def plane(postgres, kubernetes, image_registry, pushed, toolchain, tmp_path_factory) -> Iterator[Plane]:
    folder = tmp_path_factory.mktemp("plane")
    port = free_port()
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "deploy-database-url").write_text(postgres.url("control", "havn_deploy", "a-password"))
    (secrets / "deploy-identities").write_text(f"{pyrage.x25519.Identity.generate()}\n")
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "src"),
        "HAVN_SECRETS_DIR": str(secrets),
        "HAVN_PORT": str(port),
        "HAVN_REGISTRY_URL": image_registry.url,
        "HAVN_RUNTIME_IMAGE": pushed,
        "HAVN_HELM": str(toolchain.program("helm")),
        "HAVN_WORK_FOLDER": str(folder / "work"),
        "HAVN_CONSOLE_URL": f"http://console.localhost:{port}",
        "HOME": str(folder),
    }
    made = {**environ, "HAVN_DATABASE_ADMIN_URL": postgres.url()}
    subprocess.run([*COMMAND, "migrate"], env=made, check=True, timeout=60)
    plane = Plane(f"http://127.0.0.1:{port}", _first_token(postgres), folder, folder / "output", environ)
    plane.start()
    yield plane
    plane.process.terminate()
    assert plane.process.wait(30) == 0


def _ready(url: str, process: subprocess.Popen[bytes], output: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, output.read_text()
        try:
            if httpx2.get(f"{url}/health/ready", trust_env=False).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    raise AssertionError(output.read_text())


def _first_token(postgres) -> str:
    """A token that administers everything, as a person who is named in the settings would make it."""
    import asyncio
    from datetime import UTC, datetime, timedelta

    from havn.contracts.estate import CiToken
    from havn.deploy.access import Operator
    from havn.deploy.logins.access import CI, new_token
    from havn.deploy.logins.store import LoginStore

    async def make() -> str:
        store = await LoginStore.open(postgres.url("control", "havn_deploy", "a-password"))
        token, kept = new_token(CI)
        now = datetime.now(UTC)
        info = CiToken(
            id="first", name="first", grants=[], created=now, created_by="test", expires=now + timedelta(hours=1),
            last_used=None, revoked=None,
        )  # fmt: skip
        await store.add_token(kept, info, "*", ["administer"], Operator("test", ""), now)
        await store.close()
        return token

    return asyncio.run(make())


def test_a_cluster_is_added_examined_and_removed(plane, kubernetes, tmp_path):
    plane.havn("org", "add", "ttd", "--name", "Testdepartementet")
    public = tmp_path / "key.pem"
    public.write_text(SigningKey(SigningKey.generate()).public())
    plane.havn("org", "trust", "ttd", str(public))
    plane.havn("environment", "add", "tt02", "--type", "test", "--domain", DOMAIN)
    kubeconfig = json.loads(kubernetes.kubeconfig.read_text())
    secret = kubeconfig["users"][0]["user"]["token"]

    # What cannot work is refused, in a sentence, and nothing is stored.
    wrong = tmp_path / "wrong"
    for change, says in (
        ({"users": [{"name": "admin", "user": {"token": "expired"}}]}, "does not let us"),
        ({"current-context": "nowhere"}, "has no context nowhere"),
        ({"users": [{"name": "admin", "user": {"exec": {"command": "touch"}}}]}, "from a program on your machine"),
    ):
        wrong.write_text(json.dumps({**kubeconfig, **change}))
        said = plane.havn("cluster", "add", "ttd", "--env", "tt02", "--kubeconfig", str(wrong), ok=False)
        assert says in said
        assert len(said.strip().splitlines()) == 1
    away = {**kubeconfig["clusters"][0]["cluster"], "server": "https://127.0.0.1:1"}
    wrong.write_text(json.dumps({**kubeconfig, "clusters": [{"name": kubernetes.layout.name, "cluster": away}]}))
    said = plane.havn("cluster", "add", "ttd", "--env", "tt02", "--kubeconfig", str(wrong), ok=False)
    assert "cannot be reached" in said
    good = ("--kubeconfig", str(kubernetes.kubeconfig), "--ingress", kubernetes.address)
    assert "no org nav" in plane.havn("cluster", "add", "nav", "--env", "tt02", *good, ok=False)
    assert "no environment tt03" in plane.havn("cluster", "add", "ttd", "--env", "tt03", *good, ok=False)
    assert json.loads(plane.havn("cluster", "list", "--json"))["clusters"] == []

    # Apps with a certificate of their own believe no authority of ours, so the API proxy must have one of theirs.
    values = tmp_path / "apps.yaml"
    values.write_text("tls: {existingSecret: mine}\n")
    said = plane.havn("cluster", "add", "ttd", "--env", "tt02", *good, "--values", str(values), ok=False)
    assert "name the API proxy's too" in said

    said = plane.havn("cluster", "add", "ttd", "--env", "tt02", *good)
    assert f"ttd.apps.{DOMAIN}. A {kubernetes.address}" in said
    [cluster] = json.loads(plane.havn("cluster", "list", "--json"))["clusters"]
    assert (cluster["org"], cluster["status"], cluster["apps"]) == ("ttd", "ready", 0)
    assert "havn-unknown" in kubernetes.kubectl("get", "deployments")
    for service in ("havn-egress", "havn-unknown"):
        protocol = ("get", "service", service, "-o", "jsonpath={.spec.ports[0].appProtocol}")
        assert kubernetes.kubectl(*protocol) == "https"
    kubernetes.kubectl("rollout", "status", "deployment/havn-egress", "--timeout=60s")

    found = json.loads(_doctor(plane))
    results = {(each["check"], each["result"]) for each in found}
    told = {each["check"]: each for each in found}
    assert ("network policy", "ok") in results, told["network policy"]
    assert ("version", "ok") in results
    assert ("time", "ok") in results
    assert ("traefik", "ok") in results
    assert ("traefik settings", "ok") in results, told["traefik settings"]
    # Nobody answers for names under .test, one node is few, and the administrator may do anything.
    assert ("dns", "fail") in results
    assert "no node autoscaler" in told["nodes"]["message"]
    assert "everything in every namespace" in told["permissions"]["message"]
    assert all(each["next"] for each in found if each["result"] != "ok")
    assert "havn-doctor" not in kubernetes.kubectl("get", "pods,networkpolicies")

    # The same again with credentials that may do no more than needed.
    narrow = _service_account(kubernetes, tmp_path)
    plane.havn("cluster", "add", "ttd", "--env", "tt02", *narrow, "--ingress", kubernetes.address)
    told = {each["check"]: each for each in json.loads(_doctor(plane))}
    assert told["permissions"]["result"] == "ok", told["permissions"]
    assert told["network policy"]["result"] == "ok", told["network policy"]

    # Nobody without the role comes near it, and no credential is anywhere it should not be.
    looker = plane.havn("ci-token", "create", "look", "--org", "ttd", "--role", "look").strip()
    assert "lacks the role administer for ttd" in plane.havn(
        "cluster", "doctor", "ttd", "--env", "tt02", ok=False, token=looker
    )
    assert json.loads(plane.havn("cluster", "list", "--json", token=looker))["clusters"]
    plane.havn("audit", "--json")
    for text in (*plane.seen, plane.output.read_text()):
        assert secret not in text
        assert (tmp_path / "token").read_text() not in text

    plane.havn("cluster", "remove", "ttd", "--env", "tt02", "--yes")
    assert "havn-unknown" not in kubernetes.kubectl("get", "deployments")
    assert "havn-" not in kubernetes.kubectl("get", "secrets", "-o", "name")
    assert "has no cluster" in plane.havn("cluster", "doctor", "ttd", "--env", "tt02", ok=False)
    work = [path for path in (plane.folder / "work").rglob("*") if path.name in ("config", "authority.pem")]
    assert not work


def _doctor(plane: Plane) -> str:
    environ = {**os.environ, "HAVN_CONSOLE": plane.url, "HAVN_TOKEN": plane.token}
    done = subprocess.run(
        [BIN, "cluster", "doctor", "ttd", "--env", "tt02", "--json"],
        capture_output=True, text=True, timeout=200, check=False, env=environ,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "see what is marked fail" in done.stderr
    return done.stdout


def _service_account(kubernetes, folder: Path) -> tuple[str, ...]:
    """The service account and role of the how-to page, made as it says, and its credentials as arguments."""
    page = (ROOT / "docs" / "how-to" / "add-a-cluster.md").read_text()
    manifests = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert manifests is not None
    kubernetes.kubectl("apply", "-f", "-", text=manifests[1])
    token = kubernetes.kubectl("create", "token", "havn", "--duration=720h").strip()
    (folder / "token").write_text(token)
    authority = json.loads(kubernetes.kubeconfig.read_text())["clusters"][0]["cluster"]["certificate-authority"]
    return (
        "--server", f"https://{kubernetes.address}:6443", "--authority", authority,
        "--token-file", str(folder / "token"),
    )  # fmt: skip


def test_the_api_answers_on_the_clusters_network_only_where_it_is_told_to(plane):
    with pytest.raises(httpx2.TransportError):
        httpx2.get(f"http://{HOST_ADDRESS}:{plane.url.rpartition(':')[2]}/health", trust_env=False, timeout=2)


def test_a_control_plane_killed_while_it_sets_a_cluster_up_is_carried_on_by_the_next(plane, kubernetes):
    plane.havn("org", "add", "ttd")
    plane.havn("environment", "add", "tt02", "--type", "test", "--domain", DOMAIN)
    add = ("cluster", "add", "ttd", "--env", "tt02", "--kubeconfig", str(kubernetes.kubeconfig))
    kubectl = (str(kubernetes.toolchain.program("kube")), "kubectl", f"--kubeconfig={kubernetes.kubeconfig}")
    release = ("secrets", "-l", "owner=helm,name=havn")
    state = ("get", *release, "-o", "jsonpath={.items[*].metadata.labels.status}")
    objects = ("get", "deployments,services,networkpolicies", "-o", "custom-columns=:metadata.name,:metadata.uid")
    before = _actions(plane).count("add_cluster")
    # Nothing becomes ready for now.
    kubernetes.stop("kubelet")
    try:
        watch = [*kubectl, "get", *release, "--watch", "-o", "name"]
        with subprocess.Popen(watch, stdout=subprocess.PIPE) as watching:
            adding = subprocess.Popen(
                [BIN, *add], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=plane.caller
            )
            assert watching.stdout is not None
            assert watching.stdout.readline()
            plane.kill()
            watching.kill()
        # In the middle of Helm, which is gone with it; what it would go on with lies about.
        assert kubernetes.kubectl(*state) == "pending-install"
        assert _with_credentials(plane) == []
        plane.start()
        until = time.monotonic() + 60
        while kubernetes.kubectl(*state) != "deployed":
            assert time.monotonic() < until, plane.output.read_text()[-2000:]
        installed = kubernetes.kubectl(*objects)
        # And while pods are waited for.
        plane.kill()
        plane.start()
        [cluster] = json.loads(plane.havn("cluster", "list", "--json"))["clusters"]
        assert cluster["status"] == "bootstrapping"
    finally:
        kubernetes.start_kubelet()
    out, err = adding.communicate(timeout=200)
    assert adding.returncode == 0, err + plane.output.read_text()[-4000:]
    assert "is ready for apps" in out
    assert kubernetes.kubectl(*objects) == installed
    statuses = kubernetes.kubectl(*state).split()
    assert statuses.count("deployed") == 1
    assert set(statuses) <= {"deployed", "superseded"}
    assert _actions(plane).count("add_cluster") == before + 1
    # Nobody's credentials are left on the disk but those of the process that runs.
    assert {each.name for each in (plane.folder / "work").glob("run-*") if each.is_dir()} == {
        f"run-{plane.process.pid}"
    }
    plane.havn("cluster", "remove", "ttd", "--env", "tt02", "--yes")


def _actions(plane: Plane) -> list[str]:
    """What the audit log says was done."""
    return [each["action"] for each in json.loads(plane.havn("audit", "--json"))]


def _with_credentials(plane: Plane) -> list[str]:
    """Command lines of processes that were told of credentials which the control plane has in use."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        # One that has ended meanwhile has nothing to show.
        with contextlib.suppress(OSError):
            found.append(process.read_bytes().decode(errors="replace"))
    return [each for each in found if str(plane.folder / "work") in each]


@dataclass
class Embedded:
    """`havn up` that may put images into the registry."""

    folder: Path
    port: int
    environ: dict[str, str]

    def havn(self, *arguments: str, ok: bool = True) -> str:
        """Run a command; its standard output, or, when it is to fail, its standard error."""
        done = subprocess.run(
            [BIN, *arguments], capture_output=True, text=True, timeout=200, check=False, env=self.environ,
            cwd=self.folder,
        )  # fmt: skip
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done.stdout if ok else done.stderr


@pytest.fixture(scope="module")
def embedded(image_registry, pushed, toolchain, base_image, kubernetes) -> Iterator[Embedded]:
    """With the cluster of ttd in tt02, whose platform is that of this machine, as another environment has its own."""
    folder, port = Path(tempfile.mkdtemp(prefix="havn-test-")), free_port()
    folder.chmod(0o711)
    environ = {
        **os.environ,
        "HAVN_STATE": str(folder / ".havn"),
        "HAVN_REGISTRY_URL": image_registry.url,
        "HAVN_RUNTIME_IMAGE": pushed,
        "HAVN_HELM": str(toolchain.program("helm")),
        "NO_COLOR": "1",
    }
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [BIN, "up", "--no-examples", "--port", str(port)],
            env=environ, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        assert any(line.startswith("Up in ") for line in process.stdout), (folder / "up.log").read_text()
        made = Embedded(folder, port, environ)
        key = folder / "deploy-key.jwk"
        key.write_text(Keys.open(SecretStore(folder / ".havn" / "secrets")).components["deploy"])
        made.havn("org", "add", "ttd")
        made.havn(
            "environment", "add", "tt02", "--type", "test", "--scheme", "http",
            "--domain", f"havn.localhost:{port}", "--platform", f"http://127.0.0.1:{port}", "--key", str(key),
        )  # fmt: skip
        made.havn("cluster", "add", "ttd", "--env", "tt02", "--kubeconfig", str(kubernetes.kubeconfig))
        yield made
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def test_an_app_is_deployed_to_a_real_cluster_by_the_control_plane_of_havn_up(embedded, kubernetes):
    havn = embedded.havn
    assert "this machine's own environment" in havn(
        "environment", "add", "local", "--type", "test", "--domain", "example.no", ok=False
    )
    havn("new", "ttd/second")
    app = next(path for path in embedded.folder.iterdir() if path.name.endswith("second"))
    # Two who deploy at once take turns.
    with ThreadPoolExecutor(2) as pool:
        deploy = ("deploy", "ttd/second", "--env", "tt02", "--path", str(app), "--json")
        both = [pool.submit(havn, *deploy) for _ in range(2)]
    outcomes = sorted((json.loads(each.result()) for each in both), key=lambda each: each["revision"])
    assert [(each["revision"], each["status"]) for each in outcomes] == [(1, "succeeded"), (2, "succeeded")]
    assert outcomes[1]["finished"] > outcomes[0]["finished"]
    ready = ("get", "deployment", "second", "-o", "jsonpath={.status.readyReplicas}")
    assert kubernetes.kubectl(*ready) == "1"

    # Neither credentials of nobody nor values of a wrong type take the place of those that are there.
    add = ("cluster", "add", "ttd", "--env", "tt02", "--kubeconfig", str(kubernetes.kubeconfig))
    wrong = embedded.folder / "wrong.yaml"
    nobody = [{"name": "admin", "user": {"token": "of nobody"}}]
    wrong.write_text(json.dumps({**json.loads(kubernetes.kubeconfig.read_text()), "users": nobody}))
    assert "does not let us in" in havn(*add[:-1], str(wrong), ok=False)
    wrong.write_text("preStopSeconds: three\n")
    assert "preStopSeconds: this value is not of type" in havn(*add, "--values", str(wrong), ok=False)
    assert json.loads(havn(*deploy))["status"] == "succeeded"
    [seen] = json.loads(havn("ps", "--json"))
    assert (seen["environment"], seen["app"], seen["ready"], seen["problem"]) == ("tt02", "second", 1, None)
    assert "undeploy first" in havn("cluster", "remove", "ttd", "--env", "tt02", "--yes", ok=False)
    assert "has clusters" in havn("environment", "remove", "tt02", "--yes", ok=False)
    havn("undeploy", "ttd/second", "--env", "tt02", "--yes")


APPS = ("alpha", "beta", "gamma")
# What may go wrong with a new base: a library that one of the apps does not know.
PICKY = (
    "import os\n\nif os.environ.get('LIBRARY') == '2':\n    raise RuntimeError('this app does not know library 2')\n"
)


async def another_base(url: str, known: str, variable: str) -> str:
    """A base image that differs from a known one by a variable of its processes, beside it in the registry."""
    repository, _, digest = known.partition("@")
    client = HttpClient(url, name="The registry", timeout=60)
    registry = RemoteRegistry(client)
    _, manifest = await registry.manifest(repository, digest)
    config = msgspec.json.decode(await registry.read(repository, manifest.config), type=ImageConfig)
    told = msgspec.structs.replace(config.config, env=(*config.config.env, variable))
    put = await registry.put(repository, encode(msgspec.structs.replace(config, config=told)), CONFIG)
    made = await registry.put_manifest(repository, msgspec.structs.replace(manifest, config=put))
    await client.close()
    return made.digest


async def test_apps_get_another_base_in_waves_and_one_that_does_not_bear_it_stops_the_roll(
    embedded, kubernetes, image_registry, pushed
):
    havn, old = embedded.havn, pushed.partition("@")[2]
    worse, better = [await another_base(image_registry.url, pushed, f"LIBRARY={number}") for number in (2, 3)]

    def deploy(app: str) -> None:
        folder = embedded.folder / app
        havn("new", f"ttd/{app}", "--into", str(folder))
        if app == "beta":
            (folder / "App" / "logic" / "hooks.py").write_text(PICKY)
        havn("deploy", f"ttd/{app}", "--env", "tt02", "--path", str(folder))

    def seen() -> dict[str, tuple[str, str, int, str | None]]:
        told = {each["app"]: each for each in json.loads(havn("ps", "--json"))}
        return {
            app: (told[app]["release"], told[app]["base"], told[app]["ready"], told[app]["problem"]) for app in APPS
        }

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(deploy, APPS))
    releases = {app: found[0] for app, found in seen().items()}
    roll = ("image", "roll", "--org", "ttd", "--env", "tt02", "--wave", "1", "--base")
    said = havn(*roll, worse, ok=False)
    assert "Stopped with 1 on the new base and 1 not begun. tt02/ttd/beta: " in said
    assert "this app does not know library 2" in said
    bases = {"alpha": worse, "beta": old, "gamma": old}
    assert seen() == {app: (releases[app], bases[app], 1, None) for app in APPS}
    # The cluster says the same, and beta's pod is the one that ran before.
    shown = "jsonpath={.metadata.annotations.havn/base} {.status.readyReplicas} {.status.unavailableReplicas}"
    for app in APPS:
        assert kubernetes.kubectl("get", "deployment", app, "-o", shown).split() == [bases[app], "1"]

    # Another that all of them bear: the roll goes on, over the one that was put on the worse.
    rolled = json.loads(havn(*roll, better, "--json"))
    assert (rolled["done"], rolled["failed"], rolled["left"]) == ([f"tt02/ttd/{app}" for app in APPS], {}, [])
    assert seen() == {app: (releases[app], better, 1, None) for app in APPS}
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda app: havn("undeploy", f"ttd/{app}", "--env", "tt02", "--yes"), APPS))


def test_a_cluster_without_apps_is_taken_away(embedded, kubernetes):
    embedded.havn("cluster", "remove", "ttd", "--env", "tt02", "--yes")
    left = kubernetes.kubectl("get", "deployments", "-o", "name")
    assert not {f"deployment.apps/{name}" for name in ("second", "havn-unknown", *APPS)} & set(left.split())
