from __future__ import annotations

import asyncio
import hashlib

import pytest

from havn.kit.problem import Problem


async def test_an_element_tells_its_hash_size_and_place(world):
    instance = await world.instance()
    answer = await world.call(
        "POST", f"/instances/{instance['id']}/data?dataType=vedlegg", world.user(), content=b"hello",
        headers={"content-type": "text/plain; charset=utf-8"},
    )  # fmt: skip
    element = answer.json()
    assert answer.headers["location"] == element["selfLinks"]["platform"]
    assert element["selfLinks"]["platform"].endswith(f"/instances/{instance['id']}/data/{element['id']}")
    assert element["size"] == 5
    assert element["contentHash"] == hashlib.sha256(b"hello").hexdigest()
    assert element["contentType"] == "text/plain; charset=utf-8"
    assert element["fileScanResult"] == "Pending"
    assert answer.headers["etag"] == '"1"'
    got = await world.call("GET", f"/instances/{instance['id']}/data/{element['id']}", world.user())
    assert got.content == b"hello"
    assert got.headers["content-type"] == "text/plain; charset=utf-8"
    assert got.headers["content-length"] == "5"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "content-disposition" not in got.headers
    stored = await world.get(instance)
    assert stored["data"] == [element]
    assert stored["lastChanged"] == element["lastChanged"]


@pytest.mark.parametrize(
    ("query", "content", "status"),
    [
        ("", b"x", 400),
        ("?dataType=ukjent", b"x", 400),
        ("?dataType=model", b"", 400),
        ("?dataType=model&refs=1", b"x", 400),
    ],
)
async def test_what_cannot_be_added_is_refused_and_leaves_nothing(world, blob_folder, query, content, status):
    instance = await world.instance()
    answer = await world.call("POST", f"/instances/{instance['id']}/data{query}", world.user(), content=content)
    assert answer.status_code == status
    assert (await world.get(instance))["data"] == []
    assert world.blob_paths(blob_folder) == []


def _multipart(*parts: tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    body = b"".join(b"--grense\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts)
    return body + b"--grense--\r\n", {"content-type": "multipart/form-data; boundary=grense"}


async def test_of_a_multipart_body_the_first_part_counts(world):
    instance = await world.instance()
    data = b"\r\n--grens\r\n" * 5000
    body, headers = _multipart(
        ('Content-Disposition: form-data; name="f"; filename="f%C3%B8rst.xml"\r\nContent-Type: text/xml', data),
        ('Content-Disposition: form-data; name="g"; filename="second.xml"', b"ignored"),
    )

    async def dribble():
        for start in range(0, len(body), 777):
            yield body[start : start + 777]

    answer = await world.call(
        "POST", f"/instances/{instance['id']}/data?dataType=vedlegg", world.user(), content=dribble(), headers=headers
    )
    assert answer.status_code == 201, answer.text
    element = answer.json()
    assert (element["filename"], element["contentType"], element["size"]) == ("først.xml", "text/xml", len(data))
    got = await world.call("GET", f"/instances/{instance['id']}/data/{element['id']}", world.user())
    assert got.content == data


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"no boundary at all", "multipart/form-data; boundary=grense"),
        (b"--grense\r\nContent-Type: text/xml\r\n\r\ncut off", "multipart/form-data; boundary=grense"),
        (b"--grense\r\n" + b"X-Long: " + b"x" * 100_000, "multipart/form-data; boundary=grense"),
        (b"--grense--", "multipart/form-data"),
    ],
)
async def test_a_multipart_body_that_cannot_be_read_is_refused(world, blob_folder, body, kind):
    instance = await world.instance()
    answer = await world.call(
        "POST", f"/instances/{instance['id']}/data?dataType=vedlegg", world.user(), content=body,
        headers={"content-type": kind},
    )  # fmt: skip
    assert answer.status_code == 400
    assert world.blob_paths(blob_folder) == []


async def test_an_upload_beyond_the_limit_is_413_whether_announced_or_not(make_world, blob_folder):
    world = await make_world(max_upload_bytes=1000)
    instance = await world.instance()
    path = f"/instances/{instance['id']}/data?dataType=vedlegg"
    assert (await world.call("POST", path, world.user(), content=b"x" * 1000)).status_code == 201

    async def unannounced():
        for _ in range(3):
            yield b"x" * 500

    for content in (b"x" * 1001, b"x" * 100_000, unannounced()):
        answer = await world.call("POST", path, world.user(), content=content)
        assert answer.status_code == 413
        assert answer.json()["limit"] == 1000
    body, headers = _multipart(("Content-Type: text/xml", b"x" * 1001))
    assert (await world.call("POST", path, world.user(), content=body, headers=headers)).status_code == 413
    assert len(world.blob_paths(blob_folder)) == 1


async def test_an_addition_repeated_with_its_key_makes_one_element(world, blob_folder):
    instance = await world.instance()
    path = f"/instances/{instance['id']}/data?dataType=model"

    async def add(key: str) -> str:
        answer = await world.call("POST", path, world.user(), content=b"x", headers={"Idempotency-Key": key})
        assert answer.status_code == 201
        return answer.json()["id"]

    first = await add("a")
    assert await add("a") == first
    together = await asyncio.gather(*(add("b") for _ in range(6)))
    assert len(set(together)) == 1
    assert len((await world.get(instance))["data"]) == 2
    assert len(world.blob_paths(blob_folder)) == 2
    other = await world.call(
        "POST", f"/instances/{instance['id']}/data?dataType=vedlegg", world.user(), content=b"x",
        headers={"Idempotency-Key": "a"},
    )  # fmt: skip
    assert other.status_code == 422


async def test_replacing_swaps_contents_and_tells(world, blob_folder):
    instance = await world.instance()
    element = await world.element(instance)
    path = f"/instances/{instance['id']}/data/{element['id']}"
    answer = await world.call(
        "PUT", path, world.user(), content=b"<b/>", headers={"content-type": "text/xml", "if-match": '"1"'}
    )
    assert answer.status_code == 200
    replaced = answer.json()
    assert replaced["version"] == 2
    assert replaced["blobStoragePath"] != element["blobStoragePath"]
    assert replaced["contentType"] == "text/xml"
    assert world.blob_paths(blob_folder) == [replaced["blobStoragePath"]]
    late = await world.call("PUT", path, world.user(), content=b"<c/>", headers={"if-match": '"1"'})
    assert late.status_code == 412
    assert (await world.call("GET", path, world.user())).content == b"<b/>"
    events = (await world.call("GET", f"/instances/{instance['id']}/events", world.user())).json()["instanceEvents"]
    assert [(each["eventType"], each.get("dataId")) for each in events] == [
        ("Created", None), ("Created", element["id"]), ("Saved", element["id"]),
    ]  # fmt: skip


async def test_one_of_ten_replacements_of_the_same_version_wins(world, blob_folder):
    instance = await world.instance()
    element = await world.element(instance)
    path = f"/instances/{instance['id']}/data/{element['id']}"
    answers = await asyncio.gather(
        *(
            world.call("PUT", path, world.user(), content=str(n).encode(), headers={"if-match": '"1"'})
            for n in range(10)
        )
    )
    assert sorted(each.status_code for each in answers) == [200] + [412] * 9
    winner = next(n for n, each in enumerate(answers) if each.status_code == 200)
    assert (await world.call("GET", path, world.user())).content == str(winner).encode()
    assert len(world.blob_paths(blob_folder)) == 1


async def test_metadata_is_replaced_whole_and_stamped_by_us(world):
    instance = await world.instance()
    element = await world.element(instance)
    path = f"/instances/{instance['id']}/dataelements/{element['id']}"
    body = {
        "id": element["id"], "instanceGuid": element["instanceGuid"], "tags": ["viktig"],
        "userDefinedMetadata": [{"key": "k", "value": "v"}], "lastChangedBy": "somebody else", "size": 1,
        "contentType": "text/html", "blobStoragePath": "elsewhere",
    }  # fmt: skip
    changed = (await world.call("PUT", path, world.user(), json=body)).json()
    assert changed["tags"] == ["viktig"]
    assert changed["userDefinedMetadata"] == [{"key": "k", "value": "v"}]
    for untouched in ("size", "contentType", "blobStoragePath", "dataType", "contentHash"):
        assert changed[untouched] == element[untouched]
    assert changed["lastChangedBy"] == "1001"
    assert changed["lastChanged"] > element["lastChanged"]
    bare = {"id": element["id"], "instanceGuid": element["instanceGuid"]}
    emptied = (await world.call("PUT", path, world.user(), json=bare)).json()
    assert emptied["tags"] == []
    assert "userDefinedMetadata" not in emptied
    for wrong in ({**bare, "id": "x"}, {**bare, "instanceGuid": element["id"]}, {}):
        assert (await world.call("PUT", path, world.user(), json=wrong)).status_code == 400
    stale = await world.call("PUT", path, world.user(), json=bare, headers={"if-match": '"1"'})
    assert stale.status_code == 412


async def test_deleting_later_is_for_types_that_end_with_the_process(world):
    instance = await world.instance()
    model, draft = await world.element(instance), await world.element(instance, "utkast")
    path = f"/instances/{instance['id']}/data"
    assert (await world.call("DELETE", f"{path}/{model['id']}?delay=true", world.user())).status_code == 400
    marked = await world.call("DELETE", f"{path}/{draft['id']}?delay=true", world.owner())
    assert marked.json()["deleteStatus"]["isHardDeleted"] is True
    again = await world.call("DELETE", f"{path}/{draft['id']}?delay=true", world.owner())
    assert again.status_code == 200
    assert again.json() == marked.json()


async def test_scanners_and_components_only_reach_their_routes(world):
    instance, other = await world.instance(), await world.instance()
    element = await world.element(instance, "vedlegg")
    path = f"/instances/{instance['id']}/dataelements/{element['id']}/filescanstatus"
    body = {"fileScanResult": "Clean", "contentHash": "x"}
    assert (await world.call("PUT", path, world.owner(), json=body)).status_code == 403
    answer = await world.call("PUT", path, platform=world.component(), json=body)
    assert (answer.status_code, answer.content) == (200, b"")
    scanned = (await world.get(instance))["data"][0]
    assert scanned["fileScanResult"] == "Clean"
    assert scanned["lastChanged"] == element["lastChanged"]
    wrong = await world.call("PUT", path, platform=world.component(), json={"fileScanResult": "Spotless"})
    assert wrong.status_code == 400
    exists = f"/instances/{{}}/dataelementexists/{element['id']}"
    assert (await world.call("GET", exists.format(instance["id"]), platform=world.component())).json() is True
    assert (await world.call("GET", exists.format(other["id"]), platform=world.component())).json() is False
    assert (await world.call("GET", exists.format(instance["id"]), world.user())).status_code == 403
    elsewhere = path.replace(instance["id"], other["id"])
    assert (await world.call("PUT", elsewhere, platform=world.component(), json=body)).status_code == 404


async def test_a_lock_on_the_instance_keeps_others_from_writing(world):
    instance = await world.instance()
    element = await world.element(instance)
    path = f"/instances/{instance['id']}"
    taken = await world.call("POST", f"{path}/lock", world.user(), json={"ttlSeconds": 600})
    holder = {"Altinn-Storage-Lock-Token": taken.json()["lockToken"]}
    writes = [
        ("POST", "/data?dataType=model", {"content": b"x"}),
        ("PUT", f"/data/{element['id']}", {"content": b"x"}),
        ("PUT", "/datavalues", {"json": {"values": {"a": "b"}}}),
        ("PUT", "/presentationtexts", {"json": {"texts": {"a": "b"}}}),
        ("PUT", "/process", {"json": {"currentTask": {"elementId": "Task_1", "altinnTaskType": "data"}}}),
        ("DELETE", f"/data/{element['id']}", {}),
    ]
    for method, route, body in writes:
        refused = await world.call(method, path + route, world.user(), **body)
        assert refused.status_code == 409, route
        assert refused.json()["code"] == "instance_locked"
    assert (await world.call("GET", path, world.user())).status_code == 200
    assert (await world.call("PUT", f"{path}/readstatus?status=read", world.user())).status_code == 200
    for method, route, body in writes:
        allowed = await world.call(method, path + route, world.user(), headers=holder, **body)
        assert allowed.status_code < 300, (route, allowed.text)
    await world.call("PATCH", f"{path}/lock", world.user(), json={"ttlSeconds": 0}, headers=holder)
    assert (await world.call("PUT", f"{path}/datavalues", world.user(), json={"values": {}})).status_code == 200


async def test_locks_are_only_advice_where_so_configured(make_world):
    world = await make_world(enforce_locks=False)
    instance = await world.instance()
    await world.call("POST", f"/instances/{instance['id']}/lock", world.user(), json={"ttlSeconds": 600})
    await world.element(instance)


async def test_a_sender_that_goes_away_leaves_nothing(world, blob_folder):
    instance = await world.instance()

    async def broken():
        yield b"x" * 100
        raise OSError("gone")

    answer = await world.call(
        "POST", f"/instances/{instance['id']}/data?dataType=model", world.user(), content=broken()
    )
    assert answer.status_code == 500
    assert (await world.get(instance))["data"] == []
    assert world.blob_paths(blob_folder) == []
    assert await world.database.fetchval("select count(*) from blob_garbage") == 0


class _Dying:
    """Blobs that are written, after which the process dies: nothing that should follow does."""

    def __init__(self, blobs):
        self._blobs = blobs

    async def write(self, path, chunks):
        await self._blobs.write(path, chunks)
        raise KeyboardInterrupt

    async def delete(self, path):
        raise Problem(503, "gone")


async def test_what_a_crash_leaves_between_blob_and_row_is_swept(make_world, world, blob_folder):
    instance = await world.instance()
    element = await world.element(instance)
    dying = await make_world(blobs=_Dying(world.ports.blobs))
    theirs = await dying.instance()
    with pytest.raises(KeyboardInterrupt):
        await dying.call("POST", f"/instances/{theirs['id']}/data?dataType=model", dying.user(), content=b"orphan")
    assert len(world.blob_paths(blob_folder)) == 2
    from havn.platform.storage.contents import Contents

    restarted = Contents(dying.database, world.ports.blobs, world.clock)
    assert await restarted.sweep() == 0
    world.clock.forward(hours=13)
    assert await restarted.sweep() == 1
    assert world.blob_paths(blob_folder) == [element["blobStoragePath"]]
    assert await world.contents.sweep() == 0


async def test_the_database_dying_under_an_upload_loses_and_doubles_nothing(world, blob_folder):
    instance = await world.instance()
    element = await world.element(instance)
    path = f"/instances/{instance['id']}/data/{element['id']}"

    async def while_the_server_dies():
        yield b"new "
        await world.database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        yield b"content"

    answer = await world.call("PUT", path, world.user(), content=while_the_server_dies())
    if answer.status_code != 200:
        assert answer.status_code == 503
        answer = await world.call("PUT", path, world.user(), content=b"new content", headers={"if-match": '"1"'})
        assert answer.status_code == 200
    assert (await world.call("GET", path, world.user())).content == b"new content"
    assert (await world.get(instance))["data"][0]["version"] == 2
    world.clock.forward(hours=13)
    await world.contents.sweep()
    assert world.blob_paths(blob_folder) == [answer.json()["blobStoragePath"]]


async def test_a_content_replaced_between_row_and_blob_is_read_anew(world):
    instance = await world.instance()
    element = await world.element(instance)
    path = f"/instances/{instance['id']}/data/{element['id']}"
    blobs, first = world.ports.blobs, []
    original = blobs.open

    async def open_late(where):
        if not first:
            first.append(where)
            assert (await world.call("PUT", path, world.user(), content=b"newer")).status_code == 200
        return await original(where)

    blobs.open = open_late
    assert (await world.call("GET", path, world.user())).content == b"newer"


async def test_a_content_that_is_lost_is_404(world):
    instance = await world.instance()
    element = await world.element(instance)
    await world.ports.blobs.delete(element["blobStoragePath"])
    answer = await world.call("GET", f"/instances/{instance['id']}/data/{element['id']}", world.user())
    assert answer.status_code == 404


async def test_damaged_content_is_not_signed(world, blob_folder):
    instance = await world.instance(task="Task_2", task_type="signing")
    element = await world.element(instance, token=world.owner())
    (blob_folder / element["blobStoragePath"]).write_bytes(b"<b/>")
    body = {
        "signatureDocumentDataType": "signatur",
        "dataElementSignatures": [{"dataElementId": element["id"], "signed": True}],
        "signee": {"userId": "1001"},
    }
    answer = await world.call("POST", f"/instances/{instance['id']}/sign", world.user(), json=body)
    assert answer.status_code == 500
    assert answer.json()["code"] == "content_damaged"
    assert len((await world.get(instance))["data"]) == 1
