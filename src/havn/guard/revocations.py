"""Sessions that ended before their tokens did, followed from authentication by long polls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import structlog

from havn.clients.authentication import AuthenticationClient
from havn.kit.background import background
from havn.kit.clock import Clock
from havn.kit.problem import Problem

_log = structlog.get_logger("guard")
_WAIT_SECONDS = 20
_RETRY_SECONDS = 1.0
_MAX = 200_000


class RevocationFeed:
    """Knows the ended sessions; hand it to `TokenVerifier(revoked=…)` and keep `running()` open while serving.

    While authentication is away, what was known stays known and tokens go on being checked by signature and time.
    """

    def __init__(self, client: AuthenticationClient, *, clock: Clock, retry_seconds: float = _RETRY_SECONDS) -> None:
        self._client = client
        self._clock = clock
        self._retry = retry_seconds
        self._ended: dict[str, datetime] = {}
        self._next = 0

    def revoked(self, sid: str) -> bool:
        """Whether the session `sid` is known to have ended."""
        return sid in self._ended

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RevocationFeed]:
        """Follow in the background for as long as the block lasts."""
        async with background(self._follow(), name="revocations"):
            yield self

    async def poll(self, wait: int) -> None:
        """Ask once, waiting up to `wait` seconds for news. Raises `Problem` when authentication cannot answer."""
        answer = await self._client.revocations(self._next, wait=wait)
        # A smaller number than ours: authentication was restored from an older copy, so begin again.
        self._next = answer.next if answer.next >= self._next else 0
        now = self._clock()
        for ended in answer.revoked:
            self._ended[ended.sid] = ended.until
        if answer.revoked or len(self._ended) > _MAX:
            self._ended = {sid: until for sid, until in self._ended.items() if until > now}

    async def _follow(self) -> None:
        away = False
        wait = 0
        while True:
            try:
                await self.poll(wait)
                # The first answers may be pages of what is already there.
                away, wait = False, _WAIT_SECONDS
            except Problem as problem:
                if not away:
                    _log.warning("revocations_unavailable", status=problem.status)
                away, wait = True, 0
                await asyncio.sleep(self._retry)
