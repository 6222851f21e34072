"""From a checked app folder to a signed release in a registry."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import msgspec

from havn import __version__
from havn.appfolder.ids import AppId
from havn.deploy.registry import Descriptor, Manifest, Registry
from havn.deploy.registry.model import MANIFEST, encode
from havn.deploy.release import dependencies, sbom
from havn.deploy.release.dependencies import Component, Dependencies
from havn.deploy.release.layers import Layer, app_files, make_layer
from havn.deploy.release.model import (
    APP_ROOT,
    ARTIFACT,
    CONFIG,
    DEPENDENCIES_ROOT,
    LAYER,
    Python,
    Release,
    ReleaseConfig,
    ReleaseError,
    runtime_range,
)
from havn.deploy.release.signing import SigningKey, sign

REQUIREMENTS = "requirements.txt"


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """A release that was made, and whether the registry had it already."""

    release: Release
    descriptor: Descriptor
    existed: bool
    size: int
    """Bytes of its layers, compressed."""


class _CachedDependencies(msgspec.Struct, frozen=True):
    diff_id: str
    components: tuple[Component, ...]
    python: Python


async def build(
    folder: Path,
    id_: AppId,
    *,
    registry: Registry,
    key: SigningKey,
    cache: Path,
    commit: str | None = None,
) -> Built:
    """Make the release of the app in `folder` (the one that holds `config/` and `ui/`), sign and store it.

    The same files, dependencies and `commit` always give the same digest. Dependencies that were resolved once are
    taken from `cache`. Raises `ReleaseError`, `RegistryError`.
    """
    files = {**_deployment_files(folder), **app_files(folder)}
    if not files:
        raise ReleaseError(f"{folder} holds no files.")
    repository = str(id_)
    needed, resolved = _dependencies(files.get(REQUIREMENTS), cache)
    app = make_layer(files, APP_ROOT)
    licences = licence_of(folder)
    labels = {
        "org.opencontainers.image.title": repository,
        "org.opencontainers.image.vendor": id_.org,
        "havn.builder": f"havn/{__version__}",
    }
    if commit is not None:
        labels["org.opencontainers.image.revision"] = commit
    if licences is not None:
        labels["org.opencontainers.image.licenses"] = licences
    config = ReleaseConfig(
        org=id_.org,
        app=id_.app,
        python=resolved.python,
        runtime=runtime_range(__version__),
        diff_ids=(needed.diff_id, app.diff_id),
        labels=labels,
    )
    manifest = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        artifact_type=ARTIFACT,
        config=await registry.put(repository, encode(config), CONFIG),
        layers=(
            await registry.put(repository, needed.data, LAYER),
            await registry.put(repository, app.data, LAYER),
        ),
        annotations=labels,
    )
    existed = await registry.has(repository, _digest(manifest))
    stored = await registry.put_manifest(repository, manifest)
    await sbom.attach(registry, repository, stored, sbom.bill(repository, stored.digest, licences, resolved.components))
    await sign(registry, repository, stored, key)
    return Built(
        release=Release(org=id_.org, app=id_.app, digest=stored.digest, config=config),
        descriptor=stored,
        existed=existed,
        size=len(needed.data) + len(app.data),
    )


def _deployment_files(folder: Path) -> dict[str, bytes]:
    """Outbound rules and Apis in `deployment/` beside `App/`: they go with the release, and are rolled back with it."""
    if folder.name != "App":
        return {}
    beside = {f"deployment/{name}": folder.parent / "deployment" / name for name in ("egress.yaml", "api.yaml")}
    return {name: path.read_bytes() for name, path in beside.items() if path.is_file() and not path.is_symlink()}


def commit_of(folder: Path) -> str | None:
    """The commit that last changed `folder`, when it lies in a git checkout and has no changes since; else None."""
    git = ["git", "-C", str(folder)]
    try:
        dirty = subprocess.run([*git, "status", "--porcelain", "--", "."], capture_output=True, text=True, check=False)
        if dirty.returncode != 0 or dirty.stdout.strip():
            return None
        log = subprocess.run([*git, "log", "-1", "--format=%H", "--", "."], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return log.stdout.strip() or None


def licence_of(folder: Path) -> str | None:
    """The SPDX expression of the licence file beside or above the app's files, when it can be told."""
    for place in (folder, folder.parent):
        for name in ("LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE"):
            path = place / name
            if path.is_file():
                text = path.read_text(errors="replace")[:4000]
                if match := re.search(r"SPDX-License-Identifier:\s*([A-Za-z0-9.+() -]+)", text):
                    return match[1].strip()
                for pattern, expression in _LICENCES:
                    if re.search(pattern, text, re.IGNORECASE | re.DOTALL):
                        return expression
    return None


_LICENCES = (
    (r"Apache License\s+Version 2\.0", "Apache-2.0"),
    (r"European Union Public Licen[cs]e.{0,20}1\.2", "EUPL-1.2"),
    (r"Mozilla Public License.{0,20}2\.0", "MPL-2.0"),
    (r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version 3", "AGPL-3.0-only"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 3", "GPL-3.0-only"),
    (r"MIT License|Permission is hereby granted, free of charge", "MIT"),
    (r"Redistribution and use in source and binary forms.*Neither the name", "BSD-3-Clause"),
)


def _digest(manifest: Manifest) -> str:
    from havn.deploy.registry import digest_of

    return digest_of(encode(manifest))


def _dependencies(requirements: bytes | None, cache: Path) -> tuple[Layer, _CachedDependencies]:
    """The layer of dependencies, and what is known of them; from the cache when it was made before."""
    if requirements is None or not _wants_any(requirements):
        empty = dependencies.none()
        layer = make_layer({}, DEPENDENCIES_ROOT)
        return layer, _CachedDependencies(layer.diff_id, (), empty.python)
    place = cache / dependencies.cache_key(requirements)
    try:
        known = msgspec.json.decode((place / "known.json").read_bytes(), type=_CachedDependencies)
        return Layer((place / "layer.tar.gz").read_bytes(), known.diff_id), known
    except (OSError, msgspec.MsgspecError):
        pass
    place.mkdir(parents=True, exist_ok=True)
    source = place / REQUIREMENTS
    source.write_bytes(requirements)
    resolved: Dependencies = dependencies.resolve(source)
    layer = make_layer(resolved.files, DEPENDENCIES_ROOT)
    known = _CachedDependencies(layer.diff_id, resolved.components, resolved.python)
    (place / "layer.tar.gz").write_bytes(layer.data)
    # Last, so that what it describes is there.
    (place / "known.json").write_bytes(encode(known))
    return layer, known


def _wants_any(requirements: bytes) -> bool:
    return any(line.strip() and not line.strip().startswith(b"#") for line in requirements.splitlines())
