"""Unpacking a layer that somebody else may have made: bounded, and never outside its folder."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from havn.deploy.release.model import MAX_FILES, MAX_UNPACKED, ReleaseError

_PIECE = 256 * 1024


def unpack_layer(archive: Path, diff_id: str, root: str, into: Path, *, limit: int = MAX_UNPACKED) -> None:
    """Write the files that lie under `root` in the gzipped tar `archive` into the new folder `into`.

    Raises `ReleaseError` when the archive is not the one of `diff_id`, holds anything but plain files and folders
    under `root`, or more than `limit` bytes.
    """
    into.mkdir(parents=True)
    reader = _Inflated(archive, limit)
    written = 0
    seen: set[str] = set()
    try:
        with tarfile.open(fileobj=reader, mode="r|") as tar:  # type: ignore[call-overload]
            for member in tar:
                path = _place(member.name, root)
                if len(seen) > MAX_FILES * 2 or member.name in seen:
                    raise ReleaseError("A layer holds too many entries, or one twice.")
                seen.add(member.name)
                if member.isdir():
                    if path is not None:
                        (into / path).mkdir(parents=True, exist_ok=True)
                    continue
                if not member.isreg() or path is None:
                    raise ReleaseError(
                        f"A layer holds {member.name[:100]!r}, which is not a plain file of the release."
                    )
                written += member.size
                if written > limit:
                    raise ReleaseError("A layer holds more than a release may.")
                _write(tar, member, into / path)
        reader.finish()
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise ReleaseError("A layer cannot be unpacked: it is damaged.") from error
    if reader.digest() != diff_id:
        raise ReleaseError("A layer is not the one that its release names.")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = tar.extractfile(member)
    assert source is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    # Exclusive: a file is never written through something that is already there.
    with target.open("xb") as file:
        while piece := source.read(_PIECE):
            file.write(piece)


def _place(name: str, root: str) -> str | None:
    """The path below `root`, or None for `root` itself and the folders above it."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise ReleaseError(f"A layer holds {name[:100]!r}, which is outside the release.")
    if path == PurePosixPath(root) or path in PurePosixPath(root).parents:
        return None
    if not path.is_relative_to(root):
        raise ReleaseError(f"A layer holds {name[:100]!r}, which is outside the release.")
    return str(path.relative_to(root))


class _Inflated:
    """A gzip file read as its content: never more at once than asked for, hashed on the way, bounded in all."""

    def __init__(self, archive: Path, limit: int) -> None:
        # Headers and padding of small files may double what the files themselves hold.
        self._limit = 2 * limit
        self._pieces = self._inflate(archive)
        self._buffer = bytearray()
        self._hash = hashlib.sha256()
        self._total = 0

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._total += len(piece)
            if self._total > self._limit:
                raise ReleaseError("A layer holds more than a release may.")
            self._hash.update(piece)
            self._buffer += piece
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def finish(self) -> None:
        """Read on to the end."""
        while self.read(_PIECE):
            pass

    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    @staticmethod
    def _inflate(archive: Path) -> Iterator[bytes]:
        with archive.open("rb") as file:
            inflater = zlib.decompressobj(31)
            while data := file.read(_PIECE):
                while data:
                    # At most a megabyte at a time: a small file may stand for a very large one.
                    yield inflater.decompress(data, 1024 * 1024)
                    data = inflater.unconsumed_tail
            if not inflater.eof or inflater.unused_data:
                raise EOFError
