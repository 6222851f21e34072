"""What a release says about itself, and the media types of its parts."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

ARTIFACT = "application/vnd.havn.release.v1"
CONFIG = "application/vnd.havn.release.config.v1+json"
# Plain image layers, so that an app's image is a base image's layers followed by these.
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
SBOM = "application/vnd.cyclonedx+json"
SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"
SIGNED_PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature"

# Where the layers' files lie in an image.
APP_ROOT = "opt/havn/app"
DEPENDENCIES_ROOT = "opt/havn/dependencies"

MAX_FILES = 20_000
MAX_UNPACKED = 512 * 1024 * 1024


class ReleaseError(Exception):
    """The release cannot be made, or cannot be trusted; the message is a sentence."""


class Python(msgspec.Struct, frozen=True, kw_only=True):
    """The interpreter that the dependencies were chosen for; `abi` none and `platform` any when all are pure."""

    version: str
    abi: str = "none"
    platform: str = "any"


class RuntimeRange(msgspec.Struct, frozen=True, kw_only=True):
    """The versions of Havn's runtime that the release was made for: from `minimum`, before `below`."""

    minimum: str
    below: str

    def holds(self, version: str) -> bool:
        """Whether `version` is in the range."""
        return _numbers(self.minimum) <= _numbers(version) < _numbers(self.below)


class ReleaseConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The config blob: everything that is known of a release without unpacking it."""

    org: str
    app: str
    python: Python
    runtime: RuntimeRange
    diff_ids: tuple[str, ...]
    """Digests of the layers' tar archives: dependencies, then app."""
    labels: Mapping[str, str]


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A release in a registry."""

    org: str
    app: str
    digest: str
    config: ReleaseConfig

    @property
    def repository(self) -> str:
        """Where it is kept."""
        return f"{self.org}/{self.app}"


def runtime_range(version: str) -> RuntimeRange:
    """The range for a release made with Havn `version`: up to the next version that may break it."""
    major, minor, *_ = _numbers(version)
    below = f"0.{minor + 1}.0" if major == 0 else f"{major + 1}.0.0"
    return RuntimeRange(minimum=version, below=below)


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split("+", maxsplit=1)[0].split(".")[:3]
    if not all(part.isdigit() for part in parts):
        raise ReleaseError(f"{version[:40]!r} is not a version such as 1.2.3.")
    return tuple(int(part) for part in parts)
