"""The platform's signing keys: published, then signing, then retiring, then removed.

A key is published before it signs, so that verifiers know it in time; it stays published until the last token it
signed has ended. The private halves lie age-encrypted in a folder, never in the database or its dumps.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pyrage
from joserfc import jwk, jwt
from joserfc.jwk import ECKey, Key, RSAKey

from havn.kit.clock import Clock
from havn.kit.settings import SettingsError
from havn.platform.authentication.settings import Algorithm

_RELOAD = timedelta(seconds=30)
# Longer than any token lives, with skew.
_RETIRING = timedelta(hours=13)


class KeyState(enum.Enum):
    """Where a key is in its life."""

    PUBLISHED = "published"
    SIGNING = "signing"
    RETIRING = "retiring"
    REMOVED = "removed"


class SigningKey(msgspec.Struct, frozen=True):
    """The public half of a key, and its times."""

    kid: str
    alg: Algorithm
    public: dict[str, Any]
    published: datetime
    signing_from: datetime
    removed: datetime | None = None


class PrivateKeys(Protocol):
    """Where private keys are kept."""

    def write(self, kid: str, key: bytes) -> None:
        """Keep `key` (a private JWK) under `kid`."""

    def read(self, kid: str) -> bytes:
        """The private JWK of `kid`. Raises `SettingsError` when it is missing or cannot be opened."""

    def delete(self, kid: str) -> None:
        """Forget it; no failure when it is not there."""


class KeyRows(Protocol):
    """Where public halves and times are kept."""

    async def signing_keys(self) -> list[SigningKey]:
        """All that are not removed, oldest first."""

    async def add_signing_key(self, key: SigningKey, *, unless_newer_than: datetime | None) -> bool:
        """Add `key`, unless another of its algorithm was published after `unless_newer_than` (None: ever)."""

    async def remove_signing_key(self, kid: str, now: datetime) -> bool:
        """Mark as removed; False when there is none."""


class KeyFolder:
    """Private keys as files `{kid}.age` in a folder, encrypted to one age identity."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder
        try:
            self._identity = pyrage.x25519.Identity.from_str(identity.strip())
        except pyrage.IdentityError:
            raise SettingsError("HAVN_AUTHENTICATION_KEY_IDENTITY is not an age identity.") from None

    def write(self, kid: str, key: bytes) -> None:
        """Keep `key` under `kid`, whole or not at all."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(kid)
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(pyrage.encrypt(key, [self._identity.to_public()]))
        fresh.replace(path)

    def read(self, kid: str) -> bytes:
        """The private JWK of `kid`."""
        try:
            return bytes(pyrage.decrypt(self._path(kid).read_bytes(), [self._identity]))
        except (OSError, pyrage.DecryptError):
            raise SettingsError(
                f"The signing key {kid} cannot be opened in HAVN_AUTHENTICATION_KEY_FOLDER ({self._folder}): "
                "restore the folder and its identity, or revoke the key."
            ) from None

    def delete(self, kid: str) -> None:
        """Forget it."""
        self._path(kid).unlink(missing_ok=True)

    def _path(self, kid: str) -> Path:
        if not kid.replace("-", "").replace("_", "").isalnum():
            raise SettingsError("A key id has other characters than letters, digits, - and _.")
        return self._folder / f"{kid}.age"


class KeyRing:
    """Signs tokens with the key whose turn it is; shared by all replicas through the rows and the folder."""

    def __init__(
        self,
        rows: KeyRows,
        private: PrivateKeys,
        *,
        algorithm: Algorithm,
        wait: timedelta,
        age: timedelta,
        clock: Clock,
    ) -> None:
        self._rows = rows
        self._private = private
        self._algorithm: Algorithm = algorithm
        self._wait = wait
        self._age = age
        self._clock = clock
        self._keys: list[SigningKey] = []
        self._loaded: datetime | None = None
        self._signer: tuple[str, Key] | None = None
        self._lock = asyncio.Lock()

    async def ensure(self) -> None:
        """Make the first key, or the next one when the newest is old; forget keys that have retired."""
        now = self._clock()
        keys = await self._rows.signing_keys()
        ours = [key for key in keys if key.alg == self._algorithm]
        if not ours:
            await self._add(now, signing_from=now, unless_newer_than=None)
        elif ours[-1].published + self._age <= now:
            await self._add(now, signing_from=now + self._wait, unless_newer_than=ours[-1].published)
        for key in keys:
            if state_of(key, keys, self._algorithm, now) is KeyState.REMOVED:
                await self._rows.remove_signing_key(key.kid, now)
                self._private.delete(key.kid)
        await self._load()

    async def rotate(self) -> str:
        """Publish a new key that will sign after the waiting time; returns its id."""
        now = self._clock()
        kid = await self._add(now, signing_from=now + self._wait, unless_newer_than=now)
        await self._load()
        return kid

    async def revoke(self, kid: str) -> bool:
        """Remove a key at once, so that its tokens die; a new one signs if none is left. False when unknown."""
        now = self._clock()
        if not await self._rows.remove_signing_key(kid, now):
            return False
        self._private.delete(kid)
        left = [key for key in await self._rows.signing_keys() if key.alg == self._algorithm]
        if not any(key.signing_from <= now for key in left):
            await self._add(now, signing_from=now, unless_newer_than=now)
        await self._load()
        return True

    async def listed(self) -> list[tuple[SigningKey, KeyState]]:
        """Every key with its state."""
        now = self._clock()
        keys = await self._rows.signing_keys()
        return [(key, state_of(key, keys, self._algorithm, now)) for key in keys]

    async def jwks(self) -> dict[str, Any]:
        """The published keys (RFC 7517)."""
        await self._fresh()
        now = self._clock()
        return {
            "keys": [
                key.public
                for key in self._keys
                if state_of(key, self._keys, self._algorithm, now) is not KeyState.REMOVED
            ]
        }

    async def sign(self, claims: dict[str, Any]) -> str:
        """`claims` as a signed token."""
        await self._fresh()
        now = self._clock()
        current = _current(self._keys, self._algorithm, now)
        if current is None:
            await self.ensure()
            current = _current(self._keys, self._algorithm, now)
            assert current is not None
        if self._signer is None or self._signer[0] != current.kid:
            loaded = await asyncio.to_thread(self._private.read, current.kid)
            self._signer = current.kid, jwk.import_key(msgspec.json.decode(loaded, type=dict[str, Any]))
        return jwt.encode(
            {"alg": current.alg, "typ": "JWT", "kid": current.kid}, claims, self._signer[1], algorithms=[current.alg]
        )

    async def _fresh(self) -> None:
        if self._loaded is None or self._clock() - self._loaded > _RELOAD:
            async with self._lock:
                if self._loaded is None or self._clock() - self._loaded > _RELOAD:
                    await self._load()

    async def _load(self) -> None:
        self._keys = await self._rows.signing_keys()
        self._loaded = self._clock()

    async def _add(self, now: datetime, *, signing_from: datetime, unless_newer_than: datetime | None) -> str:
        key = await asyncio.to_thread(_generate, self._algorithm)
        kid = key.thumbprint()
        public = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": self._algorithm}
        # The file first: a row without its file would sign nothing, a file without its row harms nobody.
        self._private.write(kid, msgspec.json.encode({**key.as_dict(private=True), "kid": kid}))
        row = SigningKey(kid, self._algorithm, public, now, signing_from)
        if not await self._rows.add_signing_key(row, unless_newer_than=unless_newer_than):
            self._private.delete(kid)
        return kid


def state_of(key: SigningKey, keys: Sequence[SigningKey], algorithm: Algorithm, now: datetime) -> KeyState:
    """Where `key` is in its life among `keys`, when `algorithm` is the one that signs."""
    if key.removed is not None:
        return KeyState.REMOVED
    current = _current(keys, algorithm, now)
    if current is not None and current.kid == key.kid:
        return KeyState.SIGNING
    if key.signing_from > now:
        return KeyState.PUBLISHED
    if current is not None and current.signing_from + _RETIRING <= now:
        return KeyState.REMOVED
    return KeyState.RETIRING


def _current(keys: Sequence[SigningKey], algorithm: Algorithm, now: datetime) -> SigningKey | None:
    ripe = [key for key in keys if key.alg == algorithm and key.removed is None and key.signing_from <= now]
    return max(ripe, key=lambda key: (key.signing_from, key.kid), default=None)


def _generate(algorithm: Algorithm) -> Key:
    if algorithm == "ES256":
        return ECKey.generate_key("P-256", private=True, auto_kid=False)
    return RSAKey.generate_key(2048, private=True, auto_kid=False)
