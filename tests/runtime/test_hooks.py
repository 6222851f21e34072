"""Service code: every hook called where it should be, typed models, explicit results, failures without a trace."""

from __future__ import annotations

import pytest

from havn.cli.models import generate
from havn.runtime.hooks.loader import LoadError


async def start(client, app, **query):
    made = await client.post("instances", params={"instanceOwnerPartyId": app.party("Sindig Bjørk"), **query})
    assert made.status_code == 201, made.text
    instance = made.json()
    [element] = [each for each in instance["data"] if each["dataType"] == "skjema"]
    return f"instances/{instance['id']}", f"instances/{instance['id']}/data/{element['id']}"


async def test_typed_models_come_in_and_their_changes_go_out(stage, builder, ops) -> None:
    builder.hooks = """
from havn.runtime.hooks import CreateContext, ReadContext, WriteContext, create_data, read_data, write_data
from logic.models.skjema import BarnItem, Skjema

@create_data("skjema")
def begin(ctx: CreateContext, model: Skjema) -> None:
    model.navn = f"Ny {ctx.instance.instance_owner.party_id}"[:5]

@write_data("skjema")
async def total(ctx: WriteContext, model: Skjema, previous: Skjema) -> None:
    model.sum = float(sum(child.alder or 0 for child in model.barn or []))
    if previous.navn == "slett":
        model.epost = None
    if model.navn == "fler":
        model.barn = [*(model.barn or []), BarnItem(navn="Ny")]

@read_data("skjema")
def see(ctx: ReadContext, model: Skjema) -> None:
    if model.navn == "lest":
        model.epost = "lest@example.no"
"""
    folder = builder.write()
    generate(folder)
    app = await stage.deploy(folder)
    client = await app.client("Sindig Bjørk")
    _, form = await start(client, app)
    assert (await client.get(form)).json() == {"navn": "Ny 50"}
    rows = [{"alder": 3}, {"alder": 4, "navn": "Per"}]
    model = (await client.patch(form, json=ops({"/barn": rows, "/epost": "x@y.no"}))).json()["newDataModel"]
    assert model["sum"] == 7
    assert [row.get("navn") for row in model["barn"]] == [None, "Per"]
    ids = [row["altinnRowId"] for row in model["barn"]]
    model = (await client.patch(form, json=ops({"/navn": "fler"}))).json()["newDataModel"]
    assert [row["altinnRowId"] for row in model["barn"]][:2] == ids
    assert model["barn"][2]["navn"] == "Ny"
    await client.patch(form, json=ops({"/navn": "slett"}))
    assert "epost" not in (await client.patch(form, json=ops({"/navn": "lest"}))).json()["newDataModel"]
    assert (await client.get(form)).json()["epost"] == "lest@example.no"


async def test_a_hook_may_add_elements_see_all_changes_and_abandon(stage, builder, ops) -> None:
    builder.metadata["dataTypes"].append({"id": "logg", "allowedContentTypes": ["text/plain"], "maxCount": 0})
    builder.hooks = """
from havn.runtime.hooks import Abandon, ChangesContext, after_write, error

@after_write()
async def watch(ctx: ChangesContext) -> None:
    for change in ctx.changes:
        if change.kind == "updated" and (change.current or {}).get("navn") == "nei":
            raise Abandon(error("navn", "ikke.lov", verdi="nei"))
        if change.kind == "updated" and change.data_type == "skjema":
            ctx.data.add_file("logg", "logg.txt", "text/plain", f"{change.previous} -> {change.current}".encode())
            model = await ctx.data.model("skjema", dict)
            model["epost"] = "satt@example.no"
"""
    builder.texts["ikke.lov"] = "Dette går ikke"
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    here, form = await start(client, app)
    saved = (await client.patch(form, json=ops({"/navn": "Kari"}))).json()
    assert saved["newDataModel"] == {"navn": "Kari", "epost": "satt@example.no"}
    [log] = [each for each in saved["instance"]["data"] if each["dataType"] == "logg"]
    assert b"Kari" in (await client.get(f"{here}/data/{log['id']}")).content
    refused = await client.patch(form, json=ops({"/navn": "nei"}))
    assert refused.status_code == 400
    [issue] = refused.json()["uploadValidationIssues"]
    assert (issue["source"], issue["description"]) == ("DataProcessorAbandon", "Dette går ikke")
    assert (await client.get(form)).json()["navn"] == "Kari"


async def test_validators_keep_their_names_and_run_when_their_fields_change(stage, builder, ops) -> None:
    builder.hooks = """
from havn.runtime.hooks import error, validate_element, validate_form, validate_task, warning

@validate_form("skjema", name="alderskontroll", fields=["alder"])
def age(ctx, model: dict):
    return [error("alder", "for.ung", grense="18")] if (model.get("alder") or 0) < 18 else []

@validate_task("Task_1", name="hele-oppgaven")
async def task(ctx):
    model = await ctx.data.model("skjema", dict)
    model["navn"] = "endret av validator"
    return [warning(None, "husk.vedlegg")]

@validate_element("vedlegg", name="vedleggskontroll")
def element(ctx, element):
    return [error("vedlegg", "stygt.navn")] if element.filename == "stygg.pdf" else []
"""
    builder.texts["for.ung"] = "Du må være 18"
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    here, form = await start(client, app)
    saved = (await client.patch(form, json=ops({"/alder": 3}))).json()["validationIssues"]
    assert [(i["field"], i["description"]) for i in saved["alderskontroll"]] == [("alder", "Du må være 18")]
    saved = (await client.patch(form, json=ops({"/navn": "Kari"}))).json()["validationIssues"]
    assert "alderskontroll" not in saved
    assert "hele-oppgaven" not in saved
    headers = {"content-type": "application/pdf", "content-disposition": "attachment; filename=stygg.pdf"}
    await client.post(f"{here}/data/vedlegg", content=b"x", headers=headers)
    found = {(i["source"], i["severity"]) for i in (await client.get(f"{here}/validate")).json()}
    assert found == {("alderskontroll", 1), ("hele-oppgaven", 2), ("vedleggskontroll", 1)}
    assert (await client.get(form)).json()["navn"] == "Kari"


async def test_an_exception_is_a_500_without_a_trace(stage, builder, ops, capsys) -> None:
    builder.hooks = """
from havn.runtime.hooks import write_data

@write_data("skjema")
def broken(ctx, model: dict, previous: dict) -> None:
    raise KeyError("hemmelighet")
"""
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    _, form = await start(client, app)
    answer = await client.patch(form, json=ops({"/navn": "Kari"}))
    assert (answer.status_code, answer.json()["code"]) == (500, "app_code_failed")
    assert "hemmelighet" not in answer.text
    logged = capsys.readouterr().out
    assert "hooks.py" in logged
    assert "line=6" in logged
    assert (await client.get(form)).json() == {}


async def test_an_instantiation_can_be_refused_with_a_reason(stage, builder) -> None:
    builder.hooks = """
from havn.runtime.hooks import InstantiationContext, Refusal, validate_instantiation

@validate_instantiation()
def only_people(ctx: InstantiationContext):
    if ctx.party_type != "person":
        return Refusal(text_key="bare.personer", valid_party_ids=[1])
"""
    builder.texts["bare.personer"] = "Bare for personer"
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    refused = await client.post("instances", params={"instanceOwnerPartyId": app.party("Lysende Furu AS")})
    body = refused.json()
    assert (refused.status_code, body["valid"], body["message"]) == (403, False, "Bare for personer")
    assert (body["customTextKey"], body["validParties"]) == ("bare.personer", [1])
    await start(client, app)


async def test_actions_answer_with_client_actions_errors_and_redirects(stage, builder) -> None:
    builder.steps = [("Task_1", "data", ["beregn!", "hemmelig!"])]
    builder.rules = [("urn:altinn:rolecode", "priv", ["instantiate", "read", "write", "beregn"])]
    builder.hooks = """
from havn.runtime.hooks import ActionContext, ActionDone, ActionFailed, ActionRedirect, ClientAction, action

@action("beregn")
async def compute(ctx: ActionContext):
    if ctx.button_id == "feil":
        return ActionFailed(code="tom", message="ingenting", kind="conflict")
    if ctx.button_id == "ut":
        return ActionRedirect("https://example.no/")
    model = await ctx.data.model("skjema", dict)
    model["sum"] = 42
    return ActionDone([ClientAction("nextPage")])
"""
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    here, form = await start(client, app)
    answer = await client.post(f"{here}/actions", json={"action": "beregn"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["clientActions"] == [{"id": "nextPage", "metadata": None}]
    assert list(body["updatedDataModels"].values()) == [{"sum": 42}]
    assert (await client.get(form)).json() == {"sum": 42}
    failed = await client.post(f"{here}/actions", json={"action": "beregn", "buttonId": "feil"})
    assert (failed.status_code, failed.json()["error"]["code"]) == (409, "tom")
    out = await client.post(f"{here}/actions", json={"action": "beregn", "buttonId": "ut"})
    assert out.json()["redirectUrl"] == "https://example.no/"
    assert (await client.post(f"{here}/actions", json={"action": "hemmelig"})).status_code == 403
    assert (await client.post(f"{here}/actions", json={})).status_code == 400
    actions = (await client.get(f"{here}/process")).json()["currentTask"]["userActions"]
    assert {(a["id"], a["authorized"], a["type"]) for a in actions} == {
        ("read", True, "ProcessAction"),
        ("write", True, "ProcessAction"),
        ("beregn", True, "ServerAction"),
        ("hemmelig", False, "ServerAction"),
    }


async def test_process_hooks_run_in_their_order_and_may_stop_the_move(stage, builder, ops) -> None:
    builder.steps = [("Task_1", "data", []), ("Send", "utsending", []), ("Task_2", "confirmation", ["confirm"])]
    builder.service = frozenset({"Send"})
    builder.rules = [("urn:altinn:rolecode", "priv", ["instantiate", "read", "write", "confirm", "utsending"])]
    builder.hooks = """
from pathlib import Path
from havn.runtime.hooks import (
    Done, Failed, Retry, TaskContext, authorize_action, process_end, service_task, task_end, task_start,
)

def note(ctx, what):
    with open(Path(ctx.folder) / "notes.txt", "a") as out:
        out.write(f"{what} {ctx.task}\\n")

@task_start("*")
def started(ctx: TaskContext):
    note(ctx, "start")

@task_end("Task_1")
async def ended(ctx: TaskContext):
    note(ctx, "end")
    model = await ctx.data.model("skjema", dict)
    if model.get("alder") == 1:
        return Retry("Kom igjen senere.")
    return Done()

@service_task("utsending")
async def send(ctx: TaskContext):
    note(ctx, "send")
    model = await ctx.data.model("skjema", dict)
    return Failed("Mottakeren svarer ikke.") if model.get("alder") == 2 else Done()

@process_end()
def over(ctx: TaskContext):
    note(ctx, "over")
"""
    folder = builder.write()
    app = await stage.deploy(folder)
    client = await app.client("Sindig Bjørk")
    here, form = await start(client, app)
    await client.patch(form, json=ops({"/navn": "Kari", "/alder": 1}))
    stopped = await client.put(f"{here}/process/next")
    assert (stopped.status_code, stopped.json()["detail"]) == (500, "Kom igjen senere.")
    assert (await client.patch(form, json=ops({"/alder": 2}))).status_code == 200
    waiting = await client.put(f"{here}/process/next")
    assert (waiting.status_code, waiting.json()["detail"]) == (500, "Mottakeren svarer ikke.")
    state = (await client.get(f"{here}/process")).json()["currentTask"]
    assert (state["elementId"], state["elementType"]) == ("Send", "ServiceTask")
    notes = folder / "App/notes.txt"
    assert notes.read_text().split("\n") == [
        "start Task_1", "end Task_1", "end Task_1", "start Send", "send Send", ""
    ]  # fmt: skip
    here, form = await start(client, app)
    notes.unlink()
    await client.patch(form, json=ops({"/navn": "Kari"}))
    assert (await client.put(f"{here}/process/next")).json()["currentTask"]["elementId"] == "Task_2"
    await client.put(f"{here}/process/next", json={"action": "confirm"})
    assert notes.read_text().splitlines() == ["end Task_1", "start Send", "send Send", "start Task_2", "over None"]


async def test_options_and_lists_come_from_code_before_files(stage, builder) -> None:
    builder.files["options/farger.json"] = [{"value": 1, "label": "en"}, {"value": True, "label": "ja"}]
    builder.files["options/kommuner.json"] = [{"value": "x", "label": "fra fil"}]
    builder.hooks = """
from havn.runtime.hooks import DataListPage, Option, Options, OptionsContext, data_list, external_api, options

@options("Kommuner")
def municipalities(ctx: OptionsContext):
    return Options([Option("0301", f"Oslo {ctx.query.get('q', '')}")], parameters={"kilde": "a b"})

@options("mine", per_instance=True)
def mine(ctx: OptionsContext):
    return [Option(ctx.instance.id, "denne")]

@data_list("folk")
def people(ctx: OptionsContext):
    return DataListPage(rows=[{"navn": "Kari"}], page=0, size=1, total=3)

@external_api("vær")
async def weather(ctx: OptionsContext):
    return {"grader": 4}
"""
    app = await stage.deploy(builder.write())
    anonymous, client = await app.client(), await app.client("Sindig Bjørk")
    assert (await anonymous.get("api/options/farger")).json() == [
        {"value": 1, "label": "en"}, {"value": True, "label": "ja"}
    ]  # fmt: skip
    found = await anonymous.get("api/options/kommuner?q=by&language=nb")
    assert found.json() == [{"value": "0301", "label": "Oslo by"}]
    assert found.headers["Altinn-DownstreamParameters"] == "kilde=a%20b"
    missing = await anonymous.get("api/options/mine")
    assert missing.status_code == 404
    here, _ = await start(client, app)
    assert (await client.get(f"{here}/options/mine")).json()[0]["label"] == "denne"
    assert (await client.get(f"{here}/options/farger")).status_code == 200
    rows = (await anonymous.get("api/datalists/folk")).json()
    assert rows["_metaData"] == {"page": 0, "pageCount": 3, "pageSize": 1, "totaltItemsCount": 3, "links": []}
    assert (await client.get(f"{here}/api/external/vær")).json() == {"grader": 4}
    assert (await client.get(f"{here}/api/external/x")).status_code == 400
    for name in ("../config/applicationmetadata", "..%2f..%2fappsettings", "nei"):
        assert (await anonymous.get(f"api/options/{name}")).status_code == 404


@pytest.mark.parametrize(
    ("code", "line", "words"),
    [
        ("from havn.runtime.hooks import write_data\nx = (", 2, "never closed"),
        ("import finnes_ikke\n", 1, "finnes_ikke"),
        (
            "from havn.runtime.hooks import validate_form\n"
            '@validate_form("a", name="x")\ndef a(c, m): ...\n'
            '@validate_form("a", name="x")\ndef b(c, m): ...\n',
            4,
            "two validators",
        ),
    ],
)
async def test_code_that_cannot_be_loaded_is_reported_with_file_and_line(stage, builder, code, line, words) -> None:
    builder.hooks = code
    with pytest.raises(LoadError) as caught:
        await stage.deploy(builder.write())
    assert caught.value.file.endswith("logic/hooks.py")
    assert caught.value.line == line
    assert words in str(caught.value)
