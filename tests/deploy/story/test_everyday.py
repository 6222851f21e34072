"""Scaling, healing, commands, rollback and drift, through the API, on local processes."""

from __future__ import annotations

import pytest

from havn.contracts.deploy import Scaling
from havn.kit.problem import Problem


async def test_bounds_for_scaling_are_kept_through_deploys_and_rollbacks_and_the_least_runs_where_nothing_follows(
    story,
):
    client = story.client()
    first, second = await story.rig.release(1), await story.rig.release(2)
    await story.deploy(first)
    bounds = Scaling(minimum=2, maximum=6, cpu=60)
    scaled = await story.end(await client.scale("tt02", "ttd", "first", None, bounds))
    assert scaled.deployment.status == "succeeded"
    assert "This cluster does not follow the load: the bounds are kept, and the least of them, 2, run." in [
        each.message for each in scaled.events
    ]
    for change in (story.deploy(second), _rollback(story)):
        assert (await change).deployment.status == "succeeded"
        info = await client.app("tt02", "ttd", "first", drift=True)
        assert (info.scaling, info.replicas, info.ready, info.drift) == (bounds, 2, 2, [])
    [entry] = [each for each in await client.audit(org="ttd") if each.action == "scale"]
    assert entry.after["scaling"]["maximum"] == 6


async def _rollback(story):
    return await story.end(await story.client().rollback("tt02", "ttd", "first", None))


WRONG = [
    (None, None, "invalid_replicas"),
    (2, Scaling(minimum=1, maximum=2), "invalid_replicas"),
    (None, Scaling(minimum=3, maximum=2), "invalid_replicas"),
    (None, Scaling(minimum=1, maximum=999), "invalid_replicas"),
    (None, Scaling(minimum=1, maximum=2, cpu=0), "invalid_cpu"),
    (None, Scaling(minimum=1, maximum=2, down_seconds=-1), "invalid_seconds"),
]


async def test_bounds_that_make_no_sense_are_refused(story):
    # Before it is looked at whether anything runs there at all.
    for replicas, bounds, code in WRONG:
        with pytest.raises(Problem) as caught:
            await story.client().scale("tt02", "ttd", "first", replicas, bounds)
        assert (caught.value.status, caught.value.code) == (400, code)


async def test_drift_is_named_and_healed(story):
    client = story.client()
    await story.deploy(await story.rig.release(1), replicas=2)
    cluster = await story.plane.clusters.find("ttd", "tt02")
    # Behind the control plane's back.
    await cluster.scale("first", 1)
    info = await client.app("tt02", "ttd", "first", drift=True)
    assert info.drift == ["1 processes run and should be 2."]
    assert (await client.app("tt02", "ttd", "first")).drift is None
    healed = await story.end(await client.heal("tt02", "ttd", "first"))
    assert (healed.deployment.kind, healed.deployment.status) == ("heal", "succeeded")
    info = await client.app("tt02", "ttd", "first", drift=True)
    assert (info.drift, info.ready, info.revision) == ([], 2, 2)
    with pytest.raises(Problem, match="not deployed"):
        await client.heal("tt02", "ttd", "other")


async def test_a_command_runs_in_the_app_and_stands_in_the_audit_log(story):
    await story.deploy(await story.rig.release(1))
    words = ["python3", "-c", "import os, sys; print(os.getcwd()); sys.exit(3)"]
    events = [each async for each in story.client().execute("tt02", "ttd", "first", words)]
    assert b"".join(each.data for each in events if each.stream == "stdout").strip().endswith(b"/app")
    assert [each.code for each in events if each.code is not None] == [3]
    newest = (await story.client().audit(org="ttd", limit=1))[0]
    assert (newest.action, newest.who, newest.after) == ("exec", "kari", {"command": words})
    for name, command, status in (("per", words, 403), ("kari", [], 400), ("kari", ["no-such"], 409)):
        with pytest.raises(Problem) as caught:
            [each async for each in story.client(name).execute("tt02", "ttd", "first", command)]
        assert caught.value.status == status
    with pytest.raises(Problem) as caught:
        [each async for each in story.client().execute("tt02", "ttd", "other", words)]
    assert caught.value.status == 404
