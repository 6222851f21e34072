"""A base image on a Python that somebody else made, and what the platform image holds besides."""

from __future__ import annotations

import gzip
import io
import shutil
import sys
import tarfile
from pathlib import Path

import msgspec
import pytest

from havn.deploy.image import base
from havn.deploy.image.given import Given
from havn.deploy.image.model import CONFIG, ImageConfig, ImageSettings, RootFilesystem
from havn.deploy.image.transfer import Place
from havn.deploy.registry import Manifest
from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.registry.model import MANIFEST, encode
from havn.deploy.release.layers import make_layer
from havn.deploy.release.model import LAYER, ReleaseError

ROOT = Path(__file__).resolve().parents[3]
FILES = {"havn/runtime/__main__.py": b"run()", "starlette/__init__.py": b""}
OURS = f"python{sys.version_info[0]}.{sys.version_info[1]}"


async def foreign(registry: LayoutRegistry, python: str = OURS, architecture: str = "amd64") -> Given:
    layer = make_layer({python: b"elf"}, "usr/bin")
    config = ImageConfig(
        architecture=architecture, config=ImageSettings(), rootfs=RootFilesystem("layers", (layer.diff_id,))
    )
    manifest = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        config=await registry.put("debian/python", encode(config), CONFIG),
        layers=(await registry.put("debian/python", layer.data, LAYER),),
    )
    made = await registry.put_manifest("debian/python", manifest)
    return Given(Place(registry, "debian/python"), made.digest)


@pytest.fixture
def registry(tmp_path) -> LayoutRegistry:
    return LayoutRegistry(tmp_path / "registry")


@pytest.fixture
def tools(tmp_path) -> base.Tools:
    helm = tmp_path / "helm"
    helm.write_bytes(b"a program")
    return base.Tools(helm, ROOT / "charts")


async def names(registry: LayoutRegistry, repository: str, digest: str) -> dict[str, int]:
    """Every file of an image with its mode."""
    _, manifest = await registry.manifest(repository, digest)
    found = {}
    for layer in manifest.layers:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(await registry.read(repository, layer)))) as archive:
            found |= {entry.name: entry.mode for entry in archive if entry.isfile()}
    return found


@pytest.mark.parametrize("kind", ["runtime", "platform"])
async def test_havn_goes_on_top_of_the_given_python_and_the_same_parts_give_the_same_image(
    registry, tools, tmp_path, kind
):
    on = await foreign(registry)
    made = [
        await base.build(
            kind,
            registry=LayoutRegistry(tmp_path / at),
            repository="x",
            cache=tmp_path,
            on=on,
            tools=tools,
            files=FILES,
        )
        for at in ("one", "two")
    ]
    assert made[0] == made[1]
    files = await names(LayoutRegistry(tmp_path / "one"), "x", made[0].digest)
    assert {f"usr/bin/{OURS}", "usr/lib/python3/dist-packages/havn/runtime/__main__.py"} <= set(files)
    assert (files.get("usr/bin/helm") == 0o755) is (kind == "platform")
    assert ("usr/share/havn/charts/platform/values.schema.json" in files) is (kind == "platform")
    _, manifest = await LayoutRegistry(tmp_path / "one").manifest("x", made[0].digest)
    config = msgspec.json.decode(
        await LayoutRegistry(tmp_path / "one").read("x", manifest.config), type=ImageConfig
    )  # fmt: skip
    assert config.config == base.image_settings(kind)
    assert len(config.rootfs.diff_ids) == len(manifest.layers)


async def test_a_change_of_the_charts_alone_changes_their_layer_alone(registry, tools, tmp_path):
    on, charts = await foreign(registry), tmp_path / "charts"
    shutil.copytree(tools.charts, charts)
    digests = []
    for text in (b"one", b"two"):
        (charts / "app" / "NOTES.txt").write_bytes(text)
        made = await base.build(
            "platform",
            registry=registry,
            repository="x",
            cache=tmp_path,
            on=on,
            tools=base.Tools(tools.helm, charts),
            files=FILES,
        )
        digests.append([layer.digest for layer in (await registry.manifest("x", made.digest))[1].layers])
    assert [one == two for one, two in zip(*digests, strict=True)] == [True, True, True, False, True]


@pytest.mark.parametrize(
    ("python", "architecture", "says"),
    [("python3.8", "amd64", "has no /usr/bin/python"), (OURS, "arm64", "linux/arm64, not linux/amd64")],
)
async def test_a_base_without_our_python_is_refused(registry, tmp_path, python, architecture, says):
    on = await foreign(registry, python, architecture)
    with pytest.raises(ReleaseError, match=says):
        await base.build("runtime", registry=registry, repository="x", cache=tmp_path, on=on, files=FILES)


async def test_the_platform_image_is_not_made_without_its_tools(registry, tmp_path, tools):
    on = await foreign(registry)
    wrong = [
        (None, "needs Helm and the charts"),
        (base.Tools(tmp_path / "no-helm", tools.charts), "Helm cannot be read"),
        (base.Tools(tools.helm, tmp_path), "does not hold our charts"),
    ]
    for given, says in wrong:
        with pytest.raises(ReleaseError, match=says):
            await base.build(
                "platform", registry=registry, repository="x", cache=tmp_path, on=on, tools=given, files=FILES
            )
