"""The base images `runtime` and `platform`: a Python from Debian's packages, and Havn on top, without an engine."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

import msgspec

from havn import __version__
from havn.deploy.image import contents
from havn.deploy.registry import Descriptor, Manifest, Registry
from havn.deploy.registry.model import MANIFEST, encode
from havn.deploy.release.dependencies import RUNTIME
from havn.deploy.release.layers import make_layer
from havn.deploy.release.model import APP_ROOT, LAYER, ReleaseError

CONFIG = "application/vnd.oci.image.config.v1+json"
Kind = Literal["runtime", "platform"]

# Debian's release for a version of Python: wheels with compiled code fit one and not the other.
_SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}
# libstdc++6 is what compiled wheels (google-re2) expect of the system.
_PACKAGES = (
    "base-files", "python3-minimal", "libpython3-stdlib", "libstdc++6", "ca-certificates", "netbase", "tzdata",
)  # fmt: skip


class ImageSettings(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """How a container of the image is started."""

    entrypoint: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    exposed_ports: dict[str, dict[str, str]] = {}
    labels: dict[str, str] = {}


class RootFilesystem(msgspec.Struct, frozen=True):
    """The layers' tar archives, bottom first."""

    type: str
    diff_ids: tuple[str, ...]


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The config blob of an image (OCI Image Format Specification 1.1)."""

    architecture: str = "amd64"
    os: str = "linux"
    created: str = "1970-01-01T00:00:00Z"
    config: ImageSettings
    rootfs: RootFilesystem


async def build(kind: Kind, *, registry: Registry, repository: str, cache: Path, tag: str | None = None) -> Descriptor:
    """Make a base image and store it in `repository`; returns its manifest's descriptor.

    The same Debian packages and the same Havn give the same digest. Debian's part is taken from `cache` when it is
    there. Raises `ReleaseError` when mmdebstrap or a package is missing.
    """
    root, root_diff = _debian(cache)
    packages = contents.site_packages(RUNTIME if kind == "runtime" else contents.PLATFORM)
    havn = make_layer(packages, contents.SITE)
    env = ("PATH=/usr/bin:/bin", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1", "LANG=C.UTF-8")
    settings = ImageSettings(
        entrypoint=("/usr/bin/python3", "-m", "havn.runtime") if kind == "runtime" else ("/usr/bin/python3", "-m"),
        env=(*env, f"HAVN_APP_FOLDER=/{APP_ROOT}") if kind == "runtime" else env,
        user="1000:3000",
        working_dir="/tmp",  # noqa: S108  (the only folder that a read-only container may write)
        exposed_ports={"5005/tcp": {}} if kind == "runtime" else {},
        labels={"havn.image": kind, "havn.version": __version__},
    )
    config = ImageConfig(config=settings, rootfs=RootFilesystem("layers", (root_diff, havn.diff_id)))
    manifest = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        config=await registry.put(repository, encode(config), CONFIG),
        layers=(await registry.put(repository, root, LAYER), await registry.put(repository, havn.data, LAYER)),
        annotations=settings.labels,
    )
    return await registry.put_manifest(repository, manifest, tag=tag)


def _debian(cache: Path) -> tuple[Path, str]:
    """The layer with Debian's Python as a file, and its archive's digest."""
    suite = _SUITES.get(sys.version_info[:2])
    if suite is None:
        raise ReleaseError(
            f"A base image needs Debian's Python, which is not {sys.version_info[0]}.{sys.version_info[1]}: "
            f"run this with Python 3.11, or use your own base image with --base."
        )
    name = hashlib.sha256(f"{suite} {_PACKAGES}".encode()).hexdigest()[:16]
    layer, diff = cache / f"debian-{name}.tar.gz", cache / f"debian-{name}.diff"
    if not diff.exists():
        if shutil.which("mmdebstrap") is None:
            raise ReleaseError("A base image needs mmdebstrap: install it with apt-get, or use your own with --base.")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            archive = Path(scratch, "root.tar")
            # Extracted and not installed: no maintainer scripts, so no users, no shell, no caches, equal every time.
            command = [
                "mmdebstrap", "--quiet", "--variant=extract", f"--include={','.join(_PACKAGES)}", suite, str(archive),
            ]  # fmt: skip
            made = subprocess.run(command, capture_output=True, text=True, check=False, env={"SOURCE_DATE_EPOCH": "0"})
            if made.returncode != 0:
                raise ReleaseError(f"mmdebstrap failed: {made.stderr.strip().splitlines()[-1:]}")
            with archive.open("rb") as file:
                digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
            packed = Path(scratch, "layer")
            with (
                archive.open("rb") as source,
                packed.open("wb") as target,
                gzip.GzipFile(filename="", mode="wb", fileobj=target, compresslevel=6, mtime=0) as squeezed,
            ):
                shutil.copyfileobj(source, squeezed)
            packed.rename(layer)
        # Last, so that what it describes is there.
        diff.write_text(digest)
    return layer, diff.read_text()
