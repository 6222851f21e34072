"""Where open instances stand, as a deploy asks before it changes the process under them."""

from __future__ import annotations

import pytest

PATH = "/applications/ttd/skjema/standing"


def move(source: str = "Task_1", target: str = "Task_9", **members: object) -> dict[str, object]:
    return {"source": source, "target": target, "taskType": "confirmation", "reason": "Deployment 7.", **members}


async def test_open_instances_are_counted_by_task_and_by_what_they_hold(world):
    first = await world.instance()
    await world.element(first, "model")
    await world.element(first, "vedlegg")
    second = await world.instance()
    await world.element(second, "vedlegg")
    await world.element(second, "vedlegg")
    await world.instance(task="Task_2", task_type="signing")
    # Neither one that has ended, nor one of another app.
    await world.finish(await world.instance())
    await world.instance(party=50_002, app="skd/krav")
    found = (await world.call("GET", PATH, platform=world.component())).json()
    assert [(each["taskId"], each["count"]) for each in found["tasks"]] == [("Task_1", 2), ("Task_2", 1)]
    # Ids made within one millisecond have no order in time.
    assert sorted(found["tasks"][0]["sample"]) == sorted([first["id"], second["id"]])
    counts = {each["dataType"]: each["count"] for each in found["dataTypes"]}
    assert counts == {"model": 1, "vedlegg": 2}


async def test_a_move_takes_every_open_instance_along_and_tells_it_in_its_events(world):
    moved = [await world.instance() for _ in range(3)]
    other = await world.instance(task="Task_2", task_type="signing")
    ended = await world.finish(await world.instance())
    answer = await world.call("POST", f"{PATH}/moves", platform=world.component(), json=move())
    assert answer.json() == {"moved": 3, "more": False}
    for each in moved:
        now = await world.get(each)
        task = now["process"]["currentTask"]
        assert (task["elementId"], task["altinnTaskType"], task["flow"]) == ("Task_9", "confirmation", 3)
        assert now["version"] == 2
        told = (await world.call("GET", f"/instances/{each['id']}/events", world.user())).json()["instanceEvents"]
        assert [(event["eventType"], event.get("additionalInfo")) for event in told[-2:]] == [
            ("process_AbandonTask", "Deployment 7."),
            ("process_StartTask", "Deployment 7."),
        ]
    assert (await world.get(other))["process"]["currentTask"]["elementId"] == "Task_2"
    assert (await world.get(ended))["version"] == ended["version"]
    # Repeated, it does nothing.
    again = await world.call("POST", f"{PATH}/moves", platform=world.component(), json=move())
    assert again.json() == {"moved": 0, "more": False}


@pytest.mark.parametrize("body", [move(target="Task_1"), move(reason=""), move(target="x" * 300)])
async def test_a_move_that_says_too_little_is_refused(world, body):
    answer = await world.call("POST", f"{PATH}/moves", platform=world.component(), json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_move")


async def test_only_components_of_the_platform_may_ask_or_move(world):
    for token, platform in ((world.owner(), None), (world.user(), None), (None, world.component("ttd", "skjema"))):
        assert (await world.call("GET", PATH, token, platform=platform)).status_code in (401, 403)
        answer = await world.call("POST", f"{PATH}/moves", token, platform=platform, json=move())
        assert answer.status_code in (401, 403)
