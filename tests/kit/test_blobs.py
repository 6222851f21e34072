"""One suite for every kind of blob place.

A real S3 service can stand in for the object store: set `HAVN_TEST_S3` to a `s3://bucket/prefix` address and the
`AWS_…` variables to match.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore

from havn.kit.blobs import BlobNotFoundError, Blobs, FolderBlobs, ObjectBlobs, open_blobs

MiB = 1024 * 1024
KINDS = ["folder", "local", "memory", *(["s3"] if "HAVN_TEST_S3" in os.environ else [])]


@pytest.fixture(params=KINDS)
def blobs(request, tmp_path: Path) -> Blobs:
    if request.param == "folder":
        return open_blobs(f"file://{tmp_path}/blobs")
    if request.param == "local":
        return ObjectBlobs(LocalStore(tmp_path / "objects", mkdir=True))
    if request.param == "s3":
        return open_blobs(os.environ["HAVN_TEST_S3"] + "/" + tmp_path.name)
    return ObjectBlobs(MemoryStore())


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def content(blobs: Blobs, path: str) -> bytes:
    found = await blobs.open(path)
    data = b"".join([chunk async for chunk in found.chunks])
    assert len(data) == found.size
    return data


@pytest.mark.parametrize("size", [0, 1, MiB - 1, MiB, MiB + 1, 8 * MiB, 21 * MiB + 7])
async def test_what_is_written_is_read(blobs, size):
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    step = 700_001
    await blobs.write("ttd/app/x", pieces(*(data[start : start + step] for start in range(0, size, step))))
    assert await content(blobs, "ttd/app/x") == data


async def test_a_blob_that_is_not_there_is_not_found(blobs):
    with pytest.raises(BlobNotFoundError):
        await blobs.open("ttd/nothing")
    await blobs.write("ttd/folder/blob", pieces(b"x"))
    with pytest.raises(BlobNotFoundError):
        await blobs.open("ttd/folder")


@pytest.mark.parametrize("before", [b"a little", b"much" * 5 * MiB])
async def test_nothing_is_there_when_the_source_fails(blobs, before):
    async def failing() -> AsyncIterator[bytes]:
        yield before
        raise RuntimeError("the sender went away")

    with pytest.raises(RuntimeError, match="went away"):
        await blobs.write("ttd/half", failing())
    with pytest.raises(BlobNotFoundError):
        await blobs.open("ttd/half")
    assert [each async for each in blobs.list("ttd")] == []


async def test_deleting_twice_is_no_error(blobs):
    await blobs.write("ttd/one", pieces(b"1"))
    await blobs.delete("ttd/one")
    await blobs.delete("ttd/one")
    with pytest.raises(BlobNotFoundError):
        await blobs.open("ttd/one")


async def test_a_blob_being_read_survives_its_deletion_or_ends_in_an_error(blobs):
    data = b"0123456789" * MiB
    await blobs.write("ttd/long", pieces(data))
    found = await blobs.open("ttd/long")
    await blobs.delete("ttd/long")
    try:
        read = b"".join([chunk async for chunk in found.chunks])
    except Exception:  # noqa: BLE001 - any error will do: never a short read that looks whole
        return
    assert read == data


async def test_listing_holds_to_whole_segments(blobs):
    for path in ("ttd/a/1", "ttd/a/2", "ttd/ab/3", "skd/4"):
        await blobs.write(path, pieces(b"xy"))
    assert sorted([each.path async for each in blobs.list("ttd/a")]) == ["ttd/a/1", "ttd/a/2"]
    everything = [each async for each in blobs.list()]
    assert sorted(each.path for each in everything) == ["skd/4", "ttd/a/1", "ttd/a/2", "ttd/ab/3"]
    assert {each.size for each in everything} == {2}


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/.", "a\\b", "a\0b", "a b", "æ"])
async def test_a_path_that_is_not_ours_is_refused(blobs, path):
    with pytest.raises(ValueError, match="not a blob path"):
        await blobs.write(path, pieces(b"x"))
    with pytest.raises(ValueError, match="not a blob path"):
        await blobs.open(path)


async def test_a_folder_keeps_no_half_files_and_no_empty_folders(tmp_path):
    blobs = FolderBlobs(tmp_path / "blobs")
    await blobs.write("ttd/app/x", pieces(b"x"))
    await blobs.delete("ttd/app/x")
    assert list((tmp_path / "blobs").iterdir()) == []


def test_an_address_of_no_known_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="gopher"):
        open_blobs("gopher://somewhere/x")


async def test_writers_and_deleters_of_one_folder_do_not_disturb_each_other(blobs):
    async def come_and_go(number: int) -> None:
        for turn in range(20):
            await blobs.write(f"ttd/shared/{number}", pieces(b"x"))
            assert await content(blobs, f"ttd/shared/{number}") == b"x", turn
            await blobs.delete(f"ttd/shared/{number}")

    await asyncio.gather(*(come_and_go(number) for number in range(8)))
    assert [each async for each in blobs.list()] == []
