"""kill -9 of the control plane between any two steps of a deployment: the next goes on, and does nothing twice."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from havn.clusters.port import AppStatus
from havn.deploy.store import Store, Target, Wanted

APP = Target("tt02", "ttd", "killed")
STEPS = ("verified", "admitted", "published", "applied", "arrived", "moving", "moved", "succeeded")
WORDS = ({"Task_1": "Task_A"}, {})
BROKEN = "raise RuntimeError('broken on purpose')\n"


async def test_a_deployment_goes_on_wherever_the_control_plane_was_killed(rig):
    store = await Store.open(rig.config.database)

    async def ask(release: str, mapping: dict[str, str]) -> int:
        wanted = Wanted(target=APP, kind="deploy", release=release, replicas=1, who="kari", address="", mapping=mapping)
        return (await store.request(wanted, datetime.now(UTC))).id

    first = await rig.release(0, app="killed")
    await ask(first, {})
    assert rig.run().returncode == 0
    stands = [rig.instance("killed") for _ in range(2)]
    deployments, releases = [], [first]
    for number, _ in enumerate(STEPS):
        words = WORDS[number % 2]
        releases.append(await rig.release(number + 1, app="killed", words=words))
        mapping = {"Task_1": "Task_A"} if words else {"Task_A": "Task_1"}
        deployments.append(await ask(releases[-1], mapping))
    broken = await ask(await rig.release(99, app="killed", hooks=BROKEN, words=WORDS[(len(STEPS) - 1) % 2]), {})

    # Each run ends the deployment that the one before was killed in, and is killed in the next.
    for deployment, step in zip(deployments, STEPS, strict=True):
        assert (await store.deployment(deployment)).finished is None
        assert rig.run(kill_after=(deployment, step)).returncode == -9, step
        found = await store.deployment(deployment)
        assert found.status == ("succeeded" if step == "succeeded" else "running"), step
    # The one that was killed as soon as it had succeeded takes back the key of the one before when it goes on. Killed
    # between the two halves of that, it has withdrawn what is public, and can still tell what it was.
    keyring, place = rig.keyring(), (APP.environment, APP.org, APP.app)
    before, last = [await keyring.key_id(*place, each) for each in deployments[-2:]]
    assert {before, last} <= rig.published()
    assert rig.run(kill_after=(deployments[-2], "dismissed")).returncode == -9
    assert await keyring.rollouts(*place) == deployments[-2:]
    assert before not in rig.published()
    assert rig.run(kill_after=(broken, "failed")).returncode == -9
    assert (await store.deployment(broken)).status == "restoring"
    assert await keyring.rollouts(*place) == [deployments[-1], broken]
    attempted = await keyring.key_id(*place, broken)
    assert attempted in rig.published()
    done = rig.run()
    assert done.returncode == 0, done.stderr
    assert await keyring.rollouts(*place) == [deployments[-1]]
    assert {before, last, attempted} & rig.published() == {last}

    for deployment in deployments:
        assert (await store.deployment(deployment)).status == "succeeded"
    assert (await store.deployment(broken)).status == "failed"
    [status] = msgspec.json.decode(done.stdout.splitlines()[-1], type=list[AppStatus])
    assert (status.release, status.settled, len(status.actual)) == (releases[-1], True, 1)
    desired = await store.desired(APP)
    assert (desired.release, desired.rollout) == (releases[-1], deployments[-1])
    # Moved there and back, by each deployment once.
    assert {rig.task(each) for each in stands} == {"Task_1"}
    for each in stands:
        assert len(rig.moves(each)) == len(STEPS)
    await store.close()
