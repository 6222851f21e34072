"""The base images `runtime` and `platform`: a Python, what Havn needs, and Havn on top, without an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from havn import __version__
from havn.deploy.image import contents, debian
from havn.deploy.image.given import Given
from havn.deploy.image.model import CONFIG, ImageConfig, ImageSettings, RootFilesystem
from havn.deploy.registry import Descriptor, Manifest, Registry
from havn.deploy.registry.model import MANIFEST, encode
from havn.deploy.release.dependencies import RUNTIME
from havn.deploy.release.layers import Layer, make_layer
from havn.deploy.release.model import APP_ROOT, LAYER, ReleaseError

Kind = Literal["runtime", "platform"]

PYTHON = "/usr/bin/python3"
HELM = "usr/bin"
CHARTS = "usr/share/havn/charts"


class Tools(msgspec.Struct, frozen=True):
    """What the platform image holds beside Python: Helm as a program without libraries, and our charts."""

    helm: Path
    charts: Path

    def layers(self) -> list[Layer]:
        """One layer for Helm, which is large and seldom another, and one for the charts. Raises `ReleaseError`."""
        try:
            helm = self.helm.read_bytes()
        except OSError as error:
            raise ReleaseError(f"Helm cannot be read at {self.helm}: {error.strerror}.") from None
        charts = {
            path.relative_to(self.charts).as_posix(): path.read_bytes()
            for path in sorted(self.charts.rglob("*"))
            if path.is_file()
        }
        if "app/Chart.yaml" not in charts:
            raise ReleaseError(f"{self.charts} does not hold our charts: there is no app/Chart.yaml in it.")
        return [make_layer({"helm": helm}, HELM, mode=0o755), make_layer(charts, CHARTS)]


async def build(
    kind: Kind,
    *,
    registry: Registry,
    repository: str,
    cache: Path,
    tag: str | None = None,
    on: Given | None = None,
    tools: Tools | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Descriptor:
    """Make a base image and store it in `repository`; returns its manifest's descriptor.

    The Python is that of the image `on`, else Debian's, whose part is taken from `cache` when it is there. `files` go
    into its site folder: Havn and what it needs as they are installed here, when not said. The same Debian packages,
    files and tools give the same digest. The platform image wants `tools`. Raises `ReleaseError` when mmdebstrap, a
    package or a tool is missing, and `RegistryError`.
    """
    if kind == "platform" and tools is None:
        raise ReleaseError("The platform image needs Helm and the charts: say where they are.")
    below: tuple[Descriptor, ...]
    if on is None:
        root, diff = debian.root(cache)
        diffs: tuple[str, ...] = (diff,)
        below = (await registry.put(repository, root, LAYER),)
    else:
        below, diffs = await on.move(registry, repository)
    if files is None:
        files = contents.site_packages(RUNTIME if kind == "runtime" else contents.PLATFORM)
    # What changes seldom lies below what changes often, so that a new Havn moves little.
    added = [
        make_layer({name: data for name, data in files.items() if not name.startswith("havn/")}, contents.SITE),
        *(tools.layers() if kind == "platform" and tools is not None else ()),
        make_layer({name: data for name, data in files.items() if name.startswith("havn/")}, contents.SITE),
    ]
    settings = image_settings(kind)
    config = ImageConfig(
        config=settings, rootfs=RootFilesystem("layers", (*diffs, *(layer.diff_id for layer in added)))
    )
    manifest = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        config=await registry.put(repository, encode(config), CONFIG),
        layers=(*below, *await _put(registry, repository, added)),
        annotations=settings.labels,
    )
    return await registry.put_manifest(repository, manifest, tag=tag)


def image_settings(kind: Kind) -> ImageSettings:
    """How containers of the image are started; `images/{kind}/Containerfile` says the same."""
    env = ("PATH=/usr/bin:/bin", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1", "LANG=C.UTF-8")
    more = {
        "runtime": (f"HAVN_APP_FOLDER=/{APP_ROOT}",),
        "platform": (f"HAVN_HELM=/{HELM}/helm", f"HAVN_CHARTS=/{CHARTS}"),
    }
    return ImageSettings(
        entrypoint=(PYTHON, "-m", "havn.runtime") if kind == "runtime" else (PYTHON, "-m"),
        env=(*env, *more[kind]),
        user="1000:3000",
        working_dir="/tmp",  # noqa: S108  (the only folder that a read-only container may write)
        exposed_ports={"5005/tcp": {}} if kind == "runtime" else {},
        labels={"havn.image": kind, "havn.version": __version__},
    )


async def _put(registry: Registry, repository: str, layers: Sequence[Layer]) -> list[Descriptor]:
    return [await registry.put(repository, layer.data, LAYER) for layer in layers]
