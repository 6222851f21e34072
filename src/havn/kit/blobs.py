"""Where file contents lie: a folder on this machine, or an object store (S3, Azure Blob) through obstore.

The port is small: write whole, read in pieces, delete, list. A blob is visible only once it is wholly written, is never
changed afterwards, and its path is made by us: segments of letters, digits and `._%-`, joined by `/`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import secrets
from collections.abc import AsyncIterable, AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import unquote, urlsplit

import msgspec

from havn.kit.problem import Problem

_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._%-]{1,200}")
_PIECE = 1024 * 1024
# Object stores take parts of at least 5 MiB.
_PART = 8 * 1024 * 1024
_PARTIAL = ".partial-"


class BlobNotFoundError(Exception):
    """There is no blob at this path."""


class BlobInfo(msgspec.Struct, frozen=True):
    """A blob as a listing shows it; `size` in bytes."""

    path: str
    size: int
    modified: datetime


class BlobContent(msgspec.Struct, frozen=True):
    """A blob opened for reading; `chunks` is read once, to its end or closed with `aclose`."""

    size: int
    chunks: AsyncIterator[bytes]


class Blobs(Protocol):
    """A place for blobs. Any method may raise a `Problem`: 503 when it cannot be reached, 507 when it is full."""

    async def write(self, path: str, chunks: AsyncIterable[bytes]) -> None:
        """Store what `chunks` yields at `path`. When `chunks` raises, nothing is there and the exception passes on."""

    async def open(self, path: str) -> BlobContent:
        """Open for reading; raises `BlobNotFoundError`."""

    async def delete(self, path: str) -> None:
        """Remove; no error when it is not there."""

    def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        """The blobs under the folder `prefix` (whole segments), in no particular order."""


def open_blobs(url: str) -> Blobs:
    """The place that `url` names: `file:///folder`, or `s3://bucket/prefix`, `az://container/prefix` and the like.

    Object stores take their credentials, endpoint and region from the environment variables of their own tools
    (`AWS_…`, `AZURE_…`). Raises ValueError for an address that cannot be used.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return FolderBlobs(Path(unquote(parts.path)))
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    try:
        return ObjectBlobs(from_url(url))
    except BaseError as error:
        raise ValueError(f"{parts.scheme}://{parts.netloc} cannot be used for blobs: {error}") from None


class FolderBlobs:
    """Blobs as files below `root`, written beside their place, synced, then renamed into it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def write(self, path: str, chunks: AsyncIterable[bytes]) -> None:
        """As `Blobs.write`."""
        target = self._root / _checked(path)
        partial = target.parent / f"{_PARTIAL}{secrets.token_hex(8)}"
        file: IO[bytes] | None = None
        try:
            async for piece in _pieces(chunks, _PIECE):
                if file is None:
                    file = await asyncio.to_thread(_create, partial)
                await asyncio.to_thread(file.write, piece)
            if file is None:
                file = await asyncio.to_thread(_create, partial)
            await asyncio.to_thread(_finish, file, partial, target)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise Problem(507, "There is no room left to store this.", code="storage_full") from error
        finally:
            if file is not None:
                file.close()
                partial.unlink(missing_ok=True)

    async def open(self, path: str) -> BlobContent:
        """As `Blobs.open`."""
        try:
            file, size, first = await asyncio.to_thread(_open, self._root / _checked(path))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise BlobNotFoundError(path) from None
        return BlobContent(size, _read(file, first))

    async def delete(self, path: str) -> None:
        """As `Blobs.delete`; folders left empty go too."""
        await asyncio.to_thread(_remove, self._root, self._root / _checked(path))

    async def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        """As `Blobs.list`."""
        top = self._root / _checked(prefix) if prefix else self._root
        for info in await asyncio.to_thread(lambda: list(_walk(self._root, top))):
            yield info


class ObjectBlobs:
    """Blobs as objects of an obstore store."""

    def __init__(self, store: Any) -> None:
        self._store = store

    async def write(self, path: str, chunks: AsyncIterable[bytes]) -> None:
        """As `Blobs.write`: in one call when small, else as a multipart upload that is completed at the end."""
        import obstore
        from obstore.exceptions import BaseError

        pieces = _pieces(chunks, _PART)
        first = await anext(pieces, b"")
        second = await anext(pieces, None)
        try:
            if second is None:
                await obstore.put_async(self._store, _checked(path), first)
                return
            # An upload that is never closed stays invisible; the bucket's life-cycle rule removes its parts.
            writer = obstore.open_writer_async(self._store, _checked(path), buffer_size=_PART)
            await writer.write(first)
            await writer.write(second)
            async for piece in pieces:
                await writer.write(piece)
            await writer.close()
        except BaseError as error:
            raise _store_problem(error) from error

    async def open(self, path: str) -> BlobContent:
        """As `Blobs.open`."""
        import obstore
        from obstore.exceptions import BaseError, NotFoundError

        try:
            found = await obstore.get_async(self._store, _checked(path))
        except (NotFoundError, FileNotFoundError):
            raise BlobNotFoundError(path) from None
        except BaseError as error:
            raise _store_problem(error) from error
        return BlobContent(int(found.meta["size"]), _stream(found))

    async def delete(self, path: str) -> None:
        """As `Blobs.delete`."""
        import obstore
        from obstore.exceptions import BaseError, NotFoundError

        try:
            await obstore.delete_async(self._store, _checked(path))
        except (NotFoundError, FileNotFoundError):
            return
        except BaseError as error:
            raise _store_problem(error) from error

    async def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        """As `Blobs.list`."""
        import obstore
        from obstore.exceptions import BaseError

        try:
            async for batch in obstore.list(self._store, _checked(prefix) if prefix else None):
                for item in batch:
                    yield BlobInfo(str(item["path"]), int(item["size"]), item["last_modified"].astimezone(UTC))
        except BaseError as error:
            raise _store_problem(error) from error


def _checked(path: str) -> str:
    """`path` if it is one of ours; a mistake in the caller otherwise."""
    if not all(_SEGMENT.fullmatch(segment) for segment in path.split("/")):
        raise ValueError("not a blob path")
    return path


async def _pieces(chunks: AsyncIterable[bytes], size: int) -> AsyncIterator[bytes]:
    """The same bytes in pieces of at least `size`, but for the last."""
    waiting: list[bytes] = []
    length = 0
    async for chunk in chunks:
        waiting.append(chunk)
        length += len(chunk)
        if length >= size:
            yield b"".join(waiting)
            waiting, length = [], 0
    if length:
        yield b"".join(waiting)


def _create(partial: Path) -> IO[bytes]:
    while True:
        try:
            new = [folder for folder in partial.parents if not folder.exists()]
            partial.parent.mkdir(parents=True, exist_ok=True)
            for folder in new:
                _sync_folder(folder.parent)
            return partial.open("xb")
        except (FileNotFoundError, FileExistsError):
            # Somebody has just removed a folder, which was empty until now. Made by others meanwhile and gone again, it
            # seems to exist without being one.
            if partial.parent.is_file():
                raise


def _finish(file: IO[bytes], partial: Path, target: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    partial.rename(target)
    # The name must survive a power cut too: a committed row may point at it a moment from now.
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> tuple[IO[bytes], int, bytes]:
    file = path.open("rb")
    size = os.fstat(file.fileno()).st_size
    return file, size, file.read(_PIECE)


async def _read(file: IO[bytes], first: bytes) -> AsyncIterator[bytes]:
    try:
        piece = first
        while piece:
            yield piece
            piece = await asyncio.to_thread(file.read, _PIECE) if len(piece) == _PIECE else b""
    finally:
        file.close()


def _remove(root: Path, path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except (NotADirectoryError, IsADirectoryError):
        return
    for folder in path.parents:
        if folder == root:
            return
        try:
            folder.rmdir()
        except OSError:
            return  # not empty, or a writer has just come


def _walk(root: Path, top: Path) -> list[BlobInfo]:
    found = []
    for folder, _, names in os.walk(top):
        for name in names:
            path = Path(folder, name)
            if not name.startswith(_PARTIAL):
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue  # deleted while we were looking
                found.append(
                    BlobInfo(
                        path.relative_to(root).as_posix(), stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC)
                    )
                )
    return found


async def _stream(found: Any) -> AsyncIterator[bytes]:
    async for chunk in found.stream(min_chunk_size=_PIECE):
        yield bytes(chunk)


def _store_problem(error: Exception) -> Problem:
    return Problem(
        503, "File contents cannot be reached just now.", code="blobs_unavailable", headers={"Retry-After": "2"}
    )
