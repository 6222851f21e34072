"""Following a log file through rotation, truncation and restarts: every whole line once, in order.

A place is a file's number on its disk (inode), how far it was read, and a fingerprint of its beginning, since numbers
are used again. Files that were renamed away are found beside the log by that number and read to their end first.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import msgspec

_FINGERPRINT = 256


class Place(msgspec.Struct, frozen=True):
    """How far a log has been read."""

    inode: int = 0
    offset: int = 0
    mark: str = ""
    """Fingerprint of the file's first bytes, as many as `marked` says."""
    marked: int = 0
    seen: float = 0.0
    """When the file was last written to, as it was seen: files older than this are done with."""


class Piece(msgspec.Struct, frozen=True):
    """Whole lines that come next, and the place behind them."""

    lines: list[bytes]
    place: Place


class Follower:
    """Reads the log at `path`, and what it was rotated to: `path.1`, `path-20260301` and so on, not compressed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, place: Place, limit: int = 4 * 1024 * 1024) -> Piece | None:
        """The next lines after `place`, about `limit` bytes of them; None when there is nothing new."""
        while True:
            files = self._files()
            index = _find(files, place)
            if index is None:
                # Never read, or gone before we came back: begin with the oldest that is not done with.
                index = next(
                    (number for number, (_, status) in enumerate(files) if status.st_mtime > place.seen), len(files)
                )
                if index == len(files):
                    return None
                place = Place(files[index][1].st_ino)
            elif files[index][1].st_ino != place.inode:
                place = msgspec.structs.replace(place, inode=files[index][1].st_ino)
            piece = _read(files[index][0], place, limit)
            if piece is not None:
                return piece
            if index + 1 >= len(files) or files[index + 1][1].st_size == 0:
                return None
            # Something is in the file after it, so nobody writes into this one any more; what was written between our
            # reading and theirs is found by looking once more.
            piece = _read(files[index][0], place, limit, final=True)
            if piece is not None:
                return piece
            place = Place(files[index + 1][1].st_ino)

    def _files(self) -> list[tuple[Path, os.stat_result]]:
        """The log and what it was rotated to, oldest first, the log itself last."""
        found = []
        for path in self._path.parent.glob(f"{self._path.name}*"):
            if path.suffix in (".gz", ".zst", ".bz2", ".xz"):
                continue
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                found.append((path, status))
        return sorted(found, key=lambda each: (each[0] == self._path, each[1].st_mtime_ns))


def _find(files: list[tuple[Path, os.stat_result]], place: Place) -> int | None:
    """The file that `place` is in: by its number, or a copy of it that was made before it was cut short."""
    if not place.inode:
        return None

    def goes_on(path: Path, status: os.stat_result) -> bool:
        return status.st_size >= place.offset and _fingerprint(path, place.marked) == place.mark

    for same_number in (True, False):
        for index, (path, status) in enumerate(files):
            if (status.st_ino == place.inode) is not same_number or not (same_number or place.marked):
                continue
            if goes_on(path, status):
                return index
    return None


def _read(path: Path, place: Place, limit: int, *, final: bool = False) -> Piece | None:
    """Whole lines after `place`; with `final` also a last one that was never finished."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if place.inode != status.st_ino:
                return None
            file.seek(place.offset)
            data = file.read(limit)
            end = data.rfind(b"\n") + 1
            if end == 0:
                if len(data) == limit:
                    end = len(data)  # no line is that long: skip it
                elif final and data:
                    end = len(data)
                else:
                    return None
            offset = place.offset + end
            marked = min(offset, _FINGERPRINT)
            mark = place.mark
            if marked != place.marked or not mark:
                file.seek(0)
                mark = _digest(file.read(marked))
            return Piece(
                data[:end].split(b"\n")[: None if not data[:end].endswith(b"\n") else -1],
                Place(status.st_ino, offset, mark, marked, status.st_mtime),
            )
    except FileNotFoundError:
        return None


def _fingerprint(path: Path, length: int) -> str:
    if length == 0:
        return ""
    try:
        with path.open("rb") as file:
            return _digest(file.read(length))
    except FileNotFoundError:
        return ""


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
