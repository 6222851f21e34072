"""What was read and is not yet delivered, on disk: a file for each batch, and one for how far the log was read.

A batch's file also says how far it reached. So a crash between the two writes is seen at the next start: the batch is
there, the place is not yet past it. A batch keeps its name until it is delivered, and is ignored when it comes twice.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from havn.contracts.levels import Batch
from havn.gateway.records.following import Place

_PLACE = "place.json"


class _Kept(msgspec.Struct, frozen=True):
    place: Place
    number: int


class _Waiting(msgspec.Struct, frozen=True):
    batches: list[Batch]
    place: Place


class Spool:
    """A folder of one sender's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = self._load()
        for path in self.waiting():
            number = int(path.stem)
            if number >= kept.number:
                kept = _Kept(msgspec.json.decode(path.read_bytes(), type=_Waiting).place, number + 1)
        self._kept = kept

    @property
    def place(self) -> Place:
        """How far the log was read."""
        return self._kept.place

    def waiting(self) -> list[Path]:
        """The files that are to be delivered, oldest first."""
        return sorted(self._folder.glob("[0-9]*.json"))

    def put(self, batches: list[Batch], place: Place) -> None:
        """Keep `batches`, which reach up to `place`; with none only the place moves on."""
        number = self._kept.number
        if batches:
            _write(self._folder / f"{number:012}.json", msgspec.json.encode(_Waiting(batches, place)))
            number += 1
        self._kept = _Kept(place, number)
        _write(self._folder / _PLACE, msgspec.json.encode(self._kept))

    def batches(self, path: Path) -> list[Batch]:
        """What one of the files has."""
        return msgspec.json.decode(path.read_bytes(), type=_Waiting).batches

    def done(self, path: Path) -> None:
        """Its batches are delivered."""
        path.unlink(missing_ok=True)

    def _load(self) -> _Kept:
        try:
            return msgspec.json.decode((self._folder / _PLACE).read_bytes(), type=_Kept)
        except (FileNotFoundError, msgspec.MsgspecError):
            return _Kept(Place(), 1)


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
