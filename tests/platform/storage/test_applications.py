from __future__ import annotations

import pytest

TEXT = {"language": "nb", "resources": [{"id": "appName", "value": "Søknad"}]}


async def test_metadata_is_for_everybody_to_read(world):
    everything = (await world.call("GET", "/applications")).json()["applications"]
    assert [each["id"] for each in everything] == ["skd/krav", "ttd/skjema"]
    of_org = (await world.call("GET", "/applications/ttd")).json()["applications"]
    assert [each["id"] for each in of_org] == ["ttd/skjema"]
    assert (await world.call("GET", "/applications/t-d")).status_code == 400
    assert (await world.call("GET", "/applications/t%20d")).status_code == 400
    assert (await world.call("GET", "/applications/ttd/skjema")).json()["org"] == "ttd"
    assert (await world.call("GET", "/applications/ttd/finnes-ikke")).status_code == 404


@pytest.mark.parametrize(("method", "path", "body"), [
    ("POST", "/applications?appId=ttd/ny", {"id": "ttd/ny"}),
    ("PUT", "/applications/ttd/skjema", {"id": "ttd/skjema"}),
    ("DELETE", "/applications/ttd/skjema?hard=true", None),
    ("POST", "/applications/ttd/skjema/texts", TEXT),
    ("PUT", "/applications/ttd/skjema/texts/nb", TEXT),
    ("DELETE", "/applications/ttd/skjema/texts/nb", None),
])  # fmt: skip
async def test_only_components_and_the_designer_write(world, method, path, body):
    assert (await world.call(method, path, json=body)).status_code == 401
    assert (await world.call(method, path, world.user(), json=body)).status_code == 403
    assert (await world.call(method, path, world.owner(), json=body)).status_code == 403
    of_app = world.component("ttd", "skjema")
    assert (await world.call(method, path, platform=of_app, json=body)).status_code == 401
    assert (await world.call("GET", "/applications/ttd/ny")).status_code == 404
    assert (await world.call("GET", "/applications/ttd/skjema/texts/nb", world.user())).status_code == 404
    await world.call("POST", "/applications/ttd/skjema/texts", platform=world.component(), json=TEXT)
    designer = world.token(**{"urn:altinn:app": "studio.designer"})
    assert (await world.call(method, path, designer, json=body)).status_code < 300


async def test_publishing_again_keeps_who_made_it(world):
    first = (await world.call("GET", "/applications/ttd/skjema")).json()
    answer = await world.call(
        "POST", "/applications?appId=ttd/skjema", platform=world.component(),
        json={"id": "ttd/skjema", "org": "skd", "created": "1999-01-01T00:00:00Z", "title": {"nb": "Ny"}, "logo": {}},
    )  # fmt: skip
    assert answer.status_code == 201
    assert answer.headers["location"] == "ttd/skjema"
    again = answer.json()
    assert again["org"] == "ttd"
    assert again["created"] == first["created"]
    assert again["validFrom"] == first["validFrom"]
    assert again["lastChanged"] > first["lastChanged"]
    assert again["dataTypes"] == []


@pytest.mark.parametrize("app", ["ttd", "ttd/", "TTD/skjema", "ttd/skjema/x", "1td/skjema", "ttd/-x", "ttd/a b"])
async def test_an_id_that_is_none_is_refused(world, app):
    answer = await world.call("POST", f"/applications?appId={app}", platform=world.component(), json={})
    assert answer.status_code == 400


async def test_a_body_about_another_application_is_refused(world):
    body = {"id": "ttd/annen"}
    platform = world.component()
    assert (await world.call("PUT", "/applications/ttd/skjema", platform=platform, json=body)).status_code == 400
    assert (await world.call("POST", "/applications?appId=ttd/x", platform=platform, json=body)).status_code == 400
    assert (await world.call("PUT", "/applications/ttd/annen", platform=platform, json=body)).status_code == 404


async def test_deletion_ends_validity_or_removes_with_texts(world):
    platform = world.component()
    await world.call("POST", "/applications/ttd/skjema/texts", platform=platform, json=TEXT)
    soft = await world.call("DELETE", "/applications/ttd/skjema", platform=platform)
    assert soft.json()["validTo"] is not None
    assert (await world.call("GET", "/applications/ttd/skjema")).json()["validTo"] == soft.json()["validTo"]
    assert (await world.call("DELETE", "/applications/ttd/skjema?hard=true", platform=platform)).status_code == 200
    assert (await world.call("GET", "/applications/ttd/skjema")).status_code == 404
    assert (await world.call("GET", "/applications/ttd/skjema/texts/nb", world.user())).status_code == 404
    assert (await world.call("DELETE", "/applications/ttd/skjema", platform=platform)).status_code == 404


async def test_texts_are_written_by_language(world):
    platform, path = world.component(), "/applications/ttd/skjema/texts"
    assert (await world.call("PUT", f"{path}/nb", platform=platform, json=TEXT)).status_code == 204
    written = await world.call("POST", path, platform=platform, json=TEXT)
    assert written.json()["id"] == "ttd-skjema-nb"
    changed = {**TEXT, "resources": [{"id": "a", "value": "b", "variables": [{"key": "k", "dataSource": "d"}]}]}
    assert (await world.call("PUT", f"{path}/nb", platform=platform, json=changed)).status_code == 200
    read = (await world.call("GET", f"{path}/nb", world.user())).json()
    assert read["resources"] == changed["resources"]
    assert (await world.call("GET", f"{path}/nb")).status_code == 401
    assert (await world.call("GET", f"{path}/en", world.user())).status_code == 404
    assert (await world.call("PUT", f"{path}/en", platform=platform, json=TEXT)).status_code == 400
    for language in ("nob", "n", "NB", "n1"):
        body = {**TEXT, "language": language}
        assert (await world.call("POST", path, platform=platform, json=body)).status_code == 400
    unknown = await world.call("POST", "/applications/ttd/finnes-ikke/texts", platform=platform, json=TEXT)
    assert unknown.status_code == 404
    assert (await world.call("DELETE", f"{path}/nb", platform=platform)).status_code == 200
    assert (await world.call("DELETE", f"{path}/nb", platform=platform)).status_code == 404
