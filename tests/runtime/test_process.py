"""Moving on: what stops it, what it locks, who may, what happens when it is cut short or asked for twice."""

from __future__ import annotations

import asyncio

import pytest

CONFIRM = [("Task_1", "data", []), ("Task_2", "confirmation", ["confirm", "reject"])]


async def start(client, app):
    made = await client.post("instances", params={"instanceOwnerPartyId": app.party("Sindig Bjørk")})
    assert made.status_code == 201, made.text
    instance = made.json()
    [element] = [each for each in instance["data"] if each["dataType"] == "skjema"]
    return f"instances/{instance['id']}", f"instances/{instance['id']}/data/{element['id']}"


async def test_errors_stop_a_submit_and_name_what_is_wrong(app) -> None:
    client = await app.client("Sindig Bjørk")
    here, _ = await start(client, app)
    refused = await client.put(f"{here}/process/next")
    assert refused.status_code == 409
    assert refused.json()["title"] == "Validation failed for task"
    assert {issue["field"] for issue in refused.json()["validationIssues"]} == {"navn"}
    assert (await client.get(f"{here}/process")).json()["currentTask"]["elementId"] == "Task_1"


async def test_too_few_attachments_stop_a_submit(stage, builder, ops) -> None:
    builder.metadata["dataTypes"][1]["minCount"] = 1
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    here, form = await start(client, app)
    await client.patch(form, json=ops({"/navn": "Kari"}))
    [issue] = (await client.put(f"{here}/process/next")).json()["validationIssues"]
    assert (issue["code"], issue["field"], issue["source"]) == (
        "TooFewDataElementsOfType",
        "vedlegg",
        "DefaultTaskValidator-Task_1",
    )


async def test_a_confirmation_can_be_rejected_which_opens_the_form_again(stage, builder, ops) -> None:
    builder.steps = CONFIRM
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    here, form = await start(client, app)
    await client.patch(form, json=ops({"/navn": "Kari", "/barn": [{"navn": "Per"}]}))
    state = (await client.put(f"{here}/process/next")).json()
    assert state["currentTask"]["elementId"] == "Task_2"
    assert state["currentTask"]["flow"] == 3
    assert state["currentTask"]["actions"] == {"read": True, "write": True, "confirm": True, "reject": True}
    locked = await client.patch(form, json=ops({"/navn": "x"}))
    assert (locked.status_code, locked.json()["code"]) == (409, "locked")
    assert (await client.get(f"{form}?includeRowId=true")).json()["barn"] != []
    ended = (await client.put(f"{here}/process/next", json={"action": "confirm"})).json()
    assert ended["endEvent"] == "End"
    assert (await client.put(f"{here}/process/next")).status_code == 409
    closed = await client.patch(form, json=ops({"/navn": "x"}))
    assert (closed.status_code, closed.json()["code"]) == (409, "instance_closed")


async def test_only_who_may_confirm_confirms(stage, builder, ops) -> None:
    builder.steps = CONFIRM
    builder.rules = [("urn:altinn:rolecode", "priv", ["instantiate", "read", "write"])]
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    here, form = await start(client, app)
    await client.patch(form, json=ops({"/navn": "Kari"}))
    state = (await client.put(f"{here}/process/next")).json()
    assert state["currentTask"]["actions"]["confirm"] is False
    assert (await client.put(f"{here}/process/next", json={"action": "confirm"})).status_code == 403
    assert (await client.put(f"{here}/process/next")).status_code == 403


async def test_a_gateway_follows_its_conditions(stage, builder, ops) -> None:
    builder.steps = CONFIRM
    folder = builder.write()
    process = folder / "App/config/process/process.bpmn"
    text = process.read_text()
    text = text.replace('sourceRef="Task_1" targetRef="Task_2"/>', 'sourceRef="Task_1" targetRef="G"/>')
    text = text.replace(
        "</bpmn:process>",
        '<bpmn:exclusiveGateway id="G"/>'
        '<bpmn:sequenceFlow id="Ga" sourceRef="G" targetRef="Task_2"><bpmn:conditionExpression>'
        '["greaterThan", ["dataModel", "alder"], 17]</bpmn:conditionExpression></bpmn:sequenceFlow>'
        '<bpmn:sequenceFlow id="Gb" sourceRef="G" targetRef="End"><bpmn:conditionExpression>'
        '["lessThanEq", ["dataModel", "alder"], 17]</bpmn:conditionExpression></bpmn:sequenceFlow></bpmn:process>',
    )
    process.write_text(text)
    app = await stage.deploy(folder)
    client = await app.client("Sindig Bjørk")
    for age, expected in ((40, "Task_2"), (4, None)):
        here, form = await start(client, app)
        await client.patch(form, json=ops({"/navn": "Kari", "/alder": age}))
        state = (await client.put(f"{here}/process/next")).json()
        assert (state["currentTask"] or {}).get("elementId") == expected
    here, form = await start(client, app)
    await client.patch(form, json=ops({"/navn": "Kari"}))
    assert (await client.put(f"{here}/process/next")).json()["code"] == "no_way_on"


async def test_a_double_submit_moves_once(app, ops) -> None:
    client = await app.client("Sindig Bjørk")
    here, form = await start(client, app)
    await client.patch(form, json=ops({"/navn": "Kari"}))
    first, second = await asyncio.gather(client.put(f"{here}/process/next"), client.put(f"{here}/process/next"))
    assert {first.status_code, second.status_code} <= {200, 409}
    assert 200 in {first.status_code, second.status_code}
    after = (await client.get(here)).json()
    assert sorted(each["dataType"] for each in after["data"]) == ["ref-data-as-pdf", "skjema"]
    history = (await client.get(f"{here}/process/history")).json()["processHistory"]
    assert [step["eventType"] for step in history].count("process_EndEvent") == 1


async def test_a_submit_killed_at_any_call_can_be_made_again(app, ops) -> None:
    """The connection to storage breaks before or after each write of a submit; the next attempt completes it."""
    client = await app.client("Sindig Bjørk")
    calls: list[str] = []

    def record(scope):
        if scope["path"].startswith("/storage") and scope["method"] != "GET":
            calls.append(f"{scope['method']} {scope['path']}")

    here, form = await start(client, app)
    await client.patch(form, json=ops({"/navn": "Kari", "/barn": [{"navn": "Per"}]}))
    app.stage.hosts.lost[:] = [record]
    assert (await client.put(f"{here}/process/next")).status_code == 200
    app.stage.hosts.lost.clear()
    total = len(calls)
    assert total >= 6
    for fatal in range(total):
        for when in ("before", "after"):
            here, form = await start(client, app)
            await client.patch(form, json=ops({"/navn": "Kari", "/barn": [{"navn": "Per"}]}))
            count = -1

            def die(scope, fatal=fatal, when=when):
                nonlocal count
                if scope["path"].startswith("/storage") and scope["method"] != "GET":
                    count += 1
                    # A killed process makes no further call, not even to clean up.
                    return when if count == fatal else "before" if count > fatal else None
                return "before" if count >= fatal and scope["path"].startswith("/storage") else None

            app.stage.hosts.lost[:] = [die]
            await client.put(f"{here}/process/next")
            app.stage.hosts.lost.clear()
            app.stage.clock.forward(seconds=1)
            again = await client.put(f"{here}/process/next")
            where = f"{when} call {fatal}: {calls[fatal]}"
            assert again.status_code in (200, 409), f"{where}: {again.text}"
            if again.status_code == 409:
                assert again.json()["code"] == "process_ended", f"{where}: {again.text}"
            after = (await client.get(here)).json()
            assert after["status"]["isArchived"] is True, where
            assert sorted(each["dataType"] for each in after["data"]) == ["ref-data-as-pdf", "skjema"], where
            assert all(each["locked"] for each in after["data"] if each["dataType"] == "skjema"), where
            assert (await client.get(form)).json()["navn"] == "Kari"


async def test_after_a_killed_submit_the_person_may_also_go_on_editing(app, ops) -> None:
    client = await app.client("Sindig Bjørk")
    here, form = await start(client, app)
    await client.patch(form, json=ops({"/navn": "Kari"}))

    def die(scope):
        return "before" if scope["path"].endswith("/process/instanceandevents") or moved else None

    moved = False
    app.stage.hosts.lost[:] = [die]
    assert (await client.put(f"{here}/process/next")).status_code == 503
    app.stage.hosts.lost.clear()
    saved = await client.patch(form, json=ops({"/navn": "Ola"}))
    assert saved.status_code == 200, saved.text
    assert (await client.put(f"{here}/process/next")).json()["ended"] is not None
    assert (await client.get(form)).json() == {"navn": "Ola"}


async def test_an_instantiation_that_fails_leaves_nothing_behind(stage, builder) -> None:
    builder.hooks = """
from havn.runtime.hooks import create_data

@create_data("skjema")
def fail(ctx, model: dict) -> None:
    raise ValueError("secret detail")
"""
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    party = app.party("Sindig Bjørk")
    answer = await client.post("instances", params={"instanceOwnerPartyId": party})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert (await client.get(f"instances/{party}/active")).json() == []


async def test_a_task_that_lost_its_data_to_a_kill_is_mended_when_opened(app) -> None:
    client = await app.client("Sindig Bjørk")
    dead = False

    def die(scope):
        nonlocal dead
        dead = dead or scope["path"].endswith("/data")
        return "before" if dead and scope["path"].startswith("/storage") else None

    app.stage.hosts.lost[:] = [die]
    party = app.party("Sindig Bjørk")
    assert (await client.post("instances", params={"instanceOwnerPartyId": party})).status_code == 503
    app.stage.hosts.lost.clear()
    [left] = (await client.get(f"instances/{party}/active")).json()
    opened = (await client.get(f"instances/{left['id']}")).json()
    assert [each["dataType"] for each in opened["data"]] == ["skjema"]


async def test_a_pdf_task_makes_the_receipt_in_the_newer_shape(stage, builder, ops) -> None:
    builder.steps = [("Task_1", "data", []), ("Pdf", "pdf", []), ("Task_2", "confirmation", ["confirm"])]
    builder.service = frozenset({"Pdf"})
    folder = builder.write()
    app_folder = folder / "App"
    (app_folder / "ui/layout-sets.json").unlink()
    (app_folder / "ui/form").rename(app_folder / "ui/Task_1")
    (app_folder / "ui/Task_1/Settings.json").write_text('{"defaultDataType": "skjema", "pages": {"order": ["side1"]}}')
    process = app_folder / "config/process/process.bpmn"
    tasks = "<altinn:autoPdfTaskIds><altinn:taskId>Task_1</altinn:taskId></altinn:autoPdfTaskIds>"
    kind = "<altinn:taskType>pdf</altinn:taskType>"
    text = process.read_text().replace(kind, f"{kind}<altinn:pdfConfig>{tasks}</altinn:pdfConfig>")
    process.write_text(text)
    app = await stage.deploy(folder)
    client = await app.client("Sindig Bjørk")
    here, form = await start(client, app)
    await client.patch(form, json=ops({"/navn": "Kari"}))
    state = (await client.put(f"{here}/process/next")).json()
    assert state["currentTask"]["elementId"] == "Task_2"
    kinds = [each["dataType"] for each in (await client.get(here)).json()["data"]]
    assert sorted(kinds) == ["ref-data-as-pdf", "skjema"]


async def test_a_weak_sign_in_is_told_which_level_is_needed(stage, builder) -> None:
    builder.level = 4
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    refused = await client.post("instances", params={"instanceOwnerPartyId": app.party("Sindig Bjørk")})
    assert (refused.status_code, refused.json()["RequiredAuthenticationLevel"]) == (403, "4")
    strong = await app.client("Sindig Bjørk", level="high")
    made = await strong.post("instances", params={"instanceOwnerPartyId": app.party("Sindig Bjørk")})
    assert made.status_code == 201, made.text


@pytest.mark.parametrize("hard", ["false", "true"])
async def test_a_draft_can_be_deleted(app, hard) -> None:
    client = await app.client("Sindig Bjørk")
    here, _ = await start(client, app)
    gone = await client.delete(here, params={"hard": hard})
    assert gone.json()["status"]["isSoftDeleted"] is True
    assert (await client.get(f"instances/{app.party('Sindig Bjørk')}/active")).json() == []
