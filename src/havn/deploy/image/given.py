"""A base image on a Python image that somebody else made, named by its digest."""

from __future__ import annotations

import sys
import tarfile
import tempfile
import zlib
from pathlib import Path

import msgspec

from havn.deploy.image.model import CONFIG, ImageConfig
from havn.deploy.image.transfer import Place, move
from havn.deploy.registry import Descriptor, Registry
from havn.deploy.release.model import ReleaseError


class Given(msgspec.Struct, frozen=True):
    """An image whose `/usr/bin/python3` is this process's version of Python, as Debian's and Ubuntu's are."""

    place: Place
    digest: str

    async def move(self, registry: Registry, repository: str) -> tuple[tuple[Descriptor, ...], tuple[str, ...]]:
        """Put its layers into `repository`; returns them and the digests of the archives inside, bottom first.

        Raises `ReleaseError` when there is no such Python in it, and `RegistryError`.
        """
        _, manifest = await self.place.registry.manifest(self.place.repository, self.digest)
        if manifest.config.media_type != CONFIG:
            raise ReleaseError(f"{self.digest} is not an OCI image for one kind of machine: name that one's digest.")
        config = msgspec.json.decode(
            await self.place.registry.read(self.place.repository, manifest.config), type=ImageConfig
        )
        if (config.os, config.architecture) != ("linux", "amd64"):
            raise ReleaseError(f"{self.digest} is an image for {config.os}/{config.architecture}, not linux/amd64.")
        target = Place(registry, repository)
        await move(self.place, manifest.layers, target)
        wanted = f"usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
        for layer in manifest.layers:
            if await _holds(target, layer, wanted):
                return manifest.layers, config.rootfs.diff_ids
        raise ReleaseError(
            f"{self.digest} has no /{wanted}, which is the Python that these packages are for: choose another base."
        )


async def _holds(place: Place, layer: Descriptor, name: str) -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "layer")
        await place.registry.fetch(place.repository, layer, path)
        try:
            with tarfile.open(path, "r|*") as archive:
                return any(entry.name.removeprefix("./") == name for entry in archive)
        except (tarfile.TarError, zlib.error, EOFError, OSError):
            raise ReleaseError(f"The layer {layer.digest} of the base cannot be read.") from None
