"""HTTP out for service code: `ctx.http`, which goes through the API proxy as this deployment, without more ado.

    person = (await ctx.http.upstream("folk").get(f"/people/{number}")).json()
    page = await ctx.http.get("https://data.example.no/list", params={"page": 2})

What the proxy does not allow raises `HttpRefused`, whose message names the line to add to `deployment/egress.yaml`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from havn.kit.http import HttpClient, ProxiedTransport, ProxyError, Response, TransportError
from havn.kit.problem import Problem
from havn.kit.trust import Trust

_UPSTREAMS = "http://egress"
_ERROR_HEADER = "havn-egress-error"
_SECONDS = 30.0


class HttpError(Exception):
    """The call could not be made, or got no answer; the message says why, with the host and nothing else of it."""


class HttpRefused(HttpError):
    """The proxy did not let it out; `code` is the proxy's, such as `no_rule` or `limit_reached`."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Http:
    """Requests out. Redirects are handed back, not followed; an answer of any status is an answer."""

    def __init__(self, client: HttpClient | None) -> None:
        self._client = client

    @classmethod
    def through(
        cls, proxy_url: str | None, token: Callable[[], str], *, verify: Any = True, trust: Trust | None = None
    ) -> Http:
        """By the proxy at `proxy_url`, showing it `token()`; None: there is no way out.

        `trust` verifies the proxy where its address is https://…, and `verify` whoever is reached through it.
        """
        if proxy_url is None:
            return cls(None)
        transport = ProxiedTransport(proxy_url, token, verify=verify, trust=trust)
        return cls(HttpClient("", name="The API proxy", timeout=_SECONDS, transport=transport))

    def upstream(self, name: str) -> Upstream:
        """The upstream `name` of `deployment/egress.yaml`; the proxy adds its credentials."""
        return Upstream(self, name)

    async def get(self, url: str, **options: Any) -> Response:
        """As `request`, with GET."""
        return await self.request("GET", url, **options)

    async def post(self, url: str, **options: Any) -> Response:
        """As `request`, with POST."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Any) -> Response:
        """As `request`, with PUT."""
        return await self.request("PUT", url, **options)

    async def delete(self, url: str, **options: Any) -> Response:
        """As `request`, with DELETE."""
        return await self.request("DELETE", url, **options)

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Response:
        """Send, and read the whole answer. `json` is anything msgspec encodes. Raises `HttpError`, `HttpRefused`."""
        if self._client is None:
            raise HttpError("This app has no way out: HAVN_EGRESS_URL is not set.")
        sent = dict(headers or {})
        if json is not None:
            content = msgspec.json.encode(json)
            sent.setdefault("content-type", "application/json")
        try:
            answer = await self._client.request(method, url, params=params, headers=sent, content=content, data=data)
        except Problem as problem:
            raise _failed(problem.__cause__) from problem
        if (code := answer.headers.get(_ERROR_HEADER)) is not None:
            raise HttpRefused(_told(answer), code)
        return answer

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()


class Upstream:
    """One named upstream; paths begin with a slash."""

    def __init__(self, http: Http, name: str) -> None:
        self._http = http
        self._base = f"{_UPSTREAMS}/{name}"

    async def get(self, path: str, **options: Any) -> Response:
        """As `Http.request`, with GET."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Response:
        """As `Http.request`, with POST."""
        return await self.request("POST", path, **options)

    async def put(self, path: str, **options: Any) -> Response:
        """As `Http.request`, with PUT."""
        return await self.request("PUT", path, **options)

    async def delete(self, path: str, **options: Any) -> Response:
        """As `Http.request`, with DELETE."""
        return await self.request("DELETE", path, **options)

    async def request(self, method: str, path: str, **options: Any) -> Response:
        """As `Http.request`."""
        return await self._http.request(method, self._base + path, **options)


class _Told(msgspec.Struct):
    detail: str = ""
    add: str = ""


def _told(answer: Response) -> str:
    try:
        told = msgspec.json.decode(answer.content, type=_Told)
    except msgspec.MsgspecError:
        return f"The API proxy answered {answer.status_code}."
    return told.detail + (f" Add to deployment/egress.yaml: {told.add}" if told.add else "")


def _failed(cause: BaseException | None) -> HttpError:
    if isinstance(cause, ProxyError):
        # The status line of the proxy's answer to CONNECT, which holds the reason and the line to add.
        return HttpRefused(str(cause), "refused")
    return HttpError(f"No answer: {type(cause).__name__}." if isinstance(cause, TransportError) else "No answer.")
