"""Client of what the management API tells enforcing processes."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from havn.clients import answers
from havn.clients.credentials import Credentials
from havn.contracts import metering as contract
from havn.contracts.metering import BASE
from havn.kit.http import HttpClient

_NAME = "API management"
_JSON = {"content-type": "application/json"}


class MeteringClient:
    """Asks the management API; `http` points at the platform's internal address."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def managed(self, org: str, app: str, credentials: Credentials) -> contract.Managed | None:
        """What is managed of an app; None where there is no API management."""
        response = await self._http.request(
            "GET", f"{BASE}/enforcement/{org}/{app}/apis", headers=credentials.headers()
        )
        return None if response.status_code == 404 else answers.read(response, contract.Managed, of=_NAME)

    async def key(self, org: str, app: str, key: str, credentials: Credentials) -> contract.KeyAnswer:
        """Whose key it is."""
        response = await self._http.request(
            "POST",
            f"{BASE}/enforcement/{org}/{app}/keys",
            content=msgspec.json.encode(contract.KeyQuestion(key=key)),
            headers={**_JSON, **credentials.headers()},
        )
        return answers.read(response, contract.KeyAnswer, of=_NAME)

    async def settle(self, settlement: contract.Settlement, credentials: Credentials) -> contract.Settled:
        """Settle and take new portions."""
        response = await self._http.request(
            "POST",
            f"{BASE}/leases",
            content=msgspec.json.encode(settlement),
            headers={**_JSON, **credentials.headers()},
        )
        return answers.read(response, contract.Settled, of=_NAME)

    def changes(self, credentials: Credentials) -> AsyncGenerator[contract.Stamp, None]:
        """The stream of change numbers, until it ends. 503 `Problem` when it cannot be opened or breaks."""
        opening = self._http.stream("GET", f"{BASE}/enforcement/events", headers=credentials.headers())
        return answers.lines(opening, contract.Stamp, of=_NAME)
