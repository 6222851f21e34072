"""Client of the Storage API for what is known of apps: metadata, texts, and where their open instances stand.

Every method raises the `Problem` that storage answered with.
"""

from __future__ import annotations

from urllib.parse import quote

from havn.clients.calls import Calls, flag
from havn.clients.credentials import Credentials
from havn.contracts.application import Application, ApplicationList, TextResource
from havn.contracts.standing import Standing, TaskMove, TaskMoved
from havn.kit.http import HttpClient


class ApplicationsClient(Calls):
    """Calls storage through `http`, whose base address is the platform's. An app is named `{org}/{app}`."""

    def __init__(self, http: HttpClient) -> None:
        super().__init__(http, "/storage/api/v1/applications", of="Storage")

    async def applications(self, org: str | None = None) -> list[Application]:
        """The applications known, of one org or all."""
        path = "" if org is None else f"/{quote(org, safe='')}"
        return (await self._send("GET", path, Credentials(), ApplicationList)).applications

    async def application(self, app_id: str) -> Application:
        """The metadata of `{org}/{app}`."""
        return await self._send("GET", f"/{app_id}", Credentials(), Application)

    async def publish_application(self, application: Application, credentials: Credentials) -> Application:
        """Write an application's metadata, new or not; platform components only."""
        return await self._send("POST", "", credentials, Application, application, params={"appId": application.id})

    async def delete_application(self, app_id: str, credentials: Credentials, *, hard: bool = False) -> Application:
        """End an application's validity, or remove it with its texts (`hard`); platform components only."""
        return await self._send("DELETE", f"/{app_id}", credentials, Application, params={"hard": flag(hard)})

    async def text(self, app_id: str, language: str, credentials: Credentials) -> TextResource:
        """The texts of an application in one language."""
        return await self._send("GET", f"/{app_id}/texts/{language}", credentials, TextResource)

    async def publish_text(self, app_id: str, text: TextResource, credentials: Credentials) -> TextResource:
        """Write an application's texts in one language, new or not; platform components only."""
        return await self._send("POST", f"/{app_id}/texts", credentials, TextResource, text)

    async def delete_text(self, app_id: str, language: str, credentials: Credentials) -> None:
        """Remove an application's texts in one language; platform components only."""
        await self._done("DELETE", f"/{app_id}/texts/{language}", credentials)

    async def standing(self, app_id: str, credentials: Credentials) -> Standing:
        """Where the open instances of an application stand; platform components only."""
        return await self._send("GET", f"/{app_id}/standing", credentials, Standing)

    async def move_tasks(self, app_id: str, move: TaskMove, credentials: Credentials) -> TaskMoved:
        """Move some open instances of an application to another task; to be repeated while there are more.

        Platform components only.
        """
        return await self._send("POST", f"/{app_id}/standing/moves", credentials, TaskMoved, move)
