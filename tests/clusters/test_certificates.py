"""TLS between the real Traefik and apps' pods: certificates changed under load, and everything else refused."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from havn.clusters.kubernetes import bootstrap, leaves, shut
from havn.clusters.kubernetes.unknown import PAGE
from havn.deploy.authority import certificates
from havn.deploy.authority.keeper import TAKEN_UP
from havn.kit.http import HttpClient
from havn.kit.problem import Problem

pytestmark = pytest.mark.cluster
CHART = Path(__file__).resolve().parents[2] / "charts" / "cluster"

# The certificate that a pod shows to whoever connects to it, whoever signed it.
SHOWN = "import ssl; print(ssl.get_server_certificate(('127.0.0.1', 5005)))"
PLAIN = """
import socket
connection = socket.create_connection(('127.0.0.1', 5005), timeout=5)
connection.sendall(b'GET /health HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
try:
    print(connection.recv(100))
except OSError as error:
    print(error)
"""


async def shown(owner, pod: str) -> str:
    told = await asyncio.to_thread(owner.kubernetes.kubectl, "exec", pod, "--", "python3", "-c", SHOWN)
    return told.strip()


async def stored(cluster, app: str) -> str:
    secret = await cluster.kube.get("v1", "secrets", leaves.leaf_name(app), leaves.Secret)
    return base64.b64decode(secret.data["tls.crt"]).decode().strip()


async def taken_up(owner, pod: str, certificate: str) -> None:
    """Wait until new connections to the pod get the certificate, and no other."""
    while {await shown(owner, pod) for _ in range(3)} != {certificate}:
        pass


@asynccontextmanager
async def asked_all_the_time(owner, path: str) -> AsyncIterator[list[int]]:
    """Requests one after the other on kept connections through Traefik; gives the status of each."""
    statuses: list[int] = []
    done = False

    async def ask() -> None:
        http = HttpClient(
            f"https://{owner.kubernetes.address}", name="Traefik", host=f"{owner.org}.apps.tt02.example.test",
            verify=False,
        )  # fmt: skip
        while not done:
            try:
                statuses.append((await http.request("GET", path)).status_code)
            except Problem:
                statuses.append(0)
        await http.close()

    asking = [asyncio.create_task(ask()) for _ in range(3)]
    try:
        yield statuses
    finally:
        done = True
        await asyncio.gather(*asking)


async def test_no_request_fails_while_certificate_and_authority_are_changed(owner, certified):
    cluster, keeper, time = certified.cluster, certified.keeper, certified.time
    status = await cluster.apply(owner.workload("first", await owner.release("first")))
    pod = status.actual[0].name
    first = await stored(cluster, "first")
    assert await shown(owner, pod) == first
    async with asked_all_the_time(owner, "/first/health") as statuses:
        # Two thirds of its life are over: renewed by the same authority.
        time.behind -= timedelta(days=21)
        await keeper.advance("tt02", "ttd")
        await cluster.renew_certificates()
        second = await stored(cluster, "first")
        assert second != first
        await taken_up(owner, pod, second)

        # Another authority: believed first, ...
        await keeper.rotate("tt02", "ttd")
        await keeper.advance("tt02", "ttd")
        await cluster.renew_certificates()
        assert await stored(cluster, "first") == second
        # ... then signing, ...
        time.behind -= TAKEN_UP
        assert await keeper.advance("tt02", "ttd")
        await cluster.renew_certificates()
        third = await stored(cluster, "first")
        assert third != second
        await taken_up(owner, pod, third)
        # ... then alone.
        time.behind -= TAKEN_UP
        assert not await keeper.advance("tt02", "ttd")
        await cluster.renew_certificates()
        assert (await keeper.bundle("tt02", "ttd")).count("BEGIN CERTIFICATE") == 1
        # Traefik has taken up the last bundle when it has answered a good while after.
        count = len(statuses)
        while len(statuses) < count + 200:
            await owner.ask("/first/health")
    assert set(statuses) == {200}
    # Nothing was started anew for it.
    assert [each.name for each in (await cluster.status("first")).actual] == [pod]


async def test_a_pod_speaks_nothing_but_tls_and_a_strangers_certificate_is_refused(owner, certified):
    cluster = certified.cluster
    status = await cluster.apply(owner.workload("first", await owner.release("first")))
    pod = status.actual[0].name
    plain = await asyncio.to_thread(owner.kubernetes.kubectl, "exec", pod, "--", "python3", "-c", PLAIN)
    assert "HTTP/" not in plain
    assert (await owner.ask("/first/health")).status == 200

    now = datetime.now(UTC)
    stranger = certificates.authority("Somebody else", now, timedelta(days=1))
    other = certificates.leaf(stranger, ["first"], now, timedelta(days=1))
    data = {
        name: base64.b64encode(value.encode()).decode()
        for name, value in (("tls.crt", other.certificate), ("tls.key", other.key))
    }
    await cluster.kube.merge("v1", f"secrets/{leaves.leaf_name('first')}", {"data": data})
    # A pod that has it from its start; the connections to the one before end with it.
    await asyncio.to_thread(owner.kubernetes.kubectl, "delete", "pod", pod)
    while not (status := await cluster.status("first")).settled or status.actual[0].name == pod:
        pass
    assert await shown(owner, status.actual[0].name) == other.certificate.strip()
    while (answer := await owner.ask("/first/health")).status == 503:
        pass
    assert answer.status == 500

    # Put right by the next look.
    await cluster.renew_certificates()
    while (await owner.ask("/first/health")).status != 200:
        pass


def code(answer: Any) -> str:
    """What a problem is; empty for an answer that is none, such as Traefik's own."""
    try:
        return str(msgspec.json.decode(answer.body)["code"])
    except msgspec.DecodeError:
        return ""


async def test_the_page_where_no_app_is_goes_over_to_tls_and_no_request_fails_while_its_certificate_is_changed(
    owner, certified
):
    cluster, keeper, time = certified.cluster, certified.keeper, certified.time
    image = await owner.delivery.base()
    clear = {
        "org": "ttd", "domain": "tt02.example.test",
        "image": {"repository": image.repository, "digest": image.digest},
    }  # fmt: skip
    ours = {"tls": {"existingSecret": leaves.leaf_name(PAGE), "authoritySecret": leaves.TRUST}}

    async def install(values: dict[str, Any]) -> None:
        """As the control plane does, and until the page answers again."""
        await bootstrap.install(cluster.kube, owner.helm, CHART, values, certified.issuer, time())
        await answers()

    async def answers() -> None:
        """Wait until the page answers for both what is unknown and what is shut."""
        async with asyncio.timeout(60):
            for path, wanted in (("/no-such-app", "unknown_app"), ("/closed/", "maintenance")):
                while code(await owner.ask(path)) != wanted:
                    pass

    # What is shut is nothing that Helm knows.
    await shut.put(
        cluster.kube, shut.Entrance(org="ttd", host="ttd.apps.tt02.example.test"), [shut.Shut(app="closed")], []
    )
    try:
        await answers()
        await install({**clear, "unknown": ours})
        names = "jsonpath={.items[*].metadata.name}"
        pods = (
            "get",
            "pods",
            "-l",
            f"app.kubernetes.io/name={PAGE}",
            "--field-selector=status.phase=Running",
            "-o",
            names,
        )
        pod = owner.kubernetes.kubectl(*pods, "--sort-by=.metadata.creationTimestamp").split()[-1]
        first = await stored(cluster, PAGE)
        assert await shown(owner, pod) == first
        plain = await asyncio.to_thread(owner.kubernetes.kubectl, "exec", pod, "--", "python3", "-c", PLAIN)
        assert "HTTP/" not in plain

        async with asked_all_the_time(owner, "/no-such-app") as statuses:
            # Two thirds of its life are over, when the looks of every hour come to it.
            time.behind -= timedelta(days=21)
            await keeper.advance("tt02", "ttd")
            await cluster.renew_certificates()
            second = await stored(cluster, PAGE)
            assert second != first
            await taken_up(owner, pod, second)
            count = len(statuses)
            while len(statuses) < count + 100:
                assert code(await owner.ask("/closed/")) == "maintenance"
        assert set(statuses) == {404}
        # Nothing was started anew for it.
        assert pod in owner.kubernetes.kubectl(*pods)
    finally:
        # As other tests know it.
        await install(clear)
        await shut.clear(cluster.kube)
        await leaves.drop_leaf(cluster.kube, PAGE)
