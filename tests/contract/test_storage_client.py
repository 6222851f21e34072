"""The clients of storage against the real API: every method, and what a failure becomes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from havn.clients.credentials import Credentials
from havn.contracts.messagebox import MessageBoxQuery
from havn.contracts.signing import DataElementSignature, Signee, SignRequest
from havn.contracts.storage import (
    ABANDON,
    Application,
    DataType,
    Instance,
    InstanceEvent,
    InstanceOwner,
    InstanceQuery,
    PlatformUser,
    ProcessElementInfo,
    ProcessState,
    ProcessStateUpdate,
    Substatus,
    TextResource,
    TextResourceElement,
)
from havn.kit.problem import Problem

# The API in this process is built by the fixtures of its own tests.
_path = Path(__file__).parent.parent / "platform" / "storage" / "conftest.py"
_spec = importlib.util.spec_from_file_location("storage_fixtures", _path)
assert _spec is not None
assert _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
keys, clock, blob_folder = _fixtures.keys, _fixtures.clock, _fixtures.blob_folder
make_world, world = _fixtures.make_world, _fixtures.world

OWNED = Instance(
    instance_owner=InstanceOwner(party_id="50001"),
    process=ProcessState(current_task=ProcessElementInfo(element_id="Task_1", altinn_task_type="data")),
)


async def test_an_instance_from_creation_to_clean_end(world):
    storage, user, owner = world.client, Credentials(world.user()), Credentials(world.owner())
    made = await storage.create_instance("ttd/skjema", OWNED, user, idempotency_key="k")
    assert await storage.create_instance("ttd/skjema", OWNED, user, idempotency_key="k") == made
    assert made.party_id == 50001
    assert made.guid in made.id
    assert await storage.instance(made.id, user) == await storage.instance(made.guid, user) == made

    element = await storage.add_data(
        made.id, "model", b"{}", user, content_type="application/json", filename="æ.json", idempotency_key="d"
    )
    assert element.filename == "æ.json"
    element = await storage.replace_data(
        made.id, element.id, b"[]", user, content_type="application/json", refs=[element.id],
        generated_from_task="Task_0", if_match=element.version,
    )  # fmt: skip
    assert element.refs == [element.id]
    assert element.references[0].value == "Task_0"
    assert await storage.read_data(made.id, element.id, user) == b"[]"
    assert [each.id for each in await storage.data_elements(made.id, user)] == [element.id]
    assert (await storage.lock_data(made.id, element.id, user)).locked
    element = await storage.unlock_data(made.id, element.id, user)
    tagged = await storage.put_data_element(
        made.id, type(element)(id=element.id, instance_guid=made.guid, tags=["a"]), user, if_match=element.version
    )
    assert tagged.tags == ["a"]

    texts = await storage.set_presentation_texts(made.id, {"a": "b", "c": None}, user)
    assert texts.presentation_texts == {"a": "b"}
    assert (await storage.set_data_values(made.id, {"a": "b"}, user)).data_values == {"a": "b"}
    assert (await storage.set_read_status(made.id, "Read", user)).status.read_status == "Read"
    assert (await storage.set_substatus(made.id, Substatus(label="l"), owner)).status.substatus.label == "l"

    token = await storage.lock_instance(made.id, 60, user)
    with pytest.raises(Problem, match="locked") as refused:
        await storage.lock_instance(made.id, 60, user)
    assert refused.value.status == 409
    await storage.extend_lock(made.id, token, 0, user)

    now = await storage.instance(made.id, user)
    task = ProcessElementInfo(element_id="Task_2", altinn_task_type="signing", flow_type="CompleteCurrentMoveToNext")
    event = InstanceEvent(instance_id=made.id, event_type="process_StartTask", user=PlatformUser(user_id=1001))
    update = ProcessStateUpdate(state=ProcessState(current_task=task), events=[event])
    moved = await storage.move_process(made.id, update, user, if_match=now.version)
    assert moved.process.current_task.element_id == "Task_2"
    with pytest.raises(Problem) as stale:
        await storage.move_process(made.id, update, user, if_match=now.version)
    assert (stale.value.status, stale.value.code) == (412, "changed_since")
    assert [each.event_type for each in (await storage.process_history(made.id, user)).process_history] == [
        "process_StartTask"
    ]
    await storage.sign(
        made.id,
        SignRequest(
            signature_document_data_type="signatur",
            data_element_signatures=[DataElementSignature(data_element_id=element.id, signed=True)],
            signee=Signee(user_id="1001"),
        ),
        user,
    )
    assert len(await storage.data_elements(made.id, user)) == 2

    written = await storage.add_event(made.id, InstanceEvent(instance_id=made.id, event_type="Submited"), user)
    assert await storage.event(made.id, written.id, user) == written
    assert [each.id for each in await storage.events(made.id, user, types=["Submited"])] == [written.id]

    back = ProcessState(
        current_task=ProcessElementInfo(element_id="Task_1", altinn_task_type="data", flow_type=ABANDON)
    )
    moved = await storage.put_process(made.id, back, user, if_match=(await storage.instance(made.id, user)).version)
    await storage.delete_data(made.id, element.id, user)
    with pytest.raises(Problem) as gone:
        await storage.read_data(made.id, element.id, user)
    assert gone.value.status == 404
    with pytest.raises(Problem) as gone:
        async with storage.open_data(made.id, element.id, user):
            pass
    assert (gone.value.status, gone.value.code) == (404, "data_element_not_found")

    assert (await storage.delete_instance(made.id, user)).status.is_soft_deleted
    await world.boxes.undelete(made.id, user)
    assert (await storage.complete(made.id, owner)).complete_confirmations[0].stakeholder_id == "ttd"
    assert (await storage.delete_instance(made.id, user, hard=True)).status.is_hard_deleted
    with pytest.raises(Problem) as gone:
        await storage.instance(made.id, user)
    assert (gone.value.status, gone.value.code) == (404, "instance_not_found")


async def test_queries_and_message_boxes(world):
    storage, user, owner = world.client, Credentials(world.user()), Credentials(world.owner())
    made = [await storage.create_instance("ttd/skjema", OWNED, user) for _ in range(3)]
    query = InstanceQuery(
        app_id="ttd/skjema", created=("gte:2026-01-01", "lt:2027-01-01"), is_archived=False, is_complete=False,
        current_task="Task_1", size=2, order="asc:lastChanged", include_data_elements=False,
    )  # fmt: skip
    page = await storage.query(query, owner)
    assert [each.id for each in page.instances] == [each.id for each in made[:2]]
    assert "continuationToken" in page.next
    by_number = InstanceQuery(owner_identifier="Person:01899912345")
    assert (await storage.query(by_number, user)).count == 3
    lines = await world.boxes.search(MessageBoxQuery(instance_owner_party_id_list=[50001]), user)
    assert [each.id for each in lines] == [each.guid for each in made[::-1]]
    assert await world.boxes.instance(made[0].id, user, language="en") == lines[2]
    assert [each.event_type for each in await world.boxes.events(made[0].id, user)] == ["Created"]


async def test_what_components_do(world):
    storage, apps, component = world.client, world.apps, Credentials(platform_token=world.component())
    application = Application(id="ttd/ny", title={"nb": "Ny"}, data_types=[DataType(id="model", max_size=5)])
    published = await apps.publish_application(application, component)
    assert published.data_type("model").max_size == 5
    assert await apps.application("ttd/ny") == published
    assert published in await apps.applications("ttd")
    assert len(await apps.applications()) == 3
    text = TextResource(language="nn", resources=[TextResourceElement(id="appName", value="Ny")])
    await apps.publish_text("ttd/ny", text, component)
    assert (await apps.text("ttd/ny", "nn", Credentials(world.user()))).resources == text.resources
    await apps.delete_text("ttd/ny", "nn", component)
    assert (await apps.delete_application("ttd/ny", component)).valid_to is not None
    await apps.delete_application("ttd/ny", component, hard=True)

    user = Credentials(world.user())
    made = await storage.create_instance("ttd/skjema", OWNED, user)
    element = await storage.add_data(made.id, "vedlegg", b"x", user, content_type="text/plain")
    await storage.set_file_scan_status(made.id, element.id, "Clean", component)
    assert (await storage.data_elements(made.id, user))[0].file_scan_result == "Clean"
    assert await storage.data_element_exists(made.id, element.id, component) is True
    assert (await storage.auth_info(made.id, component)).app_id == "ttd/skjema"
