"""Descriptors, manifests and indexes of the OCI Image Format Specification 1.1, and their canonical bytes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import msgspec

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
EMPTY_BYTES = b"{}"
REF_NAME = "org.opencontainers.image.ref.name"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Points to content by its digest and size."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = {}
    artifact_type: str | None = None

    def __post_init__(self) -> None:
        if not is_digest(self.digest) or self.size < 0:
            raise ValueError("a descriptor has a sha256 digest and a size")


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An image or artifact: its config and layers, and the manifest it says something about."""

    schema_version: int
    media_type: str
    artifact_type: str | None = None
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = {}


class Index(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A list of manifests."""

    schema_version: int
    media_type: str
    manifests: tuple[Descriptor, ...] = ()


def is_digest(text: str) -> bool:
    """Whether `text` is a sha256 digest, the only kind that is accepted."""
    return _DIGEST.fullmatch(text) is not None


def is_repository(text: str) -> bool:
    """Whether `text` can name a repository."""
    return len(text) <= 200 and _REPOSITORY.fullmatch(text) is not None


def digest_of(data: bytes) -> str:
    """The digest of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def describe(data: bytes, media_type: str, *, artifact_type: str | None = None) -> Descriptor:
    """The descriptor of `data`."""
    return Descriptor(media_type=media_type, digest=digest_of(data), size=len(data), artifact_type=artifact_type)


def encode(value: object) -> bytes:
    """Canonical JSON: members in order of name, no blanks, so that equal values have equal bytes."""
    return msgspec.json.encode(value, order="sorted")
