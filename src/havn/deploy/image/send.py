"""Sending a release to another registry, with all that refers to it: its signature and its bill of materials."""

from __future__ import annotations

from havn.deploy.image.transfer import Place, copy
from havn.deploy.registry import Registry


async def send(source: Registry, target: Registry, repository: str, digest: str) -> int:
    """Put the release `digest` into `target` too, signed as it is; returns how many bytes were sent.

    Only what is missing there is sent. Raises `RegistryError`.
    """
    here, there = Place(source, repository), Place(target, repository)
    tags = {pointed: tag for tag, pointed in (await source.tags(repository)).items()}
    sent = await copy(here, digest, there)
    for referrer, _ in await source.referrers(repository, digest):
        # With its tag: tools that do not know referrers find a signature by that.
        sent += await copy(here, referrer.digest, there, tag=tags.get(referrer.digest))
    return sent
