"""The local cluster: the port's own suite, and what only holds on one machine."""

import asyncio
import os
import stat
import sys
from pathlib import Path

import msgspec
import pytest

suite = sys.modules["cluster_suite"]


class TestLocalCluster(suite.ClusterSuite):
    pass


async def test_two_orgs_and_environments_do_not_see_each_other(rig):
    ttd, nav = await rig.clusters.find("ttd", "local"), await rig.clusters.find("nav", "local")
    await ttd.apply(rig.workload("first", await rig.release("ttd", "first")))
    assert await nav.apps() == []
    assert (await rig.ask("nav", "/first/health")).status == 404
    assert await rig.clusters.find("ttd", "local") is ttd
    assert await rig.clusters.find("ttd", "tt02") is not ttd


async def test_an_app_gets_its_secrets_as_private_files_and_nothing_of_them_is_in_its_command_or_environment(rig):
    cluster = await rig.clusters.find("ttd", "local")
    await cluster.apply(rig.workload("first", await rig.release("ttd", "first")))
    folders = list((rig.folder / "run" / "secrets" / "local" / "ttd" / "first").iterdir())
    assert len(folders) == 1
    secret = folders[0] / "platform-access-key"
    assert stat.S_IMODE(folders[0].stat().st_mode) == 0o700
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    private = msgspec.json.decode(secret.read_bytes())["d"]
    records = [msgspec.json.decode(path.read_bytes()) for path in (rig.folder / "run").glob("*.json")]
    [pid] = [record["pid"] for record in records if record["name"].startswith("ttd/first")]
    assert private not in Path(f"/proc/{pid}/cmdline").read_text()
    environ = Path(f"/proc/{pid}/environ").read_text()
    assert private not in environ
    assert "HAVN_SECRETS_DIR" in environ
    assert "PYTEST_CURRENT_TEST" not in environ
    await cluster.remove("first")
    assert not folders[0].exists()


async def test_the_gateway_comes_back_with_all_its_routes(rig):
    cluster = await rig.clusters.find("ttd", "local")
    await cluster.apply(rig.workload("first", await rig.release("ttd", "first")))
    child = rig.gateway.supervisor.child
    os.kill(child.pid, 9)
    async with asyncio.timeout(20):
        while (await rig.ask("ttd", "/first/health")).status != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert rig.gateway.supervisor.restarts == 1
    # And takes new ones.
    await cluster.remove("first")
    assert (await rig.ask("ttd", "/first/health")).status == 404


async def test_a_release_that_is_not_in_the_registry_is_refused(rig):
    from havn.clusters.port import ClusterError

    with pytest.raises(ClusterError, match="has no release"):
        await (await rig.clusters.find("ttd", "local")).apply(rig.workload("first", f"sha256:{'0' * 64}"))
