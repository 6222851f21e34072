"""Layers: gzipped tar archives whose bytes depend on the files' names and contents alone."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from havn.deploy.release.model import MAX_FILES, MAX_UNPACKED, ReleaseError

# RFC 1952: deflate, no name, no time, fixed "operating system": nothing of where and when.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

_SKIPPED_FOLDERS = frozenset(
    (".git", ".hg", ".svn", ".venv", "venv", ".havn", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache",
     "node_modules", ".idea", ".vscode", ".vs", "bin", "obj")
)  # fmt: skip
_SKIPPED_FILES = frozenset((".DS_Store", "Thumbs.db", ".gitignore", ".gitattributes", ".env", ".editorconfig"))
# An Altinn Studio app's C# is not run here; `havn check` names the hooks that replace it.
_SKIPPED_SUFFIXES = frozenset((".pyc", ".pyo", ".swp", ".tmp", ".cs", ".csproj", ".sln", ".user"))


class Layer(msgspec.Struct, frozen=True):
    """The compressed bytes, and the digest of the archive inside."""

    data: bytes
    diff_id: str


def app_files(folder: Path) -> dict[str, bytes]:
    """The files of an app folder that belong into a release, by path. Raises `ReleaseError`."""
    files: dict[str, bytes] = {}
    total = 0
    pending = [folder]
    while pending:
        place = pending.pop()
        for path in sorted(place.iterdir()):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink():
                raise ReleaseError(f"{name} is a link: a release holds plain files only, so put the file itself there.")
            if path.is_dir():
                if path.name not in _SKIPPED_FOLDERS:
                    pending.append(path)
            elif path.is_file():
                if path.name in _SKIPPED_FILES or path.suffix in _SKIPPED_SUFFIXES or path.name.endswith("~"):
                    continue
                total += path.stat().st_size
                if total > MAX_UNPACKED or len(files) >= MAX_FILES:
                    raise ReleaseError(
                        f"{folder} holds more than a release may ({MAX_FILES} files, {MAX_UNPACKED // 2**20} MB)."
                    )
                files[name] = path.read_bytes()
            else:
                raise ReleaseError(f"{name} is neither a file nor a folder: a release cannot hold it.")
    return files


def make_layer(files: Mapping[str, bytes], root: str, *, mode: int = 0o644) -> Layer:
    """`files` under `root`: sorted, owned by root, modified at the epoch, readable by all (or as `mode` says)."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in _folders(files, root):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        for name in sorted(files):
            info = tarfile.TarInfo(f"{root}/{name}")
            info.size, info.mode = len(files[name]), mode
            tar.addfile(info, io.BytesIO(files[name]))
    data = archive.getvalue()
    return Layer(_gzip(data), f"sha256:{hashlib.sha256(data).hexdigest()}")


def _folders(files: Iterable[str], root: str) -> list[str]:
    folders = {root, *(str(parent) for parent in PurePosixPath(root).parents if str(parent) != ".")}
    for name in files:
        folders.update(f"{root}/{parent}" for parent in PurePosixPath(name).parents if str(parent) != ".")
    return sorted(folders)


def _gzip(data: bytes) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = compressor.compress(data) + compressor.flush()
    tail = zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
    return _GZIP_HEADER + body + tail
