"""Access tokens kept until shortly before they end: fetched once for all who wait, renewed before anyone must wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable

import msgspec

_MAX_TOKENS = 5000
_FAILED_SECONDS = 2.0


class Token(msgspec.Struct, frozen=True):
    """An access token, and for how many seconds it was issued."""

    value: str
    seconds: float

    def __repr__(self) -> str:
        return "Token(…)"


class TokenAway(Exception):
    """The token server did not give a token; the message holds no secret."""


Fetch = Callable[[], Awaitable[Token]]


class _Entry:
    __slots__ = ("failed", "fetched", "renew", "task", "token", "until")

    def __init__(self) -> None:
        self.token: Token | None = None
        self.fetched = 0.0
        self.renew = 0.0
        self.until = 0.0
        self.failed: tuple[float, TokenAway] | None = None
        self.task: asyncio.Task[Token] | None = None


class TokenCache:
    """Tokens by key. `observe(age)` and `failed()` feed the metrics."""

    def __init__(self, *, failed: Callable[[], None] = lambda: None) -> None:
        self._entries: dict[Hashable, _Entry] = {}
        self._on_failure = failed

    async def get(self, key: Hashable, fetch: Fetch) -> Token:
        """The token for `key`. Raises `TokenAway` when there is none and none can be fetched."""
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= _MAX_TOKENS:
                self._entries.pop(next(iter(self._entries)))
            entry = self._entries[key] = _Entry()
        now = asyncio.get_running_loop().time()
        if entry.token is not None and now < entry.until:
            if now >= entry.renew and entry.task is None and not _just_failed(entry, now):
                self._begin(entry, fetch)
            return entry.token
        if entry.task is None:
            if entry.failed is not None and _just_failed(entry, now):
                raise entry.failed[1]
            self._begin(entry, fetch)
        assert entry.task is not None
        # One caller's leaving must not take the token from the others.
        return await asyncio.shield(entry.task)

    def forget(self, key: Hashable, value: str) -> None:
        """`value` was refused: the next caller gets a fresh one, unless somebody has fetched it already."""
        entry = self._entries.get(key)
        if entry is not None and entry.token is not None and entry.token.value == value:
            entry.token = None

    def ages(self) -> float:
        """Seconds since the oldest token in use was fetched."""
        now = asyncio.get_running_loop().time()
        return max((now - entry.fetched for entry in self._entries.values() if entry.token is not None), default=0.0)

    def _begin(self, entry: _Entry, fetch: Fetch) -> None:
        async def run() -> Token:
            loop = asyncio.get_running_loop()
            try:
                token = await fetch()
            except TokenAway as error:
                entry.failed = (loop.time() + _FAILED_SECONDS, error)
                self._on_failure()
                raise
            finally:
                entry.task = None
            entry.token, entry.failed, entry.fetched = token, None, loop.time()
            # Renewed after four fifths of its life, dropped five seconds before its end, or half its life if short.
            entry.renew = entry.fetched + token.seconds * 0.8
            entry.until = entry.fetched + max(token.seconds - 5, token.seconds / 2)
            return token

        entry.task = asyncio.get_running_loop().create_task(run())
        entry.task.add_done_callback(lambda task: None if task.cancelled() else (task.exception(), None)[1])


def _just_failed(entry: _Entry, now: float) -> bool:
    return entry.failed is not None and now < entry.failed[0]
