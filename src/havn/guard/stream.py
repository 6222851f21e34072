"""Following the authorization API's stream of changes, and knowing whether one would hear of a change.

The stream says something several times a second, if only that it is alive. A line vouches for what is remembered for
one second. Lines of one connection arrive in order and none is lost; after a new connection everything is forgotten.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from havn.clients.authorization import AuthorizationClient
from havn.clients.credentials import Credentials
from havn.contracts.authorization import Change
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.background import background
from havn.kit.problem import Problem

LEASE_SECONDS = 1.0
_RETRY_SECONDS = (0.2, 3.0)
_log = structlog.get_logger("guard")


class ChangeStream:
    """Passes changes to `heard`, and is `fresh()` while the stream's last line is less than a second old."""

    def __init__(
        self,
        client: AuthorizationClient,
        signer: PlatformTokenSigner,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._signer = signer
        self._monotonic = monotonic
        self._listeners: list[Callable[[Change], None]] = []
        self._last: float | None = None

    def listen(self, heard: Callable[[Change], None]) -> None:
        """Call `heard` with every change from now on."""
        self._listeners.append(heard)

    def fresh(self) -> bool:
        """Whether a change would have been heard of by now."""
        return self._last is not None and self._monotonic() - self._last < LEASE_SECONDS

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ChangeStream]:
        """Follow in the background for as long as the block lasts."""
        try:
            async with background(self._follow(), name="authorization-changes"):
                yield self
        finally:
            self._last = None

    async def _follow(self) -> None:
        failures = 0
        while True:
            connected = False
            try:
                async for change in self._client.changes(Credentials(platform_token=self._signer.token())):
                    if not connected:
                        connected, failures = True, 0
                        self._tell(Change("all"))
                    self._tell(change)
                    # Only this line says that nothing is missing.
                    if change.kind == "alive":
                        self._last = self._monotonic()
            except Problem as problem:
                if failures == 0:
                    _log.warning("change_stream_unavailable", status=problem.status)
            self._last = None
            failures += 1
            shortest, longest = _RETRY_SECONDS
            # Spread out, so that a thousand apps do not come back in the same moment.
            await asyncio.sleep(min(longest, shortest * 2 ** min(failures, 6)) * (0.5 + random.random() / 2))  # noqa: S311

    def _tell(self, change: Change) -> None:
        for heard in self._listeners:
            heard(change)
