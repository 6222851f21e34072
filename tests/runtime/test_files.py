"""Attachments: every check in its order, tags, deletion, and the bytes given back as they came."""

from __future__ import annotations

import pytest

PDF = {"content-type": "application/pdf", "content-disposition": "attachment; filename*=UTF-8''S%C3%B8knad.pdf"}


async def start(client, app):
    made = await client.post("instances", params={"instanceOwnerPartyId": app.party("Sindig Bjørk")})
    return f"instances/{made.json()['id']}"


async def test_a_file_is_kept_and_given_back_under_its_name(app) -> None:
    client = await app.client("Sindig Bjørk")
    here = await start(client, app)
    answer = await client.post(f"{here}/data/vedlegg?language=nb", content=b"%PDF-1.7 x", headers=PDF)
    assert answer.status_code == 200, answer.text
    element = answer.json()["newDataElementId"]
    assert answer.json()["validationIssues"] == []
    back = await client.get(f"{here}/data/{element}")
    assert back.content == b"%PDF-1.7 x"
    assert back.headers["content-disposition"] == "attachment; filename*=UTF-8''S%C3%B8knad.pdf"
    [kept] = [each for each in answer.json()["instance"]["data"] if each["id"] == element]
    assert (kept["filename"], kept["contentType"], kept["size"]) == ("Søknad.pdf", "application/pdf", 10)
    gone = await client.delete(f"{here}/data/{element}")
    assert gone.status_code == 200
    assert element not in {each["id"] for each in gone.json()["instance"]["data"]}
    assert (await client.get(f"{here}/data/{element}")).status_code == 404


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({"content-type": "application/pdf"}, b"x", 400, "MissingFileName"),
        (PDF | {"content-disposition": "attachment; filename=uten"}, b"x", 400, "InvalidFileNameFormat"),
        (PDF | {"content-disposition": "attachment; filename=.pdf"}, b"x", 400, "InvalidFileNameFormat"),
        (PDF | {"content-disposition": "attachment; filename=..%2F..%2Fa.pdf"}, b"x", 400, "InvalidFileNameFormat"),
        (PDF | {"content-disposition": "attachment; filename=a.png"}, b"x", 400, "ContentTypeNotAllowed"),
        (
            {"content-type": "text/html", "content-disposition": "attachment; filename=a.html"},
            b"x",
            400,
            "ContentTypeNotAllowed",
        ),
        (
            {"content-type": "application/octet-stream", "content-disposition": "attachment; filename=a.exe"},
            b"x",
            400,
            "ContentTypeNotAllowed",
        ),
        (PDF, b"", 400, "EmptyFile"),
        (PDF, b"x" * (1024 * 1024 + 1), 413, "DataElementTooLarge"),
    ],
)
async def test_a_file_that_will_not_do_is_refused_with_the_reason(app, headers, content, status, code) -> None:
    client = await app.client("Sindig Bjørk")
    here = await start(client, app)
    answer = await client.post(f"{here}/data/vedlegg", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if status == 400:
        assert answer.json()["title"] == "File validation failed"
        assert answer.json()["uploadValidationIssues"][0]["code"] == code
    assert len((await client.get(here)).json()["data"]) == 1


async def test_an_upload_without_a_declared_length_is_cut_off_at_the_bound(app) -> None:
    client = await app.client("Sindig Bjørk")
    here = await start(client, app)

    async def endless():
        for _ in range(40):
            yield b"x" * 65536

    answer = await client.post(f"{here}/data/vedlegg", content=endless(), headers=PDF)
    assert answer.status_code == 413


async def test_no_more_files_than_the_type_allows_and_no_unknown_type(app) -> None:
    client = await app.client("Sindig Bjørk")
    here = await start(client, app)
    for _ in range(2):
        assert (await client.post(f"{here}/data/vedlegg", content=b"x", headers=PDF)).status_code == 200
    assert (await client.post(f"{here}/data/vedlegg", content=b"x", headers=PDF)).status_code == 409
    assert (await client.post(f"{here}/data/ukjent", content=b"x", headers=PDF)).status_code == 404
    assert (await client.post(f"{here}/data/ref-data-as-pdf", content=b"x", headers=PDF)).status_code == 403


async def test_the_forms_own_data_cannot_be_deleted(app) -> None:
    client = await app.client("Sindig Bjørk")
    here = await start(client, app)
    [form] = (await client.get(here)).json()["data"]
    answer = await client.delete(f"{here}/data/{form['id']}")
    assert (answer.status_code, answer.json()["code"]) == (400, "required_element")


async def test_tags_are_set_added_and_taken_away(app) -> None:
    client = await app.client("Sindig Bjørk")
    here = await start(client, app)
    made = await client.post(f"{here}/data/vedlegg", content=b"x", headers=PDF)
    tags = f"{here}/data/{made.json()['newDataElementId']}/tags"
    assert (await client.post(tags, json="kvittering")).json() == {"tags": ["kvittering"]}
    assert (await client.put(tags, json={"tags": ["a-b", "c_d"]})).json() == {"tags": ["a-b", "c_d"]}
    assert (await client.delete(f"{tags}/a-b")).status_code == 204
    assert (await client.get(tags)).json() == {"tags": ["c_d"]}
    for bad in ("1a", "a b", "", "<b>"):
        assert (await client.post(tags, json=bad)).status_code == 400, bad


async def test_the_apps_own_file_checks_see_the_file(stage, builder) -> None:
    builder.metadata["dataTypes"][1] |= {"enabledFileAnalysers": ["magic"], "enabledFileValidators": ["really-pdf"]}
    builder.hooks = """
from havn.runtime.hooks import FileAnalysis, analyse_file, error, validate_file

@analyse_file("magic")
def look(ctx, file):
    with open(file.path, "rb") as stream:
        return FileAnalysis(mime_type="application/pdf" if stream.read(4) == b"%PDF" else "unknown")

@validate_file("really-pdf")
def check(ctx, file):
    return [] if file.analyses["magic"].mime_type == "application/pdf" else [error("vedlegg", "ikke.pdf")]
"""
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    here = await start(client, app)
    assert (await client.post(f"{here}/data/vedlegg", content=b"%PDF-1.7", headers=PDF)).status_code == 200
    refused = await client.post(f"{here}/data/vedlegg", content=b"MZ", headers=PDF)
    assert refused.status_code == 400
    assert refused.json()["uploadValidationIssues"][0]["source"] == "really-pdf"
