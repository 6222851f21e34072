"""OCI archives of single static programs, for the parts of a local cluster that run as pods."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import msgspec

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def write_archive(archive: Path, name: str, program: Path) -> None:
    """Write an OCI image archive to `archive`: image `name` (repository:tag) that runs the static `program`."""
    blobs: dict[str, bytes] = {}

    def put(data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"digest": f"sha256:{digest}", "size": len(data)}

    layer = _layer(program)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "User": "65534:65534", "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **put(msgspec.json.encode(config))},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **put(layer)}],
    }
    names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}
    index = {
        "schemaVersion": 2,
        "manifests": [{"mediaType": _MANIFEST, **put(msgspec.json.encode(manifest)), "annotations": names}],
    }
    with tarfile.open(archive, "w") as out:
        _add(out, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(out, "index.json", msgspec.json.encode(index))
        for digest, data in blobs.items():
            _add(out, f"blobs/sha256/{digest}", data)


def _layer(program: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        _add(layer, program.name, program.read_bytes(), mode=0o755)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))
