"""What comes from outside and is not as it should be: the right status and a problem document, never more."""

from __future__ import annotations

import pytest

HOSTILE_XML = [
    b'<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;">]><m><navn>&b;</navn></m>',
    b'<?xml version="1.0"?><!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]><m><navn>&x;</navn></m>',
    b'<?xml version="1.0"?><!DOCTYPE m SYSTEM "http://127.0.0.1:1/evil.dtd"><m><navn>x</navn></m>',
    b"<m><navn>x</m>",
    b"\xff\xfe\x00",
]


async def start(client, app, person: str = "Sindig Bjørk") -> dict:
    made = await client.post("instances", params={"instanceOwnerPartyId": app.party(person)})
    assert made.status_code == 201, made.text
    return made.json()


def form_of(instance: dict) -> str:
    [element] = [each for each in instance["data"] if each["dataType"] == "skjema"]
    return f"instances/{instance['id']}/data/{element['id']}"


async def test_a_tampered_token_is_401_and_never_falls_back_to_the_cookie(app) -> None:
    client = await app.client("Sindig Bjørk")
    head, payload, signature = client.headers["authorization"].split(" ")[1].split(".")
    forged = payload[:-6] + ("AAAAAA" if payload[-6:] != "AAAAAA" else "BBBBBB")
    browser = await app.browser("Sindig Bjørk")
    for token in (f"{head}.{forged}.{signature}", f"{head}.{payload}.{signature[:-4]}AAAA", "x", f"{head}..", ""):
        answer = await browser.get("api/v1/profile/user", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 401, token
        assert answer.headers["content-type"] == "application/problem+json"
        assert "WWW-Authenticate" in answer.headers


async def test_nobody_signed_in_gets_401_from_the_api(app) -> None:
    client = await app.client()
    for path in ("api/v1/profile/user", "api/v1/parties", f"instances/{app.party('Sindig Bjørk')}/active"):
        assert (await client.get(path)).status_code == 401


async def test_a_token_for_another_owners_apps_is_refused(app, stage) -> None:
    token = await stage.token("Sindig Bjørk", app.id)
    app.stage.hosts.apps["skd/prove"] = app.asgi
    client = await app.client()
    ours = await client.get("api/v1/profile/user", headers={"authorization": f"Bearer {token}"})
    assert ours.status_code == 200
    from havn.guard.tokens import AudienceRule

    rule = AudienceRule.owner(scheme="https", domain="havn.test", org="skd")
    assert rule.match("https://ttd.apps.havn.test") == (False, "skd")


async def test_a_foreign_partys_instance_cannot_be_read_or_changed(app, ops) -> None:
    owner, stranger = await app.client("Sindig Bjørk"), await app.client("Stille Bekk")
    instance = await start(owner, app)
    here = f"instances/{instance['id']}"
    assert (await stranger.get(here)).status_code == 403
    assert (await stranger.get(form_of(instance))).status_code == 403
    assert (await stranger.patch(form_of(instance), json=ops({"/navn": "x"}))).status_code == 403
    assert (await stranger.put(f"{here}/process/next")).status_code == 403
    assert (await stranger.delete(here)).status_code == 403
    refused = await stranger.post("instances", params={"instanceOwnerPartyId": app.party("Sindig Bjørk")})
    assert refused.status_code == 403
    assert (await stranger.get(f"{here}/validate")).status_code == 403


async def test_an_unknown_instance_and_one_under_another_party_are_404_or_403(app) -> None:
    client = await app.client("Sindig Bjørk")
    instance = await start(client, app)
    guid = instance["id"].partition("/")[2]
    assert (
        await client.get(f"instances/{app.party('Sindig Bjørk')}/{'0' * 8}-0000-4000-8000-{'0' * 12}")
    ).status_code in (403, 404)
    assert (await client.get(f"instances/{app.party('Stille Bekk')}/{guid}")).status_code == 404
    assert (await client.get("instances/x/y")).status_code == 404


async def test_an_unknown_app_is_404(app) -> None:
    client = await app.client("Sindig Bjørk")
    app.stage.hosts.apps["ttd/annen"] = app.asgi
    answer = await client.get("https://ttd.apps.havn.test/annen/api/v1/applicationmetadata")
    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown_app"


async def test_the_other_address_form_reaches_the_same_app_and_links_in_its_own_form(app) -> None:
    client = await app.client("Sindig Bjørk", prefix="/ttd")
    instance = await start(client, app)
    assert instance["selfLinks"]["apps"] == f"https://ttd.apps.havn.test/ttd/prove/instances/{instance['id']}"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/alder", "tolv"),
        ("/alder", 1.5),
        ("/alder", True),
        ("/navn", 12),
        ("/navn", {"x": 1}),
        ("/barn", "x"),
        ("/barn", [1]),
        ("/barn", [{"ukjent": 1}]),
        ("/ukjent", "x"),
    ],
)
async def test_a_form_value_of_the_wrong_type_or_an_unknown_member_is_422(app, ops, path, value) -> None:
    client = await app.client("Sindig Bjørk")
    form = form_of(await start(client, app))
    answer = await client.patch(form, json=ops({path: value}))
    assert answer.status_code == 422
    assert answer.json()["title"] == "Patch operation did not deserialize"
    assert (await client.get(form)).json() == {}


async def test_a_failed_precondition_is_409_and_an_impossible_operation_422(app) -> None:
    client = await app.client("Sindig Bjørk")
    form = form_of(await start(client, app))
    await client.patch(form, json={"patch": [{"op": "add", "path": "/navn", "value": "Kari"}]})
    test = {
        "patch": [{"op": "test", "path": "/navn", "value": "Ola"}, {"op": "replace", "path": "/navn", "value": "x"}]
    }
    failed = (await client.patch(form, json=test)).json()
    assert failed["status"] == 409
    assert failed["title"] == "Precondition in patch failed"
    assert failed["previousModel"] == {"navn": "Kari"}
    assert failed["patchOperationIndex"] == 0
    impossible = await client.patch(form, json={"patch": [{"op": "remove", "path": "/barn/0"}]})
    assert (impossible.status_code, impossible.json()["title"]) == (422, "Patch Operation Failed")
    assert (await client.patch(form, content=b"{")).status_code == 400
    assert (await client.patch(form, json={"patch": "x"})).status_code == 400


@pytest.mark.parametrize("body", HOSTILE_XML)
async def test_hostile_xml_is_refused(app, body) -> None:
    client = await app.client("Sindig Bjørk")
    form = form_of(await start(client, app))
    answer = await client.put(form, content=body, headers={"content-type": "application/xml"})
    assert answer.status_code == 400, answer.text
    assert (await client.get(form)).json() == {}


async def test_xml_is_read_by_the_schema(app) -> None:
    client = await app.client("Sindig Bjørk")
    form = form_of(await start(client, app))
    body = (
        b"<skjema><navn>Kari</navn><alder>41</alder><barn><navn>Per</navn></barn><barn><alder>3</alder></barn></skjema>"
    )
    answer = await client.put(form, content=body, headers={"content-type": "application/xml"})
    assert answer.status_code == 201, answer.text
    assert (await client.get(form)).json() == {"navn": "Kari", "alder": 41, "barn": [{"navn": "Per"}, {"alder": 3}]}
    unknown = b"<skjema><ukjent>1</ukjent></skjema>"
    assert (await client.put(form, content=unknown, headers={"content-type": "text/xml"})).status_code == 422
    assert (await client.put(form, content=b"a;b", headers={"content-type": "text/csv"})).status_code == 415


async def test_a_body_beyond_its_bound_is_413(app) -> None:
    client = await app.client("Sindig Bjørk")
    form = form_of(await start(client, app))
    huge = b'{"patch": [{"op": "add", "path": "/navn", "value": "' + b"x" * (6 * 1024 * 1024) + b'"}]}'
    assert (await client.patch(form, content=huge)).status_code == 413


async def test_a_post_by_cookie_without_the_pages_token_is_400(app) -> None:
    browser = await app.browser("Sindig Bjørk")
    party = app.party("Sindig Bjørk")
    refused = await browser.post("instances", params={"instanceOwnerPartyId": party})
    assert (refused.status_code, refused.json()["code"]) == (400, "antiforgery")
    wrong = await browser.post("instances", params={"instanceOwnerPartyId": party}, headers={"X-XSRF-TOKEN": "x" * 40})
    assert wrong.status_code == 400


async def test_every_answer_carries_the_security_headers(app) -> None:
    client = await app.client()
    for path in ("api/v1/applicationmetadata", "api/v1/profile/user", "nowhere"):
        headers = (await client.get(path)).headers
        assert headers["x-frame-options"] == "deny"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store,no-cache"


@pytest.mark.parametrize(
    "goto",
    ["https://evil.example/", "//evil.example", "https://ttd.apps.havn.test@evil.example/", "javascript:alert(1)",
     "https://ttd.apps.havn.test\\@evil.example", "https://skd.apps.havn.test/x", ""],
)  # fmt: skip
async def test_sign_in_leads_back_to_our_own_host_only(app, goto) -> None:
    client = await app.client()
    code = await app.stage.code("Sindig Bjørk", app.id)
    answer = await client.get("api/authentication/session", params={"code": code, "goto": goto})
    assert answer.status_code == 302
    assert answer.headers["location"] == f"{app.base}/"
    assert "AltinnStudioRuntime" in answer.headers["set-cookie"]


async def test_the_return_address_of_other_hosts_is_refused(app) -> None:
    import base64

    client = await app.client()
    for address, status in (
        ("https://platform.havn.test/x", 200),
        ("https://evil.example/", 400),
        ("https://nothavn.test/", 400),
        ("javascript:alert(1)//.havn.test", 400),
    ):
        encoded = base64.b64encode(address.encode()).decode()
        assert (await client.get("api/v1/redirect", params={"url": encoded})).status_code == status, address


async def test_public_files_never_leave_their_folder(stage, builder) -> None:
    builder.files["wwwroot/logo.svg"] = "<svg/>"
    app = await stage.deploy(builder.write())
    client = await app.client()
    assert (await client.get("logo.svg")).text == "<svg/>"
    for path in (
        "..%2fappsettings.json",
        "%2e%2e%2fappsettings.json",
        "x/%2e%2e/%2e%2e/appsettings.json",
        ".git/config",
    ):
        assert (await client.get(f"https://ttd.apps.havn.test/prove/{path}")).status_code == 404
