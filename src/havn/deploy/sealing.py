"""Sealing what the control plane keeps secret in its database: age (C2SP), to identities that lie outside of it.

Each sealed value names the key it was sealed with, so that identities can be changed one after the other: the first
one seals, every one opens, and what is still sealed with another can be found and sealed anew. Inside, beside the
value, stands the place it belongs to: who can write to the database cannot move a secret to where it is not meant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import pyrage

from havn.kit.problem import Problem


class SealError(Exception):
    """A sealed value cannot be opened; the message is a sentence with the next step, and holds nothing secret."""


class Identities(Protocol):
    """Where the age identities are kept."""

    def all(self) -> Sequence[str]:
        """Every identity that may be needed, the one to seal with first. Raises `SealError` when there is none."""
        ...

    def renew(self) -> None:
        """Put a new identity first. Raises a 409 `Problem` where somebody else provides them."""
        ...

    def keep_first(self) -> None:
        """Forget all but the first: nothing is sealed with them any more."""
        ...


class FileIdentities:
    """Identities in a file that is mounted, one a line, as `age-keygen` writes them; read again at each use."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> Sequence[str]:
        """See `Identities.all`."""
        try:
            lines = [line.strip() for line in self._path.read_text().splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise SealError(f"The identities in {self._path} cannot be read: mount them again.") from error
        found = [line for line in lines if line and not line.startswith("#")]
        if not found:
            raise SealError(f"There is no identity in {self._path}: make one with age-keygen.")
        return found

    def renew(self) -> None:
        """See `Identities.renew`."""
        raise Problem(
            409,
            "The identities are mounted from outside: put a new one on the file's first line, wait until it is "
            "mounted, and ask again without a new one.",
            code="identities_are_mounted",
        )

    def keep_first(self) -> None:
        """See `Identities.keep_first`: who mounts them takes them away."""


class Sealed(msgspec.Struct, frozen=True):
    """A value as it is stored."""

    key_id: str
    data: bytes


class _Content(msgspec.Struct, frozen=True):
    place: str
    value: str


class Sealer:
    """Seals and opens."""

    def __init__(self, identities: Identities) -> None:
        self.identities = identities

    def key_id(self) -> str:
        """The id of the key that seals now."""
        return _key_id(self._identities()[0].to_public())

    def seal(self, place: str, value: str) -> Sealed:
        """`value` for `place`. Raises `SealError`."""
        recipient = self._identities()[0].to_public()
        data = pyrage.encrypt(msgspec.json.encode(_Content(place, value)), [recipient])
        return Sealed(_key_id(recipient), data)

    def open(self, place: str, sealed: Sealed) -> str:
        """The value that was sealed for `place`. Raises `SealError`."""
        identities = self._identities()
        if sealed.key_id not in {_key_id(each.to_public()) for each in identities}:
            raise SealError(
                f"What is stored for {place} was sealed with the key {sealed.key_id}, which is not here: "
                "restore its identity, or store the value again."
            )
        try:
            content = msgspec.json.decode(pyrage.decrypt(sealed.data, identities), type=_Content)
        except (pyrage.DecryptError, msgspec.MsgspecError):
            raise SealError(f"What is stored for {place} is damaged: store it again.") from None
        if content.place != place:
            raise SealError(f"What is stored for {place} was made for another place: store it again.")
        return content.value

    def _identities(self) -> list[pyrage.x25519.Identity]:
        try:
            return [pyrage.x25519.Identity.from_str(text) for text in self.identities.all()]
        except pyrage.IdentityError:
            # Not the error itself: it might quote the identity.
            raise SealError("An age identity of the control plane is not one: AGE-SECRET-KEY-1 begins each.") from None


def _key_id(recipient: pyrage.x25519.Recipient) -> str:
    return hashlib.sha256(str(recipient).encode()).hexdigest()[:16]
