"""The config blob of an image, and how its containers are started (OCI Image Format Specification 1.1)."""

from __future__ import annotations

import msgspec

CONFIG = "application/vnd.oci.image.config.v1+json"


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
