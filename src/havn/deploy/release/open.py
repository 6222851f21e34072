"""Taking a release out of a registry: its manifest and config read, its signature checked, its layers unpacked."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from havn import __version__
from havn.deploy.registry import Manifest, Registry, RegistryError
from havn.deploy.release.model import (
    APP_ROOT,
    ARTIFACT,
    CONFIG,
    DEPENDENCIES_ROOT,
    LAYER,
    Release,
    ReleaseConfig,
    ReleaseError,
)
from havn.deploy.release.signing import verify
from havn.deploy.release.unpack import unpack_layer

APP = "app"
DEPENDENCIES = "dependencies"


async def find(registry: Registry, repository: str, reference: str) -> Release:
    """The release with this digest or tag. Raises `ReleaseError`, `RegistryError`."""
    return (await _find(registry, repository, reference))[0]


async def find_trusted(registry: Registry, repository: str, reference: str, keys: Sequence[str]) -> Release:
    """The release, signed with one of the public `keys` (PEM). Raises `ReleaseError`, `RegistryError`."""
    release, _ = await _find(registry, repository, reference)
    await verify(registry, repository, release.digest, keys)
    return release


async def unpack(registry: Registry, repository: str, digest: str, into: Path) -> Release:
    """Unpack into the folder `into` (made whole or not at all; taken as it is when there): `app`, `dependencies`.

    Raises `ReleaseError`, `RegistryError`.
    """
    release, manifest = await _find(registry, repository, digest)
    check_runs_here(release.config)
    await asyncio.to_thread(_prepare, into.parent)
    if await asyncio.to_thread(into.is_dir):
        return release
    scratch = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=into.parent, prefix=".unpack-"))
    try:
        parts = ((DEPENDENCIES, DEPENDENCIES_ROOT), (APP, APP_ROOT))
        for (name, root), layer, diff_id in zip(parts, manifest.layers, release.config.diff_ids, strict=True):
            archive = scratch / f"{name}.tar.gz"
            await registry.fetch(repository, layer, archive)
            await asyncio.to_thread(unpack_layer, archive, diff_id, root, scratch / name)
        await asyncio.to_thread(_settle, scratch, into)
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
    return release


def _prepare(folder: Path) -> None:
    """Make `folder`, and clear away what a killed process left half unpacked an hour ago or more."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(".unpack-*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > 3600:
                shutil.rmtree(path, ignore_errors=True)


def _settle(scratch: Path, into: Path) -> None:
    for archive in scratch.glob("*.tar.gz"):
        archive.unlink()
    scratch.chmod(0o755)
    # When another got there first, its folder has the same content.
    with contextlib.suppress(OSError):
        scratch.rename(into)


def check_runs_here(config: ReleaseConfig) -> None:
    """Raises `ReleaseError` when this runtime or interpreter is not one that the release was made for."""
    if not config.runtime.holds(__version__):
        raise ReleaseError(
            f"The release was made for Havn {config.runtime.minimum} up to {config.runtime.below}, "
            f"and this is {__version__}: build it anew."
        )
    here = f"cp{sys.version_info.major}{sys.version_info.minor}"
    if config.python.abi not in ("none", here):
        raise ReleaseError(
            f"The release's dependencies were built for {config.python.abi}, and this is {here}: build it anew."
        )


async def _find(registry: Registry, repository: str, reference: str) -> tuple[Release, Manifest]:
    descriptor, manifest = await registry.manifest(repository, reference)
    if manifest.artifact_type != ARTIFACT or manifest.config.media_type != CONFIG or len(manifest.layers) != 2:
        raise ReleaseError(f"{repository}@{descriptor.digest} is not a release.")
    if any(layer.media_type != LAYER for layer in manifest.layers):
        raise ReleaseError(f"{repository}@{descriptor.digest} has a layer of an unknown type.")
    try:
        config = msgspec.json.decode(await registry.read(repository, manifest.config), type=ReleaseConfig)
    except msgspec.MsgspecError as error:
        raise RegistryError(f"The config of {repository}@{descriptor.digest} cannot be read: {error}.") from None
    if f"{config.org}/{config.app}" != repository:
        raise ReleaseError(f"{repository}@{descriptor.digest} is a release of {config.org}/{config.app}.")
    if len(config.diff_ids) != 2:
        raise ReleaseError(f"{repository}@{descriptor.digest} names {len(config.diff_ids)} layers instead of two.")
    return Release(org=config.org, app=config.app, digest=descriptor.digest, config=config), manifest
