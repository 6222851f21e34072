"""The port to a registry, in the words of the OCI Distribution Specification 1.1. A repository is `org/app`."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from havn.deploy.registry.model import Descriptor, Manifest


class RegistryError(Exception):
    """The registry cannot do what was asked, or holds something damaged; the message is a sentence."""


class NotInRegistry(RegistryError):
    """There is no such content."""


class Registry(Protocol):
    """Content by digest, manifests by digest or tag, and what refers to them. Every write is safe to repeat.

    What is read is verified against its descriptor before anything is done with it.
    """

    async def has(self, repository: str, digest: str) -> bool:
        """Whether the blob is there."""
        ...

    async def put(self, repository: str, content: bytes | Path, media_type: str) -> Descriptor:
        """Store a blob, from memory or from a file."""
        ...

    async def mount(self, repository: str, digest: str, origin: str) -> bool:
        """Take a blob over from the repository `origin` of the same registry; False when it is not to be had there."""
        ...

    async def read(self, repository: str, descriptor: Descriptor) -> bytes:
        """A small blob (at most 16 MiB). Raises `NotInRegistry`, `RegistryError`."""
        ...

    async def fetch(self, repository: str, descriptor: Descriptor, to: Path) -> None:
        """Write a blob into the file `to`; nothing is left there when it is not what the descriptor says."""
        ...

    async def put_manifest(self, repository: str, manifest: Manifest, *, tag: str | None = None) -> Descriptor:
        """Store a manifest whose blobs are there, and point `tag` to it."""
        ...

    async def manifest(self, repository: str, reference: str) -> tuple[Descriptor, Manifest]:
        """The manifest with this digest or tag. Raises `NotInRegistry`, `RegistryError`."""
        ...

    async def referrers(
        self, repository: str, digest: str, artifact_type: str | None = None
    ) -> list[tuple[Descriptor, Manifest]]:
        """Manifests whose subject is `digest`, of one type or all."""
        ...

    async def tags(self, repository: str) -> dict[str, str]:
        """Every tag with the digest it points to."""
        ...
