"""Sending what the gateway of this machine recorded to the management API: a task of the supervising process."""

from __future__ import annotations

import asyncio

from havn.clients.levels import LevelsClient
from havn.gateway.records.sender import Sender
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.background import cancel
from havn.kit.clock import system_clock
from havn.kit.http import HttpClient
from havn.local import environment
from havn.local.state import State

ACCESS_LOG = "access.log"
_SECONDS = 5.0


class LocalRecords:
    """Runs the sender; what it could not deliver waits in the state folder for the next run. `key`: a private JWK."""

    def __init__(self, state: State, addresses: environment.Addresses, key: str) -> None:
        host = f"platform.{addresses.domain}"
        signer = PlatformTokenSigner(
            issuer="platform", app="records", audience=addresses.public("platform"), key=key, clock=system_clock
        )
        self._http = HttpClient(addresses.platform_url, name="The management API", host=host, timeout=30, verify=False)
        client = LevelsClient(self._http)
        self._sender = Sender(
            state.logs / ACCESS_LOG,
            state.folder / "records",
            domain=addresses.domain,
            source=environment.NAME,
            deliver=lambda batch: client.send(batch, signer.headers()),
        )
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Go on until `stop`."""
        self._task = asyncio.create_task(self._sender.run(_SECONDS), name="records")

    async def stop(self) -> None:
        """Stop; what is read is on disk."""
        if self._task is not None:
            await cancel(self._task)
        await self._http.close()
