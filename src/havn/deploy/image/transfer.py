"""Moving blobs and images between repositories: side by side, and only what is missing."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from havn.deploy.registry import Descriptor, Registry

_AT_ONCE = 4


class Place(msgspec.Struct, frozen=True):
    """A repository of a registry."""

    registry: Registry
    repository: str


async def move(source: Place, blobs: Iterable[Descriptor], target: Place) -> int:
    """Put blobs of `source` into `target` too; returns how many bytes were sent.

    What `target` has is left, what its registry has in the repository of `source`'s name is mounted from there. The
    bytes that are sent are verified against their digests on the way. Raises `RegistryError`.
    """
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(blob: Descriptor) -> int:
        async with turns:
            return await _move(source, blob, target)

    # The same layer may be there twice.
    wanted = {blob.digest: blob for blob in blobs}
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(blob)) for blob in wanted.values()]
    except BaseExceptionGroup as failed:
        # One failure stops the others, and is what the caller hears.
        raise failed.exceptions[0] from None
    return sum(task.result() for task in tasks)


async def copy(source: Place, digest: str, target: Place, *, tag: str | None = None) -> int:
    """Put the image `digest` of `source` into `target` too; returns how many bytes of blobs were sent.

    Raises `RegistryError`.
    """
    _, manifest = await source.registry.manifest(source.repository, digest)
    sent = await move(source, (*manifest.layers, manifest.config), target)
    await target.registry.put_manifest(target.repository, manifest, tag=tag)
    return sent


async def _move(source: Place, blob: Descriptor, target: Place) -> int:
    if await target.registry.has(target.repository, blob.digest):
        return 0
    if source.repository != target.repository and await target.registry.mount(
        target.repository, blob.digest, source.repository
    ):
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "blob")
        await source.registry.fetch(source.repository, blob, path)
        await target.registry.put(target.repository, path, blob.media_type)
    return blob.size
