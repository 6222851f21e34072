"""One suite for every registry: a folder on this machine, and a real OCI registry over HTTP."""

from __future__ import annotations

import os

import pytest

from havn.deploy.registry import Descriptor, Manifest, NotInRegistry, RegistryError
from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.registry.model import EMPTY, EMPTY_BYTES, MANIFEST, digest_of
from havn.deploy.registry.remote import RemoteRegistry
from havn.kit.http import HttpClient

REPOSITORY = "ttd/first"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
TYPE = "application/vnd.havn.test"


@pytest.fixture(params=["layout", pytest.param("distribution", marks=pytest.mark.cluster)])
async def registry(request, tmp_path):
    if request.param == "layout":
        yield LayoutRegistry(tmp_path / "registry")
        return
    client = HttpClient(request.getfixturevalue("distribution"), name="registry")
    # A prefix of its own, so that no test sees another's.
    yield RemoteRegistry(client, prefix=f"t{tmp_path.name.replace('_', '-')[:20].lower()}{os.getpid()}")
    await client.close()


async def manifest_of(registry, *layers: bytes, subject: Descriptor | None = None) -> Manifest:
    return Manifest(
        schema_version=2,
        media_type=MANIFEST,
        artifact_type=TYPE,
        config=await registry.put(REPOSITORY, EMPTY_BYTES, EMPTY),
        layers=tuple([await registry.put(REPOSITORY, layer, LAYER) for layer in layers]),
        subject=subject,
    )


async def test_a_blob_comes_back_as_it_went_in(registry):
    descriptor = await registry.put(REPOSITORY, b"some bytes", LAYER)
    assert descriptor == Descriptor(media_type=LAYER, digest=digest_of(b"some bytes"), size=10)
    assert await registry.has(REPOSITORY, descriptor.digest)
    assert await registry.read(REPOSITORY, descriptor) == b"some bytes"
    assert await registry.put(REPOSITORY, b"some bytes", LAYER) == descriptor


async def test_a_large_file_goes_in_and_out_without_being_held(registry, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(os.urandom(9 * 1024 * 1024 + 1))
    descriptor = await registry.put(REPOSITORY, source, LAYER)
    await registry.fetch(REPOSITORY, descriptor, target)
    assert target.read_bytes() == source.read_bytes()


async def test_what_is_not_there_is_said_to_be_absent(registry, tmp_path):
    absent = Descriptor(media_type=LAYER, digest=digest_of(b"never"), size=5)
    assert not await registry.has(REPOSITORY, absent.digest)
    for attempt in (
        registry.read(REPOSITORY, absent),
        registry.fetch(REPOSITORY, absent, tmp_path / "x"),
        registry.manifest(REPOSITORY, absent.digest),
        registry.manifest(REPOSITORY, "no-such-tag"),
    ):
        with pytest.raises(NotInRegistry):
            await attempt
    assert not (tmp_path / "x").exists()
    assert await registry.tags(REPOSITORY) == {}


async def test_a_wrong_size_leaves_nothing_behind(registry, tmp_path):
    descriptor = await registry.put(REPOSITORY, b"some bytes", LAYER)
    lie = Descriptor(media_type=LAYER, digest=descriptor.digest, size=3)
    with pytest.raises(RegistryError):
        await registry.fetch(REPOSITORY, lie, tmp_path / "x")
    assert list(tmp_path.glob("x*")) == []


async def test_a_manifest_is_found_by_digest_and_by_tag(registry):
    manifest = await manifest_of(registry, b"one")
    stored = await registry.put_manifest(REPOSITORY, manifest, tag="v1")
    assert await registry.put_manifest(REPOSITORY, manifest) == stored
    for reference in (stored.digest, "v1"):
        descriptor, found = await registry.manifest(REPOSITORY, reference)
        assert (descriptor.digest, found) == (stored.digest, manifest)
    assert await registry.tags(REPOSITORY) == {"v1": stored.digest}


async def test_a_tag_moves(registry):
    first = await registry.put_manifest(REPOSITORY, await manifest_of(registry, b"one"), tag="latest")
    second = await registry.put_manifest(REPOSITORY, await manifest_of(registry, b"two"), tag="latest")
    assert first != second
    assert await registry.tags(REPOSITORY) == {"latest": second.digest}


async def test_referrers_are_found_from_their_subject(registry):
    subject = await registry.put_manifest(REPOSITORY, await manifest_of(registry, b"one"))
    other = await registry.put_manifest(REPOSITORY, await manifest_of(registry, b"two"))
    said = [await manifest_of(registry, text, subject=subject) for text in (b"bill", b"signature")]
    stored = [await registry.put_manifest(REPOSITORY, manifest) for manifest in said]
    await registry.put_manifest(REPOSITORY, said[0])
    found = await registry.referrers(REPOSITORY, subject.digest, TYPE)
    assert {descriptor.digest for descriptor, _ in found} == {descriptor.digest for descriptor in stored}
    assert await registry.referrers(REPOSITORY, subject.digest, "application/other") == []
    assert await registry.referrers(REPOSITORY, other.digest) == []


@pytest.mark.parametrize("name", ["../etc", "UPPER/case", "a//b", ""])
async def test_a_name_that_cannot_be_a_repository_is_refused(registry, name):
    with pytest.raises(RegistryError):
        await registry.put(name, b"x", LAYER)


async def test_a_digest_that_is_none_is_refused(registry):
    with pytest.raises(RegistryError, match="not a sha256 digest"):
        await registry.has(REPOSITORY, "sha256:../../x")
