"""Form data over HTTP: row ids, calculation, concurrent writers, presentation values, validation on the way."""

from __future__ import annotations

import asyncio

IGNORED = ["DataAnnotations", "Required", "Expression"]


async def start(client, app, person="Sindig Bjørk"):
    made = await client.post("instances", params={"instanceOwnerPartyId": app.party(person)})
    assert made.status_code == 201, made.text
    instance = made.json()
    [element] = [each for each in instance["data"] if each["dataType"] == "skjema"]
    return f"instances/{instance['id']}", f"instances/{instance['id']}/data/{element['id']}"


async def test_rows_get_ids_that_stay_while_other_rows_come_and_go(app, ops) -> None:
    client = await app.client("Sindig Bjørk")
    _, form = await start(client, app)
    saved = await client.patch(form, json=ops({"/barn": [{"navn": "Per"}, {"navn": "Pål"}]}))
    rows = saved.json()["newDataModel"]["barn"]
    ids = [row["altinnRowId"] for row in rows]
    assert len(set(ids)) == 2
    saved = await client.patch(form, json={"patch": [{"op": "remove", "path": "/barn/0"}]})
    assert [row["altinnRowId"] for row in saved.json()["newDataModel"]["barn"]] == ids[1:]
    assert (await client.get(form)).json()["barn"] == [{"navn": "Pål"}]
    assert (await client.get(f"{form}?includeRowId=true")).json()["barn"][0]["altinnRowId"] == ids[1]
    copied = await client.patch(form, json={"patch": [{"op": "copy", "from": "/barn/0", "path": "/barn/-"}]})
    assert len({row["altinnRowId"] for row in copied.json()["newDataModel"]["barn"]}) == 2


async def test_presentation_texts_and_data_values_follow_the_model_and_go_when_emptied(app, ops) -> None:
    client = await app.client("Sindig Bjørk")
    here, form = await start(client, app)
    saved = await client.patch(form, json=ops({"/navn": "Kari", "/alder": 41}))
    assert saved.json()["instance"]["dataValues"] == {"alder": "41"}
    assert (await client.get(here)).json()["presentationTexts"] == {"navn": "Kari"}
    await client.patch(form, json={"patch": [{"op": "remove", "path": "/alder"}]})
    assert (await client.get(here)).json()["dataValues"] == {}


async def test_two_writers_at_once_both_land_when_they_change_different_fields(app, ops) -> None:
    client = await app.client("Sindig Bjørk")
    _, form = await start(client, app)
    answers = await asyncio.gather(
        client.patch(form, json=ops({"/navn": "Kari"})),
        client.patch(form, json=ops({"/alder": 41})),
        client.patch(form, json=ops({"/epost": "k@example.no"})),
    )
    assert {answer.status_code for answer in answers} == {200}
    assert (await client.get(form)).json() == {"navn": "Kari", "alder": 41, "epost": "k@example.no"}


async def test_saving_reports_what_is_wrong_with_what_changed_and_clears_it_again(app, ops) -> None:
    client = await app.client("Sindig Bjørk")
    _, form = await start(client, app)
    saved = (await client.patch(form, json=ops({"/navn": "x" * 30, "/barn": [{"alder": 3}]}))).json()
    [schema] = saved["validationIssues"]["DataAnnotations"]
    assert (schema["severity"], schema["code"], schema["field"]) == (1, "maxLength", "navn")
    assert schema["description"] == "Skriv høyst 20 tegn."
    assert [issue["field"] for issue in saved["validationIssues"]["Required"]] == ["barn[0].navn"]
    saved = (await client.patch(form, json=ops({"/navn": "x", "/barn/0/navn": "Per"}))).json()
    assert saved["validationIssues"] == {"DataAnnotations": [], "Required": [], "Expression": []}
    saved = (await client.patch(form, json=ops({"/navn": "y"}, ignored=IGNORED))).json()
    assert saved["validationIssues"] == {}


async def test_what_is_hidden_is_neither_required_nor_judged(app, ops) -> None:
    client = await app.client("Sindig Bjørk")
    here, form = await start(client, app)
    await client.patch(form, json=ops({"/navn": "Kari"}))
    assert (await client.get(f"{here}/validate")).json() == []
    await client.patch(form, json=ops({"/navn": "Agent"}))
    assert [issue["field"] for issue in (await client.get(f"{here}/validate")).json()] == ["hemmelig"]


async def test_expression_rules_and_calculations_see_the_row_they_stand_in(stage, builder, ops) -> None:
    builder.schema["properties"]["barn"]["items"]["properties"]["dobbel"] = {"type": "integer"}
    builder.files["models/skjema.validation.json"] = {
        "validations": {
            "barn.alder": [
                {"message": "for.gammel", "condition": ["greaterThan", ["dataModel", ["argv", 0]], 17]},
                {
                    "message": "navnebror",
                    "severity": "warning",
                    "condition": ["equals", ["dataModel", "barn.navn"], ["dataModel", "navn"]],
                },
            ]
        }
    }
    builder.files["models/skjema.calculation.json"] = {
        "calculations": {
            "barn.dobbel": {"expression": ["multiply", ["dataModel", "barn.alder"], 2]},
            "sum": {"expression": ["plus", ["dataModel", "alder"], 1]},
        }
    }
    builder.texts["for.gammel"] = "Barnet er voksent"
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    _, form = await start(client, app)
    rows = [{"navn": "Per", "alder": 18}, {"navn": "Kari", "alder": 3}]
    answer = await client.patch(form, json=ops({"/navn": "Kari", "/alder": 40, "/barn": rows}))
    assert answer.status_code == 200, answer.text
    saved = answer.json()
    assert [row["dobbel"] for row in saved["newDataModel"]["barn"]] == [36, 6]
    assert saved["newDataModel"]["sum"] == 41
    found = {(i["field"], i["severity"], i["description"]) for i in saved["validationIssues"]["Expression"]}
    assert found == {("barn[0].alder", 1, "Barnet er voksent"), ("barn[1].alder", 2, "navnebror")}


async def test_a_model_sent_whole_replaces_the_old_one_and_changed_fields_are_named(stage, builder) -> None:
    builder.hooks = """
from havn.runtime.hooks import write_data

@write_data("skjema")
def lower(ctx, model: dict, previous: dict) -> None:
    if model.get("navn"):
        model["navn"] = model["navn"].upper()
"""
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    _, form = await start(client, app)
    answer = await client.put(form, json={"navn": "kari", "alder": 3})
    assert (answer.status_code, answer.json()["changedFields"]) == (200, {"navn": "KARI"})
    answer = await client.put(form, json={"navn": "KARI"})
    assert answer.status_code == 201
    assert (await client.get(form)).json() == {"navn": "KARI"}


async def test_several_models_are_patched_in_one_call(app, ops) -> None:
    client = await app.client("Sindig Bjørk")
    here, form = await start(client, app)
    element = form.rpartition("/")[2]
    body = {"patches": [{"dataElementId": element, "patch": ops({"/navn": "Kari"})["patch"]}], "ignoredValidators": []}
    answer = (await client.patch(f"{here}/data", json=body)).json()
    assert answer["newDataModels"] == [{"dataElementId": element, "data": {"navn": "Kari"}}]
    assert {each["source"] for each in answer["validationIssues"]} >= {"Required", "DataAnnotations"}


async def test_prefill_comes_from_the_request_the_profile_and_the_register(stage, builder) -> None:
    builder.files["models/skjema.prefill.json"] = {
        "allowOverwrite": False,
        "UserProfile": {"Email": "epost", "Party.Name": "navn"},
        "DSF": {"LastName": "hemmelig"},
    }
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    body = {"instanceOwner": {"partyId": str(app.party("Sindig Bjørk"))}, "prefill": {"navn": "Eget", "alder": "7"}}
    made = await client.post("instances/create", json=body)
    assert made.status_code == 201, made.text
    [element] = made.json()["data"]
    model = (await client.get(f"instances/{made.json()['id']}/data/{element['id']}")).json()
    assert model == {"navn": "Eget", "alder": 7, "epost": "sindig@example.no", "hemmelig": "BJØRK"}
    bad = await client.post("instances/create", json=body | {"prefill": {"alder": "tolv"}})
    assert bad.status_code == 400


async def test_an_instance_is_made_by_number_and_with_data_beside_it(app) -> None:
    client = await app.client("Sindig Bjørk")
    body = {"instanceOwner": {"organisationNumber": app.stage.number("Lysende Furu AS")}}
    made = await client.post("instances/create", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["instanceOwner"]["partyId"] == str(app.party("Lysende Furu AS"))
    party = app.party("Sindig Bjørk")
    parts = {
        "instance": (None, f'{{"instanceOwner": {{"partyId": "{party}"}}}}', "application/json"),
        "skjema": (None, b"<s><navn>Kari</navn></s>", "application/xml"),
        "vedlegg": ("a.pdf", b"%PDF-1.7", "application/pdf"),
    }
    made = await client.post("instances", files=parts)
    assert made.status_code == 201, made.text
    assert sorted(each["dataType"] for each in made.json()["data"]) == ["skjema", "vedlegg"]
    assert made.json()["presentationTexts"] == {"navn": "Kari"}
    for name, part in (
        ("ukjent", (None, b"{}", "application/json")),
        ("vedlegg", ("a.exe", b"MZ", "application/x-msdownload")),
        ("skjema", (None, b'{"ukjent": 1}', "application/json")),
        ("vedlegg", ("a.pdf", b"", "application/pdf")),
    ):
        refused = await client.post("instances", files={"instance": parts["instance"], name: part})
        assert refused.status_code == 400, (name, refused.text)
    both = await client.post("instances", params={"instanceOwnerPartyId": party}, files=parts)
    assert both.status_code == 400
    assert (await client.post("instances")).status_code == 400
    active = (await client.get(f"instances/{party}/active")).json()
    assert [(each["presentationTexts"], each["lastChangedBy"]) for each in active] == [
        ({"navn": "Kari"}, "BJØRK SINDIG")
    ]
