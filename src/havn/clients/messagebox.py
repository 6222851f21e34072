"""Client of the Storage API for message boxes. Every method raises the `Problem` that storage answered with."""

from __future__ import annotations

from havn.clients.calls import Calls
from havn.clients.credentials import Credentials
from havn.contracts.messagebox import MessageBoxEvent, MessageBoxInstance, MessageBoxQuery
from havn.kit.http import HttpClient


class MessageBoxClient(Calls):
    """Calls storage through `http`, whose base address is the platform's."""

    def __init__(self, http: HttpClient) -> None:
        super().__init__(http, "/storage/api/v1/sbl/instances", of="Storage")

    async def search(self, query: MessageBoxQuery, credentials: Credentials) -> list[MessageBoxInstance]:
        """What a person's message box shows, newest first."""
        return await self._send("POST", "/search", credentials, list[MessageBoxInstance], query)

    async def instance(self, instance_id: str, credentials: Credentials, *, language: str = "nb") -> MessageBoxInstance:
        """One line of it."""
        path = f"/{instance_id}"
        return await self._send("GET", path, credentials, MessageBoxInstance, params={"language": language})

    async def events(self, instance_id: str, credentials: Credentials) -> list[MessageBoxEvent]:
        """What happened to an instance, as its owner is shown it."""
        return await self._send("GET", f"/{instance_id}/events", credentials, list[MessageBoxEvent])

    async def undelete(self, instance_id: str, credentials: Credentials) -> None:
        """Take back a soft deletion."""
        await self._done("PUT", f"/{instance_id}/undelete", credentials)
