"""Client of the Profile API."""

from __future__ import annotations

import msgspec

from havn.clients import answers
from havn.clients.credentials import Credentials
from havn.contracts.profile import ProfileSettings, SettingsPatch, UserProfile
from havn.contracts.register import UserQuery
from havn.kit.http import HttpClient, Response

_BASE = "/profile/api/v1"
_NAME = "Profile"


class ProfileClient:
    """Calls profile through `http`, whose base address is the platform's.

    A method that returns None does so for 404; every other failure is a `Problem`.
    """

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def user(self, user_id: int, credentials: Credentials) -> UserProfile | None:
        """A user's profile; an app sends its platform token and the user's own token."""
        return _read(await self._http.request("GET", f"{_BASE}/users/{user_id}", headers=credentials.headers()))

    async def user_by_uuid(self, user_uuid: str, credentials: Credentials) -> UserProfile | None:
        """As `user`, by party uuid."""
        return _read(
            await self._http.request("GET", f"{_BASE}/users/byuuid/{user_uuid}", headers=credentials.headers())
        )

    async def user_by_number(self, number: str, credentials: Credentials) -> UserProfile | None:
        """As `user`, by national identity number (sent in the body)."""
        response = await self._http.request(
            "POST",
            f"{_BASE}/users",
            content=msgspec.json.encode(number),
            headers=credentials.headers() | {"content-type": "application/json"},
        )
        return _read(response)

    async def current(self, credentials: Credentials) -> UserProfile:
        """The profile of the user whose token is sent."""
        response = await self._http.request("GET", f"{_BASE}/users/current", headers=credentials.headers())
        return answers.read(response, UserProfile, of=_NAME)

    async def change_settings(self, change: SettingsPatch, credentials: Credentials) -> ProfileSettings:
        """Change the signed-in user's preferences; what is absent stays."""
        response = await self._http.request(
            "PATCH",
            f"{_BASE}/users/current/profilesettings",
            content=msgspec.json.encode(change),
            headers=credentials.headers() | {"content-type": "application/json"},
        )
        return answers.read(response, ProfileSettings, of=_NAME)

    async def internal_user(self, who: UserQuery, credentials: Credentials) -> UserProfile | None:
        """Any user's profile, between platform components only (platform token of issuer `platform`)."""
        response = await self._http.request(
            "POST",
            f"{_BASE}/internal/user",
            content=msgspec.json.encode(who),
            headers=credentials.headers() | {"content-type": "application/json"},
        )
        return _read(response)


def _read(response: Response) -> UserProfile | None:
    return None if response.status_code == 404 else answers.read(response, UserProfile, of=_NAME)
