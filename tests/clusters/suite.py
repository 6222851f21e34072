"""What every cluster must do, whoever runs the apps there: the local one, and a real Kubernetes.

A module that tests an implementation imports `ClusterSuite` and gives the fixtures it names; everything goes through
the port and through the address that people use. Releases are real ones of real apps.
"""

from __future__ import annotations

import asyncio
import functools
import http.server
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from havn.appfolder.ids import AppId
from havn.cli.new import write_app
from havn.clusters.port import AppStatus, Cluster, ClusterError, Ended, RolloutFailed, UnknownApp, Workload
from havn.deploy.registry.port import Registry
from havn.deploy.release.build import build
from havn.deploy.release.signing import SigningKey


@dataclass
class Reply:
    """What came back through the front door."""

    status: int
    body: str


Ask = Callable[[str], Awaitable[Reply]]
"""`await ask("/first/x")`: GET this path at the org's host, through the ingress."""


@dataclass
class Site:
    """A cluster of one org, an app in it, and releases of the app.

    `version(n)` is a working release whose text resource `appName` in English is `Version {n}`; `broken` one whose code
    cannot be loaded.
    """

    cluster: Cluster
    ask: Ask
    app: str
    org: str
    version: Callable[[int], Awaitable[str]]
    broken: Callable[[], Awaitable[str]]
    workload: Callable[..., Workload]

    async def shown(self) -> str:
        """Which version answers."""
        reply = await self.ask(f"/{self.org}/{self.app}/api/v1/texts/en")
        return next((part for part in ("Version 1", "Version 2", "Version 3") if part in reply.body), str(reply))


class _Nothing(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    do_POST = do_GET  # noqa: N815
    do_PUT = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@functools.cache
def platform_without_apis(address: str = "127.0.0.1") -> str:
    """The URL of a platform that has none of the APIs, so that nothing is managed and nobody is known."""
    server = http.server.ThreadingHTTPServer((address, 0), _Nothing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://{address}:{server.server_address[1]}"


async def release(folder: Path, registry: Registry, id_: AppId, version: int = 1, hooks: str | None = None) -> str:
    """A release, put into `registry`, of the app that `havn new` makes: with this version as its title and these hooks.

    `folder` is where it is made; returns the digest.
    """
    source = folder / "apps" / f"{id_.org}-{id_.app}-{version}-{hooks is not None}"
    write_app(source, id_, title=f"Version {version}")
    if hooks is not None:
        (source / "logic" / "hooks.py").write_text(hooks)
    key = SigningKey(SigningKey.generate())
    return (await build(source, id_, registry=registry, key=key, cache=folder / "cache")).release.digest


async def settled(cluster: Cluster, app: str, seconds: float = 60) -> AppStatus:
    """The status once it is as asked."""
    async with asyncio.timeout(seconds):
        while not (status := await cluster.status(app)).settled:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return status


class ClusterSuite:
    """The fixture `site` is a `Site` whose app is not deployed; `crash(site)` ends one replica from outside."""

    async def test_after_apply_the_address_reaches_exactly_this_app_in_both_forms(self, site: Site):
        status = await site.cluster.apply(site.workload(await site.version(1)))
        assert status.settled
        for path in (f"/{site.app}/health", f"/{site.org}/{site.app}/health"):
            reply = await site.ask(path)
            assert reply.status == 200, (path, reply)
        assert (await site.ask(f"/{site.app}x/health")).status == 404
        assert (await site.ask(f"/{site.org}/other/health")).status == 404

    async def test_status_is_what_was_asked_beside_what_runs(self, site: Site):
        digest = await site.version(1)
        await site.cluster.apply(site.workload(digest, replicas=2))
        status = await site.cluster.status(site.app)
        assert (status.release, status.replicas, status.ready, len(status.actual)) == (digest, 2, 2, 2)
        assert {replica.state for replica in status.actual} == {"ready"}
        assert len({replica.name for replica in status.actual}) == 2
        assert [each.app for each in await site.cluster.apps()] == [site.app]

    async def test_applying_again_changes_nothing(self, site: Site):
        workload = site.workload(await site.version(1))
        first = await site.cluster.apply(workload)
        again = await site.cluster.apply(workload)
        assert [replica.name for replica in again.actual] == [replica.name for replica in first.actual]

    async def test_a_new_release_takes_over_without_a_failed_request(self, site: Site):
        await site.cluster.apply(site.workload(await site.version(1), replicas=2))
        answers: list[int] = []
        stop = asyncio.Event()

        async def press() -> None:
            while not stop.is_set():
                answers.append((await site.ask(f"/{site.app}/health")).status)

        pressing = [asyncio.create_task(press()) for _ in range(4)]
        await site.cluster.apply(site.workload(await site.version(2), replicas=2))
        # Nothing leads to the release before, which may still be ending.
        assert [await site.shown() for _ in range(10)] == ["Version 2"] * 10
        stop.set()
        await asyncio.gather(*pressing)
        assert len(answers) > 10
        assert set(answers) == {200}
        assert (await site.cluster.status(site.app)).settled

    async def test_a_release_that_does_not_become_ready_leaves_what_was_there(self, site: Site):
        good = await site.version(1)
        await site.cluster.apply(site.workload(good))
        with pytest.raises(RolloutFailed) as caught:
            await site.cluster.apply(site.workload(await site.broken()))
        assert "broken on purpose" in str(caught.value)
        got = await site.shown()
        assert got == "Version 1", got
        status = await site.cluster.status(site.app)
        assert (status.release, status.settled) == (good, True)

    async def test_a_first_release_that_fails_leaves_nothing(self, site: Site):
        with pytest.raises(RolloutFailed):
            await site.cluster.apply(site.workload(await site.broken()))
        assert (await site.ask(f"/{site.app}/health")).status in (404, 503)
        assert await site.cluster.apps() == []

    async def test_scaling_up_and_down_and_to_nothing(self, site: Site):
        await site.cluster.apply(site.workload(await site.version(1)))
        assert (await site.cluster.scale(site.app, 3)).ready == 3
        status = await site.cluster.scale(site.app, 1)
        assert (status.replicas, len(status.actual)) == (1, 1)
        assert (await site.cluster.scale(site.app, 0)).actual == ()
        assert (await site.ask(f"/{site.app}/health")).status == 503
        assert (await site.cluster.scale(site.app, 1)).settled
        assert (await site.ask(f"/{site.app}/health")).status == 200

    async def test_a_replica_that_dies_is_started_again_and_the_others_go_on(self, site: Site, crash):
        await site.cluster.apply(site.workload(await site.version(1), replicas=2))
        await crash(site)
        assert (await site.ask(f"/{site.app}/health")).status == 200
        status = await settled(site.cluster, site.app)
        assert sum(replica.restarts for replica in status.actual) >= 1

    async def test_logs_are_those_of_the_app_and_can_be_followed(self, site: Site):
        await site.cluster.apply(site.workload(await site.version(1)))
        lines = site.cluster.logs(site.app, lines=1000, follow=True)
        marker = f"/{site.app}/health"
        async with asyncio.timeout(30):
            asking = asyncio.create_task(site.ask(marker))
            async for line in lines:
                if "/health" in line.text:
                    break
        await lines.aclose()
        await asking
        assert line.replica == (await site.cluster.status(site.app)).actual[0].name
        assert line.time.tzinfo is not None
        assert len([each async for each in site.cluster.logs(site.app, lines=1)]) == 1

    async def test_after_remove_nothing_answers_and_nothing_is_known(self, site: Site):
        await site.cluster.apply(site.workload(await site.version(1)))
        await site.cluster.remove(site.app)
        await site.cluster.remove(site.app)
        assert (await site.ask(f"/{site.app}/health")).status == 404
        assert await site.cluster.apps() == []
        with pytest.raises(UnknownApp):
            await site.cluster.status(site.app)
        with pytest.raises(UnknownApp):
            await site.cluster.scale(site.app, 1)

    async def test_a_changed_setting_or_secret_is_rolled_out(self, site: Site):
        digest = await site.version(1)
        first = await site.cluster.apply(site.workload(digest))
        again = await site.cluster.apply(site.workload(digest, settings={"HAVN_ENVIRONMENT_TYPE": "production"}))
        assert again.settled
        ended = {replica.name for replica in again.actual if replica.state == "stopping"}
        assert {r.name for r in first.actual}.isdisjoint({r.name for r in again.actual} - ended)
        assert await site.cluster.drained(site.app)
        assert {r.name for r in (await site.cluster.status(site.app)).actual} == {r.name for r in again.actual} - ended

    async def test_a_command_runs_in_the_apps_surroundings_and_its_end_is_told(self, site: Site):
        await site.cluster.apply(site.workload(await site.version(1)))
        code = "import os, sys; print(os.environ['HAVN_APP']); print('to the other', file=sys.stderr); sys.exit(7)"
        out, err, ended = b"", b"", None
        async for each in site.cluster.execute(site.app, ["python3", "-c", code]):
            if isinstance(each, Ended):
                ended = each.code
            elif each.stream == "stdout":
                out += each.data
            else:
                err += each.data
        assert (out.strip().decode(), err.strip(), ended) == (site.app, b"to the other", 7)
        with pytest.raises(ClusterError, match="could not be run"):
            async for _ in site.cluster.execute(site.app, ["no-such-program"]):
                pass

    async def test_what_is_as_it_was_put_there_has_not_drifted_and_what_was_asked_for_since_is_no_drift(
        self, site: Site
    ):
        workload = site.workload(await site.version(1))
        await site.cluster.apply(workload)
        assert await site.cluster.drift(workload) == []
        await site.cluster.scale(site.app, 2)
        assert await site.cluster.drift(msgspec.structs.replace(workload, replicas=2)) == []
        assert len(await site.cluster.drift(workload)) == 1
