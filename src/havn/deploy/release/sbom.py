"""The bill of materials of a release, in CycloneDX 1.6 JSON; made from the release alone, so equal for equal bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from havn.deploy.registry.model import EMPTY, EMPTY_BYTES, MANIFEST, Descriptor, Manifest, encode
from havn.deploy.registry.port import Registry
from havn.deploy.release.dependencies import Component
from havn.deploy.release.model import SBOM


def bill(repository: str, digest: str, licences: str | None, components: Sequence[Component]) -> bytes:
    """The document."""
    app: dict[str, Any] = {
        "type": "application",
        "bom-ref": f"{repository}@{digest}",
        "name": repository,
        "version": digest,
        "hashes": [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}],
    }
    if licences:
        app["licenses"] = [{"expression": licences}]
    return encode({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": app},
        "components": [_component(each) for each in components],
        "dependencies": [
            {"ref": f"{repository}@{digest}", "dependsOn": [_purl(each) for each in components]},
            *({"ref": _purl(each)} for each in components),
        ],
    })  # fmt: skip


async def attach(registry: Registry, repository: str, release: Descriptor, document: bytes) -> Descriptor:
    """Store the document as a referrer of `release`."""
    layer = await registry.put(repository, document, SBOM)
    config = await registry.put(repository, EMPTY_BYTES, EMPTY)
    manifest = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        artifact_type=SBOM,
        config=config,
        layers=(layer,),
        subject=Descriptor(media_type=MANIFEST, digest=release.digest, size=release.size),
    )
    return await registry.put_manifest(repository, manifest)


def _component(component: Component) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(component),
        "name": component.name,
        "version": component.version,
        "purl": _purl(component),
        "hashes": [{"alg": "SHA-256", "content": component.sha256}],
    }
    if component.licence:
        found["licenses"] = [{"license": {"name": component.licence}}]
    return found


def _purl(component: Component) -> str:
    return f"pkg:pypi/{component.name}@{component.version}"
