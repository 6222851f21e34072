"""Putting the caller on the request: the bearer token first, else the session cookie, else nobody."""

from __future__ import annotations

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from havn.contracts.authorization import VERSION_HEADER
from havn.guard.principal import ANONYMOUS, Principal
from havn.guard.tokens import TokenVerifier, unauthorized
from havn.kit.problem import Problem

COOKIE = "AltinnStudioRuntime"
_KEY = "havn.principal"
_FROM_COOKIE = "havn.principal_from_cookie"


class Authentication:
    """ASGI middleware that verifies the caller's token once per request.

    A wrong bearer token is 401 and never falls back to the cookie. A wrong or expired cookie makes the caller
    anonymous, so that pages can send a person to sign-in. When keys cannot be fetched the answer is 503.
    A caller who sends `X-Authz-Version` is decided about on access rights no older than that.
    """

    def __init__(self, app: ASGIApp, verifier: TokenVerifier, cookie: str = COOKIE) -> None:
        self.app = app
        self._verifier = verifier
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Verify, remember the caller on the scope, and pass on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            found, scope[_FROM_COOKIE] = await self._caller(Request(scope))
            known = demanded_version(Headers(scope=scope))
            scope[_KEY] = found if known is None else msgspec.structs.replace(found, at_least=known)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _caller(self, request: Request) -> tuple[Principal, bool]:
        headers = request.headers.getlist("authorization")
        if headers:
            scheme, _, token = headers[0].partition(" ")
            if len(headers) > 1 or scheme.lower() != "bearer":
                raise unauthorized("The Authorization header must be one bearer token.")
            return await self._verifier.verify(token.strip()), False
        cookie = request.cookies.get(self._cookie)
        if not cookie:
            return ANONYMOUS, False
        try:
            return await self._verifier.verify(cookie), True
        except Problem as problem:
            if problem.status == 401:
                return ANONYMOUS, False
            raise


def demanded_version(headers: Headers) -> int | None:
    """The version of access rights that a request demands at least; 400 `Problem` when it is none."""
    text = headers.get(VERSION_HEADER)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Problem(400, f"{VERSION_HEADER} must be a number that a write was answered with.", code="invalid_version")
    return int(text)


def principal(request: Request) -> Principal:
    """The caller of this request; `ANONYMOUS` when nobody is signed in."""
    found = request.scope.get(_KEY, ANONYMOUS)
    assert isinstance(found, Principal)
    return found


def from_cookie(request: Request) -> bool:
    """Whether the caller is known by a cookie, which a browser sends by itself: such posts need antiforgery."""
    return bool(request.scope.get(_FROM_COOKIE, False))


def require_principal(request: Request) -> Principal:
    """The caller of this request; a 401 `Problem` when nobody is signed in."""
    found = principal(request)
    if not found.authenticated:
        raise Problem(401, "Sign in first.", code="not_signed_in", headers={"WWW-Authenticate": "Bearer"})
    return found
