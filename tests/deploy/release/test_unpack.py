"""Unpacking what others may have made: nothing outside, nothing but files, nothing endless."""

import asyncio
import gzip
import hashlib
import io
import tarfile

import pytest

from havn.deploy.registry import RegistryError
from havn.deploy.release.layers import make_layer
from havn.deploy.release.model import ReleaseError
from havn.deploy.release.open import APP, unpack
from havn.deploy.release.unpack import unpack_layer

ROOT = "opt/havn/app"


def archive(tmp_path, *members):
    """A layer with these members as they are; its path and its diff id."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    path = tmp_path / "layer.tar.gz"
    path.write_bytes(gzip.compress(raw.getvalue()))
    return path, f"sha256:{hashlib.sha256(raw.getvalue()).hexdigest()}"


def member(name, type_=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = type_, link
    return info


def test_a_layer_comes_out_as_it_went_in(tmp_path):
    files = {"config/a.json": b"{}", "ui/blåbær/side.json": b"[]", "tom": b"", "x" * 150: b"long"}
    layer = make_layer(files, ROOT)
    (tmp_path / "l").write_bytes(layer.data)
    unpack_layer(tmp_path / "l", layer.diff_id, ROOT, tmp_path / "out")
    found = {
        p.relative_to(tmp_path / "out").as_posix(): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()
    }
    assert found == files


@pytest.mark.parametrize(
    "bad",
    [
        member("/etc/passwd"),
        member("../outside"),
        member(f"{ROOT}/../../../../outside"),
        member("opt/havn/other/file"),
        member(f"{ROOT}/a\\..\\b"),
        member(f"{ROOT}/link", tarfile.SYMTYPE, "/etc/passwd"),
        member(f"{ROOT}/hard", tarfile.LNKTYPE, f"{ROOT}/x"),
        member(f"{ROOT}/pipe", tarfile.FIFOTYPE),
        member(f"{ROOT}/null", tarfile.CHRTYPE),
        member(ROOT),
        member("opt"),
    ],
    ids=lambda info: f"{info.name}-{info.type!r}",
)
def test_a_hostile_member_is_refused_and_nothing_is_written_outside(tmp_path, bad):
    path, diff_id = archive(tmp_path, (bad, b""))
    with pytest.raises(ReleaseError):
        unpack_layer(path, diff_id, ROOT, tmp_path / "in" / "side")
    assert {p.name for p in tmp_path.iterdir()} == {"layer.tar.gz", "in"}


def test_a_file_is_never_written_twice(tmp_path):
    path, diff_id = archive(tmp_path, (member(f"{ROOT}/a"), b"1"), (member(f"{ROOT}/a"), b"2"))
    with pytest.raises(ReleaseError, match="twice"):
        unpack_layer(path, diff_id, ROOT, tmp_path / "out")


def test_a_bomb_is_stopped_while_it_unfolds(tmp_path):
    path, diff_id = archive(tmp_path, (member(f"{ROOT}/zeros"), bytes(50_000_000)))
    assert path.stat().st_size < 100_000
    with pytest.raises(ReleaseError, match="more than a release may"):
        unpack_layer(path, diff_id, ROOT, tmp_path / "out", limit=1_000_000)


def test_a_damaged_or_foreign_layer_is_refused(tmp_path):
    path, diff_id = archive(tmp_path, (member(f"{ROOT}/a"), b"1" * 10_000))
    whole = path.read_bytes()
    for bad in (whole[:-20], whole[:30] + b"\xff" + whole[31:], whole + b"more", b"", b"not gzip"):
        path.write_bytes(bad)
        with pytest.raises(ReleaseError):
            unpack_layer(path, diff_id, ROOT, tmp_path / f"out{len(bad)}{bad[:1]!r}"[:40])
    path.write_bytes(whole)
    with pytest.raises(ReleaseError, match="not the one"):
        unpack_layer(path, f"sha256:{'0' * 64}", ROOT, tmp_path / "other")


def test_a_tampered_blob_is_refused_and_leaves_nothing(make, app_folder, registry, tmp_path):
    release = make(app_folder).release
    blobs = tmp_path / "registry" / "ttd" / "first" / "blobs" / "sha256"
    largest = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[100] ^= 1
    largest.write_bytes(data)
    with pytest.raises(RegistryError, match="damaged"):
        asyncio.run(unpack(registry, "ttd/first", release.digest, tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".unpack-*"))


def test_two_who_unpack_at_once_get_the_same_folder(make, app_folder, registry, tmp_path):
    release = make(app_folder).release

    async def both():
        await asyncio.gather(*(unpack(registry, "ttd/first", release.digest, tmp_path / "out") for _ in range(4)))

    asyncio.run(both())
    assert (tmp_path / "out" / APP / "config" / "applicationmetadata.json").is_file()
