"""Orgs, environments and clusters as rows: what is refused, what is kept sealed, and a cluster that hangs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyrage
import pytest
from starlette.requests import Request

from havn.clusters.kubernetes.credentials import Credentials
from havn.clusters.port import ClusterError
from havn.contracts.estate import ClusterRequest, EnvironmentRequest, Finding
from havn.deploy.author import Author
from havn.deploy.authority import certificates
from havn.deploy.environments import Environment, FixedEnvironments
from havn.deploy.estate.clusters import Tools
from havn.deploy.estate.environments import EstateEnvironments
from havn.deploy.estate.model import ClusterRow, EnvironmentRow, cluster_place, dns_records
from havn.deploy.estate.store import EstateStore
from havn.deploy.estate.tools import NoImages
from havn.deploy.estate.wiring import Estate
from havn.deploy.publishing import Publisher
from havn.deploy.sealing import FileIdentities, Sealer
from havn.deploy.store import Store, Target, Wanted
from havn.kit import db
from havn.kit.problem import Problem
from havn.local.environment import free_port, new_key

BODY = {"type": "test", "domain": "tt02.example.no"}
SIGNER = certificates.authority("Ours", datetime.now(UTC), timedelta(days=1)).certificate
ISSUER = {"certManager": {"issuer": "internal"}}


@pytest.fixture
async def admin(plane):
    client = plane.client(await plane.admin())
    await client.put_org("ttd", "Testdepartementet")
    await client.put_environment("tt02", EnvironmentRequest(type="test", domain="tt02.example.no"))
    return client


def request(**more: Any) -> ClusterRequest:
    return ClusterRequest(
        **{"org": "ttd", "environment": "tt02", "server": "https://127.0.0.1:1", "token": "t", **more}
    )


async def test_an_environment_is_shown_without_its_key_and_keeps_it_when_other_facts_change(plane, admin):
    key = new_key()
    asked = EnvironmentRequest(type="test", domain="tt02.example.no", deploy_key=key)
    assert "deploy_key" not in repr(asked)
    assert (await admin.put_environment("tt02", asked)).has_key
    changed = EnvironmentRequest(type="test", domain="tt02.example.no", approval="another")
    assert (await admin.put_environment("tt02", changed)).has_key
    secret = msgspec.json.decode(key)["d"]
    assert secret not in (await plane.call("GET", "/environments/tt02", await plane.admin())).text
    [listed] = await admin.environments()
    assert (listed.name, listed.approval) == ("tt02", "another")
    connection = await db.connect(plane.url)
    for table in ("environment", "audit"):
        for row in await connection.fetch(f"select t::text as line from deploy.{table} t"):
            assert secret not in row["line"]
    await connection.close()


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("TT02", BODY, "An environment's name"),
        ("tt02", {**BODY, "domain": "http://x"}, "The domain is a host name"),
        ("tt02", {**BODY, "platformUrl": "file:///etc"}, "The platform's address"),
        ("tt02", {**BODY, "settings": {"a b": "c"}}, "Settings are environment variables"),
        ("tt02", {**BODY, "deployKey": "secret"}, "private P-256 key"),
        ("tt02", {**BODY, "appValues": {"platform": {"authorities": "mine"}}}, "no certificate in PEM form"),
        ("tt02", {**BODY, "appValues": {"platform": {"authorities": SIGNER}, "tls": ISSUER}}, "tls.authoritySecret"),
        ("tt02", {**BODY, "type": "prod"}, "not valid"),
        ("tt02", {**BODY, "approval": "boss"}, "not valid"),
    ],
)
async def test_an_environment_that_cannot_be_is_refused_in_a_sentence(plane, name, body, says):
    answer = await plane.call("PUT", f"/environments/{name}", await plane.admin(), body)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]


async def test_an_org_and_its_keys(plane, admin):
    from havn.deploy.release.signing import SigningKey

    public = SigningKey(SigningKey.generate()).public()
    await admin.add_key("ttd", public)
    await admin.add_key("ttd", public)
    [org] = await admin.orgs()
    assert (org.org, org.name, len(org.keys)) == ("ttd", "Testdepartementet", 1)
    for key, status in (("not a key", 400), (public.replace("M", "N", 1), 400)):
        with pytest.raises(Problem) as problem:
            await admin.add_key("ttd", key)
        assert problem.value.status == status
    with pytest.raises(Problem) as problem:
        await admin.add_key("nav", public)
    assert problem.value.code == "unknown_org"
    await admin.remove_key("ttd", org.keys[0].fingerprint)
    assert (await admin.orgs())[0].keys == []


async def test_values_of_an_environment_that_apps_cannot_have_are_refused_by_name(plane, admin):
    values = {"probes": {"startup": {"periodSeconds": "secret"}}, **{f"none{number}": 1 for number in range(9)}}
    answer = await plane.call("PUT", "/environments/tt02", await plane.admin(), {**BODY, "appValues": values})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_values")
    said = answer.json()["detail"]
    assert 'probes.startup.periodSeconds: this value is not of type "integer"' in said
    assert "secret" not in said


async def test_a_cluster_whose_apps_would_not_believe_the_platform_is_refused(plane, admin):
    await plane.call(
        "PUT", "/environments/tt02", await plane.admin(), {**BODY, "appValues": {"platform": {"authorities": SIGNER}}}
    )
    for tls, says in (
        (ISSUER, "do not believe platform.authorities"),
        ({**ISSUER, "authoritySecret": "both"}, "reached"),
    ):
        with pytest.raises(Problem) as problem:
            await admin.add_cluster(request(app_values={"tls": tls}))
        assert says in str(problem.value.detail)


@pytest.mark.parametrize(
    ("more", "status", "says"),
    [
        ({"org": "nav"}, 404, "no org nav"),
        ({"environment": "tt03"}, 404, "no environment tt03"),
        ({}, 400, "cannot be reached"),
        ({"server": "http://127.0.0.1:1"}, 400, "must be https"),
        (
            {"app_values": {"preStopSeconds": "three"}},
            400,
            "take these values: preStopSeconds: this value is not of ty",
        ),
        ({"base_values": {"dns": {"x": 1}}}, 400, "charts/cluster does not take these values: dns: Additional"),
        ({"server": "https://user@127.0.0.1"}, 400, "must be https"),
        ({"token": None}, 400, "with a token, or with a client certificate"),
        ({"token": None, "certificate": "x"}, 400, "belong together"),
        ({"token": "a\nb"}, 400, "characters that no token has"),
        ({"authority": "x"}, 400, "not a PEM certificate"),
        ({"namespace": "../kube-system"}, 400, "not one"),
        ({"ingress": "x y"}, 400, "not one"),
    ],
)
async def test_a_cluster_that_cannot_be_used_is_refused_in_a_sentence_and_not_stored(plane, admin, more, status, says):
    with pytest.raises(Problem) as problem:
        await admin.add_cluster(request(**more))
    assert problem.value.status == status
    assert says in str(problem.value.detail)
    assert "\n" not in str(problem.value.detail)
    assert await admin.clusters() == []


def test_the_records_that_are_wanted():
    assert [(r.name, r.type, r.value) for r in dns_records("ttd", "x.no:8000", "203.0.113.7")] == [
        ("ttd.apps.x.no.", "A", "203.0.113.7")
    ]
    assert dns_records("ttd", "x.no", "2001:db8::1")[0].type == "AAAA"
    assert dns_records("ttd", "x.no", "lb.example.net")[0].value == "lb.example.net."
    assert dns_records("ttd", "x.no", "") == []


class Silence:
    """An address that takes connections and never says a word."""

    def __init__(self) -> None:
        self.asked = 0
        self.heard = asyncio.Event()
        self._holding: set[asyncio.Task[Any]] = set()

    async def listen(self) -> asyncio.Server:
        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._holding.add(task)
            self.asked += 1
            self.heard.set()
            try:
                await reader.read(-1)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

        return await asyncio.start_server(hold, "127.0.0.1", 0)

    async def end(self, server: asyncio.Server) -> None:
        server.close()
        for task in self._holding:
            task.cancel()
        await asyncio.gather(*self._holding, return_exceptions=True)
        await server.wait_closed()


@pytest.fixture
async def estate(make_database, tmp_path: Path) -> AsyncIterator[tuple[Estate, Sealer, str, Path]]:
    identity = tmp_path / "identity"
    identity.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    url = await make_database("deploy")
    identities = FileIdentities(identity)
    tools = Tools(helm=None, charts=tmp_path, images=lambda address: NoImages(), run=tmp_path / "run")
    made = Estate(await EstateStore.open(url), identities=identities, tools=tools, clock=lambda: datetime.now(UTC))
    yield made, Sealer(identities), url, identity
    await made.close()
    assert not (tmp_path / "run").exists()


async def stored(estate: Estate, sealer: Sealer, org: str, server: str, environment: str = "tt02") -> None:
    """A cluster that is ready, as its rows say."""
    author = Author("test", "", datetime.now(UTC))
    store = estate.store
    await store.put_org(org, org, author)
    await store.put_environment(
        EnvironmentRow(
            name=environment, type="test", scheme="https", domain="tt02.example.no", platform_url="", approval="none",
            settings={}, app_values={}, registry="", deploy_key=None, version=0, changed=author.now,
        ),
        author,
    )  # fmt: skip
    text = msgspec.json.encode(Credentials(server=server, token="planted-5f2a")).decode()
    row = ClusterRow(
        org=org, environment=environment, server=server, namespace="default",
        credentials=sealer.seal(cluster_place(org, environment), text), ingress="", front=False, app_values={},
        base_values={}, status="bootstrapping", reason=None, version=0, added=author.now, added_by="test",
    )  # fmt: skip
    await store.add_cluster(row, author)
    found = await store.cluster(org, environment)
    assert found is not None
    await store.set_cluster(org, environment, found.version, "ready")


async def test_a_cluster_is_connected_to_once_and_anew_when_its_row_changes(estate):
    made, sealer, _, _ = estate
    with pytest.raises(ClusterError, match="ttd has no cluster in tt02: add it"):
        await made.clusters.find("ttd", "tt02")
    await stored(made, sealer, "ttd", "https://127.0.0.1:1")
    first = await made.clusters.find("ttd", "tt02")
    assert await made.clusters.find("ttd", "tt02") is first
    await stored(made, sealer, "ttd", "https://127.0.0.1:2")
    second = await made.clusters.find("ttd", "tt02")
    assert second is not first
    config = json.loads(second.kube.kubeconfig.read_text())
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:2"
    assert second.kube.kubeconfig.stat().st_mode & 0o077 == 0
    await made.store.remove_cluster("ttd", "tt02", Author("test", "", datetime.now(UTC)))
    await made.clusters.forget("ttd", "tt02")
    assert not second.kube.kubeconfig.exists()
    assert not first.kube.kubeconfig.exists()
    with pytest.raises(ClusterError, match="no cluster"):
        await made.clusters.find("ttd", "tt02")


async def test_apps_believe_the_authorities_of_the_environments_values_which_are_no_value_of_the_chart(estate):
    made, sealer, _, _ = estate
    await stored(made, sealer, "ttd", "https://127.0.0.1:1")
    row = await made.store.environment("tt02")
    signer = certificates.authority("Ours", datetime.now(UTC), timedelta(days=1)).certificate
    values = {"platform": {"authorities": signer, "address": "10.1.2.3"}}
    author = Author("test", "", datetime.now(UTC))
    await made.store.put_environment(msgspec.structs.replace(row, app_values=values), author)
    cluster_row = await made.store.cluster("ttd", "tt02")
    await made.store.set_cluster("ttd", "tt02", cluster_row.version, "ready")
    cluster = await made.clusters.find("ttd", "tt02")
    assert cluster.site.values["platform"] == {"address": "10.1.2.3"}
    assert signer.strip() in await cluster._issuer.bundle()


async def test_the_doctor_tells_of_the_certificate_that_the_control_plane_itself_serves_with(estate, tmp_path):
    kept, sealer, url, identity = estate
    await stored(kept, sealer, "ttd", "https://127.0.0.1:1")
    tools = Tools(helm=None, charts=tmp_path, images=lambda address: NoImages(), run=tmp_path / "other")
    made = Estate(
        await EstateStore.open(url), identities=FileIdentities(identity), tools=tools,
        clock=lambda: datetime.now(UTC), own_certificate=tmp_path / "tls",
    )  # fmt: skip
    [doctor] = [each.handler for each in made.endpoints() if each.path.endswith("/doctor")]
    place = {"org": "ttd", "environment": "tt02"}
    answer = await doctor(Request({"type": "http", "path_params": place, "query_string": b"", "headers": []}))
    lines = [msgspec.json.decode(each, type=Finding) async for each in answer.body_iterator]
    assert [(each.check, each.result) for each in lines][-1] == ("platform", "warning")
    assert str(tmp_path / "tls") in lines[-1].message
    await made.close()


async def test_a_cluster_that_is_not_ready_says_so(estate):
    made, sealer, _, _ = estate
    await stored(made, sealer, "ttd", "https://127.0.0.1:1")
    row = await made.store.cluster("ttd", "tt02")
    await made.store.set_cluster("ttd", "tt02", row.version, "failed", reason="Helm is away.")
    with pytest.raises(ClusterError, match=r"could not be set up: Helm is away\."):
        await made.clusters.find("ttd", "tt02")
    # A job that comes late with the outcome of an older version changes nothing.
    await made.store.set_cluster("ttd", "tt02", row.version, "ready")
    assert (await made.store.cluster("ttd", "tt02")).status == "failed"


async def test_a_new_domain_has_every_cluster_set_up_anew_and_other_facts_do_not(estate):
    made, sealer, url, _ = estate
    await stored(made, sealer, "ttd", "https://127.0.0.1:1")
    author = Author("test", "", datetime.now(UTC))
    row = await made.store.environment("tt02")
    connection = await db.connect(url)
    jobs = "select count(*) from deploy.job where kind = 'bootstrap'"
    before = (await made.store.cluster("ttd", "tt02")).version
    await made.store.put_environment(msgspec.structs.replace(row, approval="another"), author)
    assert (await made.store.cluster("ttd", "tt02")).status == "ready"
    assert (await made.store.cluster("ttd", "tt02")).version > before
    assert await connection.fetchval(jobs) == 1
    await made.store.put_environment(msgspec.structs.replace(row, domain="elsewhere.example.no"), author)
    assert (await made.store.cluster("ttd", "tt02")).status == "bootstrapping"
    # Whatever is said meanwhile, a set-up that was begun for the facts before has a successor.
    await made.store.put_environment(msgspec.structs.replace(row, domain="elsewhere.example.no"), author)
    assert await connection.fetchval(jobs) == 3
    await connection.close()


async def test_a_platform_is_believed_by_the_authority_in_the_environments_values_as_apps_believe_it(estate, tmp_path):
    made, sealer, _, _ = estate
    now = datetime.now(UTC)
    signer = certificates.authority("Ours", now, timedelta(days=1))
    leaf = certificates.leaf(signer, ["localhost"], now, timedelta(days=1))
    (tmp_path / "server.pem").write_text(leaf.certificate + leaf.key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    row = EnvironmentRow(
        name="tt02", type="test", scheme="https", domain="tt02.example.no", approval="none", settings={},
        platform_url=f"https://localhost:{server.sockets[0].getsockname()[1]}", app_values={}, registry="",
        deploy_key=None, version=0, changed=now,
    )  # fmt: skip
    for values, status in (({}, 503), ({"platform": {"authorities": signer.certificate}}, 404)):
        await made.store.put_environment(
            msgspec.structs.replace(row, app_values=values), Author("test", "", now)
        )  # fmt: skip
        publisher = (await made.environments.find("tt02")).publisher
        assert await reached(publisher) == status
    # So is one that the control plane's own release believes, whatever the environment adds.
    (tmp_path / "ca.crt").write_text(signer.certificate)
    other = certificates.authority("Another", now, timedelta(days=1))
    for values in ({}, {"platform": {"authorities": other.certificate}}):
        await made.store.put_environment(
            msgspec.structs.replace(row, app_values=values), Author("test", "", now)
        )  # fmt: skip
        beside = EstateEnvironments(made.store, sealer, lambda: now, trust_file=str(tmp_path / "ca.crt"))
        assert await reached((await beside.find("tt02")).publisher) == 404
        await beside.close()
    server.close()
    await server.wait_closed()


async def reached(publisher: Publisher) -> int:
    """What the platform answers, whoever we are to it; 503 when it is not reached."""
    try:
        return (await publisher._http.request("GET", "/health")).status_code
    except Problem as problem:
        return problem.status


async def test_credentials_are_sealed_and_move_to_another_identity(estate):
    made, sealer, url, identity = estate
    await stored(made, sealer, "ttd", "https://127.0.0.1:1")
    key = await made.keyring.access_key("tt02", "ttd", "first", 7)
    assert await made.keyring.access_key("tt02", "ttd", "first", 7) == key
    connection = await db.connect(url)
    for table in ("cluster", "app_key", "audit"):
        for row in await connection.fetch(f"select t::text as line from deploy.{table} t"):
            assert b"planted-5f2a".hex() not in row["line"]
            assert "planted-5f2a" not in row["line"]
            assert msgspec.json.decode(key)["d"] not in row["line"]
    await connection.close()
    before = identity.read_text()
    identity.write_text(f"{pyrage.x25519.Identity.generate()}\n{before}")
    assert await made.seal_anew() == 2
    assert await made.seal_anew() == 0
    # What the old one sealed is no longer needed.
    identity.write_text(identity.read_text().splitlines()[0] + "\n")
    assert await made.keyring.access_key("tt02", "ttd", "first", 7) == key
    row = await made.store.cluster("ttd", "tt02")
    assert made.clusters.open(row).token == "planted-5f2a"
    # Moved to another org's row, it cannot be opened.
    with pytest.raises(ClusterError, match="another place"):
        made.clusters.open(msgspec.structs.replace(row, org="nav"))
    assert await made.keyring.key_id("tt02", "ttd", "first", 7) == msgspec.json.decode(key)["kid"]
    for _ in range(2):
        await made.keyring.forget("tt02", "ttd", "first", 7)
        assert await made.keyring.key_id("tt02", "ttd", "first", 7) is None


class NoPublisher:
    """Nothing is published before a change of scale, and nothing can be put back."""

    def __getattr__(self, name: str) -> Any:
        async def refuse(*_: Any, **__: Any) -> None:
            raise Problem(500, "There is no platform here.")

        return refuse


# The HTTP library leaves a connection that was given up during its handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_api_server_that_hangs_delays_only_its_own_apps(estate, tmp_path):
    from havn.deploy.access import TokenFileAccess
    from havn.deploy.app import build
    from havn.deploy.registry.layout import LayoutRegistry

    made, sealer, url, identity = estate
    silence = Silence()
    server = await silence.listen()
    await stored(made, sealer, "away", f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await stored(made, sealer, "near", f"https://127.0.0.1:{free_port()}")
    connection = await db.connect(url)
    targets = [Target("tt02", "away", f"app{number}") for number in range(40)] + [Target("tt02", "near", "app")]
    store = await Store.open(url)
    asked = {}
    for target in targets:
        wanted = Wanted(target=target, kind="scale", release="sha256:" + "0" * 64, replicas=2, who="x", address="")
        asked[target] = (await store.request(wanted, datetime.now(UTC))).id
        await connection.execute(
            "insert into deploy.desired (environment, org, app, revision, release, replicas, rollout)"
            " values ('tt02', $1, $2, 1, $3, 1, $4)",
            target.org, target.app, wanted.release, asked[target],
        )  # fmt: skip
    environment = Environment(
        name="tt02", type="test", scheme="https", domain="tt02.example.no", publisher=NoPublisher(), settings={},
    )  # type: ignore[arg-type]  # fmt: skip
    app, _ = await build(
        url,
        environments=FixedEnvironments(environment),
        clusters=made.clusters,
        registry=LayoutRegistry(tmp_path / "registry"),
        keyring=made.keyring,
        releases=tmp_path / "releases",
        access=TokenFileAccess("x" * 40, "owner"),
        identities=FileIdentities(identity),
    )
    try:
        async with app.router.lifespan_context(app), asyncio.timeout(40):
            await silence.heard.wait()
            while (near := await store.deployment(asked[targets[-1]])).finished is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            assert near.status == "failed"
            assert "cannot be reached" in near.reason
            waiting = [await store.deployment(asked[target]) for target in targets[:-1]]
            assert sum(each.finished is None for each in waiting) >= 30
            assert sum(each.status == "running" for each in waiting) <= 4
    finally:
        await connection.close()
        await store.close()
        await silence.end(server)
        del app
        gc.collect()
    assert silence.asked >= 1
