"""The calls that the unmodified Altinn frontend makes from first page to receipt, in its order."""

from __future__ import annotations


async def test_a_form_is_opened_filled_in_submitted_and_read_again(stage, builder) -> None:
    app = await stage.deploy(builder.write(), frontend_url="https://cdn.example/4")
    browser = await app.browser("Sindig Bjørk")
    party = app.party("Sindig Bjørk")

    metadata = (await browser.get("api/v1/applicationmetadata")).json()
    assert metadata["id"] == "ttd/prove"
    assert metadata["altinnNugetVersion"] == "8.9.0.225"
    assert metadata["features"]["processActions"] is True
    assert {each["id"] for each in metadata["dataTypes"]} == {"skjema", "vedlegg", "ref-data-as-pdf"}
    assert (await browser.get("api/layoutsets")).json()["sets"][0]["tasks"] == ["Task_1"]
    assert (await browser.get("api/v1/applicationsettings")).json() == {"appOidcProvider": None}
    profile = (await browser.get("api/v1/profile/user")).json()
    assert profile["partyId"] == party
    assert "*" in profile["party"]["ssn"]
    assert (await browser.get("api/v1/footer")).status_code == 204
    parties = (await browser.get("api/v1/parties?allowedtoinstantiatefilter=true")).json()
    assert party in {each["partyId"] for each in parties}
    assert all("*" in (each["ssn"] or "*") for each in parties)
    current = await browser.get("api/authorization/parties/current?returnPartyObject=true")
    assert current.json()["partyId"] == party
    assert (await browser.get("api/v1/applicationlanguages")).json() == [{"language": "nb"}]
    assert (await browser.get("api/authentication/keepAlive")).status_code == 200

    page = await browser.get("")
    assert page.text.index("<link") < page.text.index('id="root"') < page.text.index("window.org")
    assert '<script src="https://cdn.example/4/altinn-app-frontend.js">' in page.text
    browser.headers["X-XSRF-TOKEN"] = browser.cookies["XSRF-TOKEN"]
    made = await browser.post(f"instances?instanceOwnerPartyId={party}&language=nb")
    assert made.status_code == 201, made.text
    instance = made.json()
    assert made.headers["location"] == instance["selfLinks"]["apps"] == f"{app.base}/instances/{instance['id']}"
    assert instance["status"]["readStatus"] == 1
    assert instance["instanceOwner"]["party"]["name"] == "BJØRK SINDIG"
    assert instance["dueBefore"] is None
    [element] = instance["data"]
    assert element["dataType"] == "skjema"
    here = f"instances/{instance['id']}"

    assert (await browser.get("api/v1/texts/nb")).json()["resources"][0]["id"] == "om.deg"
    process = (await browser.get(f"{here}/process")).json()
    assert process["currentTask"]["elementId"] == "Task_1"
    assert process["currentTask"]["actions"] == {"read": True, "write": True}
    assert process["processTasks"] == [{"elementId": "Task_1", "elementType": "Task", "altinnTaskType": "data"}]
    assert set((await browser.get("api/layouts/form")).json()) == {"side1"}
    assert (await browser.get("api/layoutsettings/form")).json()["pages"]["order"] == ["side1"]
    assert (await browser.get("api/rulehandler/form")).status_code == 204
    assert (await browser.get("api/ruleconfiguration/form")).status_code == 204
    assert (await browser.get("api/validationconfig/skjema")).json() is None
    data = f"{here}/data/{element['id']}"
    assert (await browser.get(f"{data}?includeRowId=true&language=nb")).json() == {}
    assert "navn" in (await browser.get("api/jsonschema/skjema")).json()["properties"]
    issues = (await browser.get(f"{here}/validate?language=nb&onlyIncrementalValidators=true")).json()
    assert {issue["source"] for issue in issues} == {"Required", "DataAnnotations"}

    ignored = ["DataAnnotations", "Required", "Expression"]
    patch = [{"op": "add", "path": "/navn", "value": "Sindig"}]
    saved = await browser.patch(
        f"{data}?includeRowId=true&language=nb", json={"patch": patch, "ignoredValidators": ignored}
    )
    assert saved.status_code == 200, saved.text
    assert saved.json()["newDataModel"] == {"navn": "Sindig"}
    assert saved.json()["instance"]["presentationTexts"] == {"navn": "Sindig"}
    patch = [
        {"op": "test", "path": "/navn", "value": "Sindig"},
        {"op": "replace", "path": "/navn", "value": "Sindig B"},
    ]
    assert (await browser.patch(data, json={"patch": patch, "ignoredValidators": ignored})).status_code == 200

    moved = await browser.put(f"{here}/process/next?language=nb", content=b"null")
    assert moved.status_code == 200, moved.text
    assert moved.json()["ended"] is not None
    assert moved.json()["currentTask"] is None

    after = (await browser.get(here)).json()
    assert after["status"]["isArchived"] is True
    assert {each["dataType"] for each in after["data"]} == {"skjema", "ref-data-as-pdf"}
    [pdf] = [each for each in after["data"] if each["dataType"] == "ref-data-as-pdf"]
    content = await browser.get(f"{here}/data/{pdf['id']}")
    assert content.headers["content-type"] == "application/pdf"
    assert content.content.startswith(b"%PDF-1.7")
    assert pdf["filename"] == "Prøveskjema.pdf"
    assert (await browser.get(f"{here}/process")).json()["endEvent"] == "End"
    assert (await browser.get(f"{data}?includeRowId=true")).json() == {"navn": "Sindig B"}
    history = (await browser.get(f"{here}/process/history")).json()["processHistory"]
    assert [step["eventType"] for step in history] == ["process_StartEvent", "process_EndTask", "process_EndEvent"]
