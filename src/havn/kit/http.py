"""HTTP out: the client every part uses to call another, hiding the library behind it.

Names under `.localhost` are not resolved by glibc, so between our own parts the address comes from settings and the
public name goes into the Host header (design section 4).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import httpx2

from havn.kit import trace
from havn.kit.problem import Problem
from havn.kit.trust import Trust

Response = httpx2.Response
TransportError = httpx2.TransportError


EACH = "{api}"
"""In an address: the name of the part that a call is for."""

ProxyError = httpx2.ProxyError
TimeoutException = httpx2.TimeoutException


class _RenewedTransport(httpx2.AsyncBaseTransport):
    """Connections that are made anew when what they rest on has changed; those before end once they are not needed."""

    def __init__(self) -> None:
        self._current: httpx2.AsyncHTTPTransport | None = None
        self._made_with: object = None
        self._closing: set[asyncio.Task[None]] = set()

    def _rests_on(self) -> object:
        """What the connections are made with now."""
        raise NotImplementedError

    def _make(self) -> httpx2.AsyncHTTPTransport:
        """A transport with what `_rests_on` gave last."""
        raise NotImplementedError

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See `httpx2.AsyncBaseTransport`."""
        wanted = self._rests_on()
        if self._current is None or wanted != self._made_with:
            before, self._made_with = self._current, wanted
            self._current = self._make()
            if before is not None:
                task = asyncio.create_task(self._close_later(before))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        return await self._current.handle_async_request(request)

    async def _close_later(self, transport: httpx2.AsyncHTTPTransport) -> None:
        # Longer than any one call may take.
        try:
            await asyncio.sleep(_LONGEST_CALL)
        finally:
            await transport.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._current is not None:
            await self._current.aclose()
            self._current = None


class ProxiedTransport(_RenewedTransport):
    """Connections through an HTTP proxy that wants a fresh token now and then (`Proxy-Authorization: Bearer`).

    Give it to `HttpClient` as `transport`. When `token()` gives another token, new requests go over new connections,
    and those before are closed once they are no longer needed. `trust` verifies the proxy itself, where its address is
    https://…, and `verify` whatever is reached through it.
    """

    def __init__(
        self, proxy_url: str, token: Callable[[], str], *, verify: Any = True, trust: Trust | None = None
    ) -> None:
        super().__init__()
        self._url = proxy_url
        self._token = token
        self._verify = verify
        self._trust = trust if proxy_url.startswith("https:") else None

    def _rests_on(self) -> tuple[str, ssl.SSLContext | None]:
        return self._token(), None if self._trust is None else self._trust.context()

    def _make(self) -> httpx2.AsyncHTTPTransport:
        made: Any = self._made_with
        token, context = made
        return httpx2.AsyncHTTPTransport(
            proxy=httpx2.Proxy(self._url, headers={"Proxy-Authorization": f"Bearer {token}"}, ssl_context=context),
            verify=self._verify,
            limits=httpx2.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=30),
            trust_env=False,
        )


class _TrustingTransport(_RenewedTransport):
    """Connections verified with a bundle of authorities, also after the bundle has changed."""

    def __init__(self, trust: Trust) -> None:
        super().__init__()
        self._trust = trust

    def _rests_on(self) -> object:
        return self._trust.context()

    def _make(self) -> httpx2.AsyncHTTPTransport:
        verify: Any = self._made_with
        return httpx2.AsyncHTTPTransport(verify=verify, limits=_LIMITS, trust_env=False)


_LONGEST_CALL = 120.0
_LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=50, keepalive_expiry=30)


class HttpClient:
    """A pooled client for one other part.

    Redirects are not followed, the environment's proxies are not used, and every call carries the trace context.
    A call that cannot be made, or that times out, raises a 503 `Problem` naming the part.

    Where parts have addresses of their own, `base_url` holds `{api}` in the place of each one's name: it is replaced by
    the first segment of the path.
    """

    def __init__(
        self,
        base_url: str,
        *,
        name: str,
        host: str | None = None,
        timeout: float = 10.0,
        verify: Any = True,
        trust: Trust | None = None,
        headers: Mapping[str, str] | None = None,
        transport: Any = None,
    ) -> None:
        """`trust` verifies in place of `verify`, and follows its file; `transport` in place of both."""
        self.name = name
        sent = dict(headers or {})
        if host is not None:
            sent["host"] = host
        self._each = base_url.rstrip("/") if EACH in base_url else None
        self._client = httpx2.AsyncClient(
            base_url="" if self._each else base_url,
            headers=sent,
            timeout=httpx2.Timeout(timeout, connect=3.0),
            limits=_LIMITS,
            # Making one reads all of the system's authorities.
            verify=verify if trust is None else False,
            trust_env=False,
            transport=_TrustingTransport(trust) if trust is not None and transport is None else transport,
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        content: Any = None,
        data: Mapping[str, Any] | None = None,
    ) -> Response:
        """Send and read the whole answer, whatever its status."""
        try:
            return await self._client.request(
                method,
                self._place(path),
                params=params,
                headers={"traceparent": trace.traceparent(), **(headers or {})},
                content=content,
                data=data,
            )
        except httpx2.TransportError as error:
            raise self._away() from error

    def stream(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any) -> Any:
        """Send and read the answer piece by piece: `async with client.stream(…) as response`."""
        return self._client.stream(
            method, self._place(path), headers={"traceparent": trace.traceparent(), **(headers or {})}, **options
        )

    async def close(self) -> None:
        """Close the pool."""
        await self._client.aclose()

    def _place(self, path: str) -> str:
        if self._each is None or not path.startswith("/"):
            return path
        return self._each.replace(EACH, path.split("/", 2)[1].partition("?")[0]) + path

    def _away(self) -> Problem:
        return Problem(
            503,
            f"{self.name} cannot be reached just now.",
            code="upstream_unavailable",
            headers={"Retry-After": "2"},
            upstream=self.name,
        )
