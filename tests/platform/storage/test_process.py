from __future__ import annotations

import pytest

FORWARD, REJECT = "CompleteCurrentMoveToNext", "AbandonCurrentMoveToNext"


def state(task: str, kind: str = "data", flow: str | None = FORWARD):
    return {"currentTask": {"elementId": task, "altinnTaskType": kind, "flowType": flow}}


async def put(world, instance, new, token=None):
    return await world.call("PUT", f"/instances/{instance['id']}/process", token or world.user(), json=new)


@pytest.mark.parametrize(
    ("stands_in", "new", "status"),
    [
        (("Task_1", "data"), state("Task_2", "signing"), 200),
        (("Task_2", "signing"), state("Task_3", "confirmation"), 200),
        (("Task_3", "confirmation"), {"ended": "2026-11-01T12:00:00Z", "endEvent": "E"}, 200),
        (("Task_4", "payment"), state("Task_5"), 200),  # reject is always enough, and a dagl may
        (("Task_1", "data"), state("Task_0", flow=REJECT), 200),
        # Going back is judged by the task gone back to.
        (("Task_9", "confirmation"), state("Task_1", "data", "AbandonCurrentReturnToNext"), 200),
        ((None, None), state("Task_1"), 403),
    ],
)
async def test_a_move_is_judged_by_the_task_left_or_returned_to(world, stands_in, new, status):
    instance = await world.instance(task=stands_in[0], task_type=stands_in[1])
    assert (await put(world, instance, new)).status_code == status


@pytest.mark.parametrize(
    ("kind", "actions", "allowed"),
    [
        ("data", ["write"], True),
        ("feedback", ["write"], True),
        ("eFormidling", ["write"], True),
        ("data", ["confirm"], False),
        ("payment", ["pay"], True),
        ("payment", ["write"], True),
        ("payment", ["sign"], False),
        ("confirmation", ["confirm"], True),
        ("confirmation", ["write"], False),
        ("signing", ["sign"], True),
        ("signing", ["write"], True),
        ("signing", ["confirm"], False),
        ("inspection", ["inspection"], True),
        ("inspection", ["write"], False),
        ("confirmation", ["reject"], True),
        ("data", ["read"], False),
    ],
)
async def test_each_kind_of_task_has_its_actions(world, make_policy_of, kind, actions, allowed):
    instance = await world.instance(task="T", task_type=kind)
    world.facts.policies["ttd/skjema"] = make_policy_of(actions)
    answer = await put(world, instance, state("U"))
    assert answer.status_code == (200 if allowed else 403)


@pytest.fixture
def make_policy_of(request):
    module = request.getfixturevalue("policies")
    return lambda actions: module("ttd", [("urn:altinn:rolecode", "dagl", actions, [])])


async def test_rejecting_takes_the_action_reject(world, make_policy_of):
    instance = await world.instance(task="T", task_type="data")
    world.facts.policies["ttd/skjema"] = make_policy_of(["write"])
    assert (await put(world, instance, state("U", flow=REJECT))).status_code == 403


async def test_entering_a_signing_task_is_told(world):
    instance = await world.instance()
    moved = (await put(world, instance, state("Task_2", "signing"))).json()
    assert moved["process"]["currentTask"]["elementId"] == "Task_2"
    assert moved["lastChanged"] > instance["lastChanged"]
    events = (await world.call("GET", f"/instances/{instance['id']}/events", world.user())).json()["instanceEvents"]
    assert [each["eventType"] for each in events] == ["Created", "SentToSign"]
    found = await world.call("GET", "/instances?org=ttd&process.currentTask=Task_2", world.owner())
    assert found.json()["count"] == 1


async def test_entering_a_task_removes_what_was_made_from_it(world, blob_folder):
    instance = await world.instance()
    kept = await world.element(instance)
    path = f"/instances/{instance['id']}"
    for _ in range(2):
        await world.call("POST", f"{path}/data?dataType=model&generatedFromTask=Task_2", world.user(), content=b"x")
    move = {"state": state("Task_2", "signing"), "events": []}
    unmoved = f"{path}/process/instanceandevents?deleteGeneratedElements=false"
    assert len((await world.call("PUT", unmoved, world.user(), json=move)).json()["data"]) == 3
    back = {"state": state("Task_1", flow=REJECT), "events": []}
    await world.call("PUT", f"{path}/process/instanceandevents", world.user(), json=back)
    answer = await world.call("PUT", f"{path}/process/instanceandevents", world.user(), json=move)
    assert [each["id"] for each in answer.json()["data"]] == [kept["id"]]
    world.clock.forward(seconds=1)
    assert await world.contents.sweep() == 2
    assert len(world.blob_paths(blob_folder)) == 1


async def test_a_repeated_submit_is_refused_by_its_version_and_leaves_one_set_of_events(world):
    instance = await world.instance()
    body = {
        "state": state("Task_2", "signing"),
        "events": [{"instanceId": instance["id"], "eventType": "process_EndTask", "user": {"userId": 1001}}],
    }
    path = f"/instances/{instance['id']}/process/instanceandevents"
    tag = {"If-Match": '"1"'}
    assert (await world.call("PUT", path, world.user(), json=body, headers=tag)).status_code == 200
    repeated = await world.call("PUT", path, world.user(), json=body, headers=tag)
    assert repeated.status_code == 412
    assert repeated.json()["currentVersion"] == 2
    assert await world.database.fetchval("select count(*) from instance_event") == 2


async def test_the_history_joins_start_and_end_of_a_task(world):
    instance = await world.instance()
    path = f"/instances/{instance['id']}"
    user = {"userId": 1001, "nationalIdentityNumber": "01899912345"}
    in_task = {"currentTask": {"elementId": "Task_1", "started": "2026-11-01T10:00:00Z"}}
    for kind, at, info in (
        ("process_StartEvent", "10:00", {"startEvent": "S"}),
        ("process_StartTask", "10:00", in_task),
        ("Saved", "10:30", None),
        ("process_EndTask", "11:00", in_task),
        ("process_EndEvent", "11:00", {"endEvent": "E"}),
    ):
        event = {
            "instanceId": instance["id"], "eventType": kind, "created": f"2026-11-01T{at}:00Z", "user": user,
            "processInfo": info,
        }  # fmt: skip
        assert (await world.call("POST", f"{path}/events", world.user(), json=event)).status_code == 201
    history = (await world.call("GET", f"{path}/process/history", world.user())).json()["processHistory"]
    assert history == [
        {
            "eventType": "process_StartEvent", "elementId": "S", "occured": "2026-11-01T10:00:00Z",
            "started": "2026-11-01T10:00:00Z", "performedBy": "01899912345",
        },
        {
            "eventType": "process_EndTask", "elementId": "Task_1", "occured": "2026-11-01T11:00:00Z",
            "started": "2026-11-01T10:00:00Z", "ended": "2026-11-01T11:00:00Z", "performedBy": "01899912345",
        },
        {
            "eventType": "process_EndEvent", "elementId": "E", "occured": "2026-11-01T11:00:00Z",
            "ended": "2026-11-01T11:00:00Z", "performedBy": "01899912345",
        },
    ]  # fmt: skip


async def test_auth_info_is_for_components_and_for_the_right_party(world):
    instance = await world.instance()
    guid = instance["id"].partition("/")[2]
    path = f"/instances/{instance['id']}/process/authinfo"
    assert (await world.call("GET", path)).status_code == 401
    assert (await world.call("GET", path, world.owner())).status_code == 403
    assert (await world.call("GET", path, platform=world.component("ttd", "skjema"))).status_code == 401
    answer = await world.call("GET", path, platform=world.component())
    assert answer.json()["appId"] == "ttd/skjema"
    assert answer.json()["process"]["currentTask"]["elementId"] == "Task_1"
    wrong = await world.call("GET", f"/instances/50002/{guid}/process/authinfo", platform=world.component())
    assert wrong.status_code == 404


async def test_events_are_told_in_order_and_by_interval(world):
    instance = await world.instance()
    path = f"/instances/{instance['id']}/events"
    for hour in (14, 13):
        event = {"instanceId": instance["id"], "eventType": "saved", "created": f"2026-11-01T{hour}:00:00"}
        assert (await world.call("POST", path, world.user(), json=event)).status_code == 201
    everything = (await world.call("GET", path, world.user())).json()["instanceEvents"]
    assert [each["created"][:13] for each in everything] == ["2026-11-01T12", "2026-11-01T13", "2026-11-01T14"]
    inside = await world.call("GET", f"{path}?from=2026-11-01T12:30:00Z&to=2026-11-01T13:30:00Z", world.user())
    assert len(inside.json()["instanceEvents"]) == 1
    half = await world.call("GET", f"{path}?from=2026-11-01T12:30:00Z", world.user())
    assert len(half.json()["instanceEvents"]) == 3
    assert (await world.call("GET", f"{path}?from=soon&to=later", world.user())).status_code == 400
    typed = await world.call("GET", f"{path}?eventTypes=Created", world.user())
    assert [each["eventType"] for each in typed.json()["instanceEvents"]] == ["Created"]
    one = await world.call("GET", f"{path}/{everything[0]['id']}", world.user())
    assert one.json() == everything[0]
    for wrong in ({"eventType": "Saved"}, {"instanceId": instance["id"], "eventType": "invented"}):
        assert (await world.call("POST", path, world.user(), json=wrong)).status_code == 400
