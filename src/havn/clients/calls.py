"""What clients of JSON APIs do for each call: send a body, read the answer as a type, pass a failure on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from havn.clients import answers
from havn.clients.credentials import Credentials
from havn.kit.http import HttpClient, Response

T = TypeVar("T")


class Calls:
    """Calls to paths below `base`; `of` is the API's name in messages."""

    def __init__(self, http: HttpClient, base: str, *, of: str) -> None:
        self._http = http
        self._base = base
        self._of = of

    async def _request(
        self,
        method: str,
        path: str,
        credentials: Credentials,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        sent = {**credentials.headers(), **(headers or {})}
        content = None
        if body is not None:
            sent["content-type"] = "application/json"
            content = msgspec.json.encode(body)
        return await self._http.request(method, self._base + path, params=params, headers=sent, content=content)

    async def _send(
        self,
        method: str,
        path: str,
        credentials: Credentials,
        type_: type[T],
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        response = await self._request(method, path, credentials, body, params=params, headers=headers)
        return answers.read(response, type_, of=self._of)

    async def _done(
        self,
        method: str,
        path: str,
        credentials: Credentials,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        response = await self._request(method, path, credentials, body, headers=headers)
        if not response.is_success:
            raise answers.failure(response, of=self._of)


def flag(value: bool) -> str:
    """A query parameter that is true or false."""
    return "true" if value else "false"
