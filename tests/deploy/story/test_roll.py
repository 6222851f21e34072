"""Putting apps on another base image, wave by wave; below are local processes, with the base they were given."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from havn.cli.image_roll import carry_out
from havn.cli.output import Failure
from havn.clusters.port import AppStatus, Cluster, ClusterError, Clusters, Progress, Workload, silent
from havn.contracts.deploy import Deployment, DeployRequest
from havn.kit.problem import Problem

OLD, NEW, LACKING = ("sha256:" + each * 64 for each in "abc")


class Imaged:
    """A cluster that has base images, of which `LACKING` is none."""

    def __init__(self, inner: Cluster, bases: dict[str, str]) -> None:
        self._inner = inner
        self._bases = bases

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def apply(self, workload: Workload, progress: Progress = silent) -> AppStatus:
        """See `Cluster.apply`."""
        if workload.base == LACKING:
            raise ClusterError("The base image is not in the registry.")
        done = await self._inner.apply(workload, progress)
        self._bases[workload.app] = workload.base or OLD
        return self._told(done)

    async def status(self, app: str) -> AppStatus:
        """See `Cluster.status`."""
        return self._told(await self._inner.status(app))

    def _told(self, status: AppStatus) -> AppStatus:
        return msgspec.structs.replace(status, base=self._bases.get(status.app))


class ImagedClusters:
    """See `Clusters`."""

    def __init__(self, inner: Clusters) -> None:
        self._inner = inner
        self._bases: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def find(self, org: str, environment: str) -> Imaged:
        """See `Clusters.find`."""
        return Imaged(await self._inner.find(org, environment), self._bases)


@pytest.fixture
async def imaged(rig, planes_module, story_class):
    """A control plane whose clusters have base images, with three apps on `OLD`."""

    @asynccontextmanager
    async def opened():
        async with planes_module.plane(rig.config, around=ImagedClusters) as made:
            yield story_class(rig, made)

    async with opened() as story:
        for app in ("first", "second", "third"):
            release = await rig.release(app=app)
            asked = await story.client().deploy(
                DeployRequest(environment="tt02", org="ttd", app=app, release=release, replicas=1)
            )
            assert isinstance(asked, Deployment)
            assert (await story.end(asked)).deployment.base == OLD
        yield story


async def roll(story, base: str, **more: Any) -> Any:
    wanted = {"org": None, "environment": None, "wave": 5, **more}
    return await carry_out(story.client("root"), base, **wanted, tell=silent)


async def test_a_roll_changes_the_base_of_every_app_and_no_release_stops_at_a_failure_and_goes_on_where_it_was(imaged):
    client = imaged.client("root")
    releases = {app.app: app.release for app in await client.apps()}

    broken = await roll(imaged, LACKING)
    assert broken.failed == {"tt02/ttd/first": "The base image is not in the registry."}
    assert (broken.done, broken.left) == ([], ["tt02/ttd/second", "tt02/ttd/third"])
    assert {app.app: app.base for app in await client.apps()} == dict.fromkeys(releases, OLD)

    await imaged.end(await client.rebase("tt02", "ttd", "second", NEW))
    told = await roll(imaged, NEW)
    assert (told.before, told.done, told.failed) == (["tt02/ttd/second"], ["tt02/ttd/first", "tt02/ttd/third"], {})
    after = {app.app: app for app in await client.apps()}
    assert {name: app.base for name, app in after.items()} == dict.fromkeys(releases, NEW)
    assert {name: app.release for name, app in after.items()} == releases
    assert all(app.ready == app.replicas == 1 for app in after.values())
    kinds = [each.kind for each in await client.history("tt02", "ttd", "first")]
    assert kinds == ["base", "base", "deploy"]
    assert (await roll(imaged, NEW)).done == []

    with pytest.raises(Problem) as refused:
        await imaged.client("kari").rebase("tt02", "ttd", "first", OLD)
    assert refused.value.status == 403
    with pytest.raises(Problem, match="sha256 digest"):
        await client.rebase("tt02", "ttd", "first", "latest")


async def test_an_app_that_runs_without_an_image_is_told_so(story):
    await story.deploy(await story.rig.release())
    with pytest.raises(Problem, match="without an image"):
        await story.client("root").rebase("tt02", "ttd", "first", NEW)
    with pytest.raises(Failure, match="No app of yours runs from an image"):
        await roll(story, NEW)
