"""Forms without an instance, custom scopes, receipts' content, copies, the owner's calls, and reloading in place."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta

import msgspec
import pytest

from havn.runtime.reload import Reloader


@pytest.fixture
def stateless(builder):
    builder.metadata["onEntry"] = {"show": "form"}
    builder.metadata["dataTypes"][0]["appLogic"] |= {"allowAnonymousOnStateless": True}
    builder.metadata["dataTypes"].append({"id": "lukket", "appLogic": {"classRef": "Lukket"}})
    builder.files["models/skjema.prefill.json"] = {"QueryParameters": {"kommune": "navn"}}
    builder.hooks = """
from havn.runtime.hooks import write_data

@write_data("skjema")
def total(ctx, model: dict, previous: dict) -> None:
    model["sum"] = (model.get("alder") or 0) * 2
"""
    return builder


async def test_a_stateless_form_is_made_and_calculated_for_anybody(stage, stateless) -> None:
    app = await stage.deploy(stateless.write())
    client = await app.client()
    assert (await client.get("v1/data/anonymous?dataType=skjema")).json() == {}
    filled = await client.get('v1/data/anonymous?dataType=skjema&prefill={"kommune":"Oslo"}')
    assert filled.json() == {"navn": "Oslo"}
    done = await client.post("v1/data/anonymous?dataType=skjema", json={"alder": 4})
    assert done.json() == {"alder": 4, "sum": 8}
    assert (await client.post("v1/data/anonymous?dataType=skjema", json={"ukjent": 4})).status_code == 422
    assert (await client.get("v1/data/anonymous?dataType=lukket")).status_code == 401
    assert (await client.get("v1/data/anonymous?dataType=nei")).status_code == 400
    assert (await client.get('v1/data/anonymous?dataType=skjema&prefill={"x":"y"}')).status_code == 400
    page = await client.get("set-query-params?kommune=<script>alert(1)</script>&x=1")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert (await client.get("set-query-params?x=1")).status_code == 400


async def test_a_stateless_form_for_a_party_asks_the_policy(stage, stateless) -> None:
    app = await stage.deploy(stateless.write())
    client, stranger = await app.client("Sindig Bjørk"), await app.client("Stille Bekk")
    party = {"party": f"partyid:{app.party('Sindig Bjørk')}"}
    assert (await client.get("v1/data?dataType=lukket", headers=party)).json() == {}
    assert (await stranger.get("v1/data?dataType=lukket", headers=party)).status_code == 403
    assert (await client.get("v1/data?dataType=lukket")).status_code == 400
    assert (await client.get("v1/data?dataType=lukket", headers={"party": "x:1"})).status_code == 400


async def test_custom_scopes_are_asked_of_programs_and_waived_for_the_portal(stage, builder) -> None:
    builder.metadata["apiScopes"] = {"users": {"read": "altinn:[app].read", "write": "altinn:[app].write"}}
    builder.texts["authorization.scopes.insufficient"] = "Du mangler et scope"
    app = await stage.deploy(builder.write())
    browser = await app.client("Sindig Bjørk")
    assert (await browser.get(f"instances/{app.party('Sindig Bjørk')}/active")).status_code == 200
    from havn.guard.principal import Kind, Principal
    from havn.kit.problem import Problem
    from havn.runtime import access

    context = app.asgi.state.context
    for scope, reads, allowed in (("altinn:prove.read", True, True), ("altinn:prove.read", False, False)):
        principal = Principal(kind=Kind.SYSTEM_USER, token="t", scopes=frozenset({scope}))
        if allowed:
            access.require_scope(context, context.actor(principal), reads=reads, path="/x")
        else:
            with pytest.raises(Problem) as caught:
                access.require_scope(context, context.actor(principal), reads=reads, path="/x")
            assert (caught.value.status, caught.value.detail) == (403, "Du mangler et scope")


async def test_a_submitted_form_can_be_copied_when_the_app_allows_it(stage, builder, ops) -> None:
    builder.metadata["copyInstanceSettings"] = {"enabled": True, "excludedDataFields": ["alder"]}
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    party = app.party("Sindig Bjørk")
    made = (await client.post("instances", params={"instanceOwnerPartyId": party})).json()
    here, [element] = f"instances/{made['id']}", made["data"]
    body = {"instanceOwner": {"partyId": str(party)}, "sourceInstanceId": made["id"]}
    assert (await client.post("instances/create", json=body)).json()["code"] == "not_archived"
    await client.patch(f"{here}/data/{element['id']}", json=ops({"/navn": "Kari", "/alder": 4}))
    await client.put(f"{here}/process/next")
    copied = await client.post("instances/create", json=body)
    assert copied.status_code == 201, copied.text
    [form] = copied.json()["data"]
    assert (await client.get(f"instances/{copied.json()['id']}/data/{form['id']}")).json() == {"navn": "Kari"}


async def test_the_receipt_says_what_the_form_says(stage, builder, ops) -> None:
    from havn.runtime.receipt import content
    from havn.runtime.receipt.document import Answer, Heading, Table
    from havn.runtime.work import Work

    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    party = app.party("Sindig Bjørk")
    made = (await client.post("instances", params={"instanceOwnerPartyId": party})).json()
    form = f"instances/{made['id']}/data/{made['data'][0]['id']}"
    rows = [{"navn": "Per", "alder": 3}, {"navn": "Pål"}]
    await client.patch(form, json=ops({"/navn": "Kari", "/barn": rows}))
    context = app.asgi.state.context
    token = await stage.token("Sindig Bjørk", app.id)
    from havn.guard.principal import from_claims

    claims = msgspec.json.decode(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    actor = context.actor(from_claims(claims, token=token))
    instance = await context.clients.storage.instance(made["id"], actor.credentials)
    document = await content.document(Work(context, actor, instance), ["Task_1"])
    assert (document.title, document.language) == ("Prøveskjema", "nb")
    assert document.facts[0] == Answer("Referansenummer", made["id"].rpartition("-")[2])
    [section] = document.sections
    assert section.blocks[:2] == [Heading("Om deg"), Answer("Ditt navn", "Kari")]
    assert Table("Barn", ["Barnets navn", "barn-alder"], [["Per", "3"], ["Pål", ""]]) in section.blocks
    assert not any(isinstance(block, Answer) and block.label == "hemmelig" for block in section.blocks)


async def test_a_changed_file_is_in_force_at_once_and_a_broken_one_changes_nothing(stage, builder) -> None:
    folder = builder.write()
    app = await stage.deploy(folder, dev=True)
    client = await app.client()
    reloader: Reloader = app.asgi.state.reloader
    texts = folder / "App/config/texts/resource.nb.json"
    texts.write_text('{"language": "nb", "resources": [{"id": "ny", "value": "tekst"}]}')
    assert await reloader.reload()
    assert (await client.get("api/v1/texts/nb")).json()["resources"] == [{"id": "ny", "value": "tekst"}]
    code = folder / "App/logic/hooks.py"
    code.parent.mkdir(exist_ok=True)
    template = "from havn.runtime.hooks import Option, options\n@options('o')\ndef o(ctx): return [Option('{}', 'x')]\n"
    for value in ("a", "b", "c"):
        code.write_text(template.format(value))
        assert await reloader.reload()
        assert (await client.get("api/options/o")).json()[0]["value"] == value
    code.write_text("def broken(:\n")
    assert not await reloader.reload()
    assert (await client.get("api/options/o")).json()[0]["value"] == "c"


async def test_a_save_reaches_the_browser_by_itself(stage, builder) -> None:
    folder = builder.write()
    app = await stage.deploy(folder, dev=True)
    reloader: Reloader = app.asgi.state.reloader
    queue: asyncio.Queue = asyncio.Queue()
    reloader._listeners.add(queue)
    target = folder / "App/ui/form/layouts/side1.json"

    async def save_until_seen() -> dict:
        # The watcher starts in the background; a save before it is ready is not seen.
        while True:
            target.write_text('{"data": {"layout": []}}')
            try:
                return await asyncio.wait_for(queue.get(), timedelta(seconds=1).total_seconds())
            except TimeoutError:
                continue

    event = await asyncio.wait_for(save_until_seen(), 20)
    assert event["kind"] == "reload"


async def test_tools_find_policy_process_and_description(app) -> None:
    client = await app.client()
    assert "Policy" in (await client.get("api/v1/meta/authorizationpolicy")).text
    assert "bpmn:process" in (await client.get("api/v1/meta/process")).text
    described = (await client.get("v1/customOpenapi.json")).json()
    assert described["openapi"] == "3.1.0"
    assert "skjema" in described["components"]["schemas"]


@pytest.mark.parametrize(
    ("name", "as_"),
    [("template-v8", "ttd/first"), ("component-library", None), ("multiple-datamodels-test", None)],
)
async def test_real_apps_start_and_are_instantiated(stage, cases, name, as_) -> None:
    app = await stage.deploy(cases / "apps" / name, as_=as_)
    client = await app.client("Sindig Bjørk")
    assert (await client.get("api/v1/applicationmetadata")).json()["id"] == app.id
    made = await client.post("instances", params={"instanceOwnerPartyId": app.party("Lysende Furu AS")})
    assert made.status_code == 201, made.text
    assert made.json()["data"]
    for each in made.json()["data"]:
        got = await client.get(f"instances/{made.json()['id']}/data/{each['id']}?includeRowId=true")
        assert got.status_code == 200, got.text
