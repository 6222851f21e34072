from __future__ import annotations

import asyncio


async def hard_delete(world, instance):
    answer = await world.call("DELETE", f"/instances/{instance['id']}?hard=true", world.owner())
    assert answer.status_code == 200, answer.text


async def left(world):
    return await world.database.fetchval("select count(*) from instance")


async def test_an_instance_never_archived_goes_as_soon_as_it_is_hard_deleted(world, blob_folder):
    instance, kept = await world.instance(), await world.instance()
    await world.element(instance)
    await world.element(kept)
    await hard_delete(world, instance)
    answer = await world.call("DELETE", "/cleanup/cleanupinstances", platform=world.component())
    assert answer.json() == {"instances": 1}
    assert await left(world) == 1
    assert len(world.blob_paths(blob_folder)) == 1
    assert await world.database.fetchval("select count(*) from data_element") == 1
    events = "select count(*) from instance_event where instance_guid = $1"
    assert await world.database.fetchval(events, instance["id"].partition("/")[2]) == 3


async def test_an_archived_instance_waits_a_week_for_both_deletion_and_confirmation(world):
    instance = await world.instance()
    await world.finish(instance)
    world.clock.forward(days=40)
    await hard_delete(world, instance)
    world.clock.forward(days=30)
    assert await world.housekeeping.clean_instances() == 0
    await world.call("POST", f"/instances/{instance['id']}/complete", world.owner("nav"))
    world.clock.forward(days=8)
    assert await world.housekeeping.clean_instances() == 0
    await world.call("POST", f"/instances/{instance['id']}/complete", world.owner())
    world.clock.forward(days=6)
    assert await world.housekeeping.clean_instances() == 0
    world.clock.forward(days=2)
    assert await world.housekeeping.clean_instances() == 1


async def test_soft_deleted_instances_stay(world):
    instance = await world.instance()
    await world.call("DELETE", f"/instances/{instance['id']}", world.user())
    world.clock.forward(days=4000)
    await world.housekeeping.round()
    assert await left(world) == 1


async def test_events_go_too_for_apps_that_delete_as_the_process_ends(world):
    application = (await world.call("GET", "/applications/ttd/skjema")).json()
    body = {**application, "autoDeleteOnProcessEnd": True}
    await world.call("PUT", "/applications/ttd/skjema", platform=world.component(), json=body)
    instance = await world.instance()
    await hard_delete(world, instance)
    await world.housekeeping.round()
    assert await world.database.fetchval("select count(*) from instance_event") == 0


async def test_an_element_marked_as_deleted_goes_a_week_after_the_owner_confirmed(world, blob_folder):
    instance = await world.instance()
    element = await world.element(instance, "utkast")
    await world.call("DELETE", f"/instances/{instance['id']}/data/{element['id']}?delay=true", world.user())
    world.clock.forward(days=30)
    assert await world.housekeeping.clean_elements() == 0
    await world.call("POST", f"/instances/{instance['id']}/complete", world.owner())
    world.clock.forward(days=8)
    answer = await world.call("DELETE", "/cleanup/cleanupdataelements", platform=world.component())
    assert answer.json() == {"dataElements": 1}
    assert (await world.get(instance, world.owner()))["data"] == []
    assert world.blob_paths(blob_folder) == []


async def test_an_app_can_be_emptied(world, blob_folder):
    for _ in range(3):
        await world.element(await world.instance())
    other = await world.instance(app="skd/krav")
    path = "/cleanup/cleanupinstancesforapp/ttd/skjema"
    answer = await world.call("DELETE", path, platform=world.component())
    assert answer.json() == {"instances": 3}
    assert world.blob_paths(blob_folder) == []
    await world.get(other, world.owner("skd"))
    wrong = await world.call("DELETE", "/cleanup/cleanupinstancesforapp/ttd", platform=world.component())
    assert wrong.status_code == 400


async def test_keys_are_forgotten_after_two_days(world):
    headers = {"Idempotency-Key": "k"}
    body = {"instanceOwner": {"partyId": "50001"}}
    for wait, count in ((0, 1), (1, 1), (2, 2)):
        world.clock.forward(days=wait)
        await world.housekeeping.round()
        await world.call("POST", "/instances?appId=ttd/skjema", world.user(), json=body, headers=headers)
        assert await left(world) == count


async def test_rounds_are_made_while_serving_and_end_with_it(world, blob_folder):
    instance = await world.instance()
    await world.element(instance)
    await hard_delete(world, instance)
    async with world.app.router.lifespan_context(world.app):
        async with asyncio.timeout(20):
            while await left(world) or world.blob_paths(blob_folder):  # noqa: ASYNC110 - it happens in the database and on disk
                await asyncio.sleep(0)
    assert not [task for task in asyncio.all_tasks() if "Housekeeping" in repr(task)]


async def test_one_replica_at_a_time_keeps_house(world):
    from havn.platform.storage.store import garbage

    async with garbage.sole(world.database) as first, garbage.sole(world.database) as second:
        assert (first, second) == (True, False)
    async with garbage.sole(world.database) as again:
        assert again
