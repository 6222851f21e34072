from __future__ import annotations

BOX = {"instanceOwnerPartyIdList": [50001]}


async def find(world, token=None, **query):
    answer = await world.call("POST", "/sbl/instances/search", token or world.user(), json={**BOX, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_line_says_what_a_person_needs_and_may_do(world):
    instance = await world.instance(dueBefore="2026-12-01T00:00:00Z", visibleAfter="2026-10-01T00:00:00Z")
    for language, name in (("nb", "Søknad"), ("en", "Application")):
        text = {"language": language, "resources": [{"id": "appName", "value": name}]}
        await world.call("POST", "/applications/ttd/skjema/texts", platform=world.component(), json=text)
    texts = {"texts": {"a": "Ola", "b": "2026"}}
    await world.call("PUT", f"/instances/{instance['id']}/presentationtexts", world.user(), json=texts)
    (line,) = await find(world)
    assert line == {
        "id": instance["id"].partition("/")[2],
        "instanceOwnerId": "50001",
        "org": "ttd",
        "appName": "skjema",
        "title": "Søknad, Ola, 2026",
        "processCurrentTask": "FormFilling",
        "createdDateTime": instance["created"],
        "lastChangedBy": "910000001",
        "dueDateTime": "2026-12-01T00:00:00Z",
        "deleteStatus": 0,
        "readStatus": "Unread",
        "substatus": None,
        "allowDelete": True,
        "allowNewCopy": False,
        "authorizedForWrite": True,
        "authorizedForSign": False,
        "archivedDateTime": None,
        "deletedDateTime": None,
        "presentationText": "Ola, 2026",
        "dataValues": None,
    }
    (line,) = await find(world, language="en")
    assert line["title"] == "Application, Ola, 2026"
    (line,) = await find(world, world.user(1003))
    assert (line["allowDelete"], line["authorizedForWrite"]) == (False, False)
    assert await find(world, world.user(1002)) == []


async def test_active_archived_and_deleted_are_chosen(world):
    active, archived, deleted = [await world.instance() for _ in range(3)]
    await world.finish(archived)
    await world.call("DELETE", f"/instances/{deleted['id']}", world.user())
    guid = {name: each["id"].partition("/")[2] for name, each in
            (("active", active), ("archived", archived), ("deleted", deleted))}  # fmt: skip

    async def chosen(**flags):
        return [each["id"] for each in await find(world, **flags)]

    newest_first = [guid["deleted"], guid["archived"], guid["active"]]
    assert await chosen() == newest_first
    assert await chosen(includeActive=True, includeArchived=True, includeDeleted=True) == newest_first
    assert await chosen(includeActive=True) == [guid["active"]]
    assert await chosen(includeArchived="true") == [guid["archived"]]
    assert await chosen(includeDeleted=True) == [guid["deleted"]]
    assert await chosen(includeActive=True, includeDeleted=True) == [guid["deleted"], guid["active"]]
    reference = guid["archived"][-12:].upper()
    assert await chosen(archiveReference=reference) == [guid["archived"]]
    assert await chosen(archiveReference=reference, includeActive=True) == []
    active_reference = guid["active"][-12:]
    assert await chosen(archiveReference=active_reference, includeActive=True, includeArchived=True) == []
    (line,) = [each for each in await find(world) if each["id"] == guid["deleted"]]
    assert line["deleteStatus"] == 1
    assert line["deletedDateTime"] is not None


async def test_text_is_looked_for_in_titles_and_presentation_texts(world):
    one, other = await world.instance(), await world.instance(app="skd/krav")
    await world.call(
        "PUT", f"/instances/{other['id']}/presentationtexts", world.owner("skd"), json={"texts": {"a": "Kari Nordmann"}}
    )
    one_guid, other_guid = (each["id"].partition("/")[2] for each in (one, other))
    assert [each["id"] for each in await find(world, searchString="SØKNAD OM")] == [one_guid]
    assert [each["id"] for each in await find(world, searchString="nordmann")] == [other_guid]
    assert await find(world, searchString="finnes ikke") == []
    assert [each["id"] for each in await find(world, appId="skd/krav")] == [other_guid]


async def test_intervals_count_creation_for_active_and_change_for_archived(world):
    active = await world.instance()
    archived = await world.instance()
    world.clock.forward(days=10)
    await world.finish(archived)
    late = [each["id"] for each in await find(world, fromCreated="2026-11-05T00:00:00")]
    assert late == [archived["id"].partition("/")[2]]
    early = [each["id"] for each in await find(world, toCreated="2026-11-05T00:00:00Z")]
    assert early == [active["id"].partition("/")[2]]
    changed = [each["id"] for each in await find(world, fromLastChanged="2026-11-05T00:00:00Z")]
    assert changed == late
    assert len(await find(world, toLastChanged="2026-12-05T00:00:00Z")) == 2


async def test_what_is_hidden_or_yet_to_come_is_left_out(world):
    await world.instance(visibleAfter="2027-01-01T00:00:00Z")
    in_task = await world.instance(task="Task_2")
    assert len(await find(world)) == 1
    application = (await world.call("GET", "/applications/ttd/skjema")).json()
    for settings, shown in (
        ({"hideOnTask": ["Task_2"]}, 0),
        ({"hideOnTask": ["Task_1"]}, 1),
        ({"hideAlways": True}, 0),
    ):
        body = {**application, "messageBoxConfig": {"hideSettings": settings}}
        await world.call("PUT", "/applications/ttd/skjema", platform=world.component(), json=body)
        assert len(await find(world)) == shown
    assert (await world.call("GET", f"/sbl/instances/{in_task['id']}", world.user())).status_code == 200


async def test_one_line_offers_a_copy_of_what_is_archived(world):
    instance = await world.instance()
    application = (await world.call("GET", "/applications/ttd/skjema")).json()
    body = {**application, "copyInstanceSettings": {"enabled": True}}
    await world.call("PUT", "/applications/ttd/skjema", platform=world.component(), json=body)
    path = f"/sbl/instances/{instance['id']}?language=nn"
    assert (await world.call("GET", path, world.user())).json()["allowNewCopy"] is False
    await world.finish(instance)
    line = (await world.call("GET", path, world.user())).json()
    assert line["allowNewCopy"] is True
    assert line["processCurrentTask"] == "Archived"
    assert (await world.call("GET", path, world.user(1003))).json()["allowNewCopy"] is False
    assert (await world.call("GET", path, world.user(1002))).status_code == 403


async def test_the_history_tells_saves_in_a_row_once(world):
    instance = await world.instance()
    element = await world.element(instance)
    path = f"/instances/{instance['id']}"
    for content in (b"1", b"2"):
        await world.call("PUT", f"{path}/data/{element['id']}", world.user(), content=content)
    await world.call("PUT", f"{path}/data/{element['id']}", world.owner(), content=b"3")
    await world.call("POST", f"{path}/complete", world.owner())
    told = (await world.call("GET", f"/sbl{path}/events", world.user())).json()
    assert [(each["eventType"], each["user"].get("userId")) for each in told] == [
        ("Created", None), ("Saved", 1001), ("Saved", None),
    ]  # fmt: skip
    assert set(told[0]) == {"id", "createdDateTime", "eventType", "user", "relatedUser", "additionalInfo"}


async def test_a_search_names_its_parties(world):
    for body in ({}, {"instanceOwnerPartyIdList": []}, {"instanceOwnerPartyIdList": list(range(6000))},
                 {"instanceOwnerPartyIdList": [2**63]}, {"instanceOwnerPartyIdList": [-1]}):  # fmt: skip
        assert (await world.call("POST", "/sbl/instances/search", world.user(), json=body)).status_code == 400


async def test_a_thousand_instances_come_in_one_go(world):
    for _ in range(3):
        await world.instance()
    await world.database.execute(
        """insert into instance (guid, org, app, party_id, owner, process, created, created_by, last_changed,
               last_changed_by)
           select gen_random_uuid(), org, app, 50001, owner, process, created, created_by, last_changed, last_changed_by
           from instance, generate_series(1, 333) where party_id = 50001"""
    )
    assert len(await find(world)) == 1002


async def test_a_soft_deletion_from_the_box_is_answered_true(world):
    instance = await world.instance()
    path = f"/sbl/instances/{instance['id']}"
    answer = await world.call("DELETE", path, world.user())
    assert (answer.status_code, answer.json()) == (200, True)
    assert (await world.get(instance))["status"]["isSoftDeleted"] is True
