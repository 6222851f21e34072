"""Signing in and out, as far as an app takes part: the one-time code becomes a cookie on this owner's host."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from havn.clients.credentials import Credentials
from havn.contracts.authentication import PARTY_COOKIE, PARTY_UUID_COOKIE, TOKEN_COOKIE
from havn.guard import antiforgery
from havn.guard.middleware import from_cookie, principal
from havn.kit.problem import Problem
from havn.runtime.api.common import actor, base, context, route

MAX_GOTO = 4096


def routes() -> list[BaseRoute]:
    """The routes."""
    return [
        route("/api/authentication/session", redeem, anonymous=True),
        route("/api/authentication/keepAlive", keep_alive),
        route("/api/authentication/invalidatecookie", invalidate_cookie, ["PUT"], anonymous=True),
        route("/api/authentication/logout", logout, anonymous=True),
    ]


def sign_in(request: Request, *, goto: str | None = None) -> Response:
    """302 to the platform's sign-in, which comes back to this page (or to `goto`)."""
    settings = context(request).settings
    query = f"?{request.url.query}" if request.url.query else ""
    target = goto or f"{settings.scheme}://{settings.app_host}{request.url.path}{query}"
    address = f"{settings.platform_base}/authentication/api/v1/authentication?goto={quote(target, safe='')}"
    provider = context(request).app_setting("AppOidcProvider")
    if provider:
        address += f"&iss={quote(str(provider), safe='')}"
    if request.query_params.get("dontChooseReportee", "").lower() == "true":
        address += "&DontChooseReportee=true"
    return RedirectResponse(address, 302)


async def redeem(request: Request) -> Response:
    """Change the one-time code for the user's token, keep it as a cookie of this host, go on to where they were."""
    app = context(request)
    code, goto = request.query_params.get("code", ""), request.query_params.get("goto", "")
    target = goto if own_address(request, goto) else f"{base(request)}/"
    if not code or len(code) > 512:
        raise Problem(400, "The sign-in cannot be completed: its code is missing.", code="invalid_code")
    try:
        session = await app.clients.authentication.redeem(code, Credentials(platform_token=app.signer.token()))
    except Problem as problem:
        if problem.status in (400, 401, 404):
            # Old link or page loaded twice: somebody signed in goes on, anybody else signs in again.
            return RedirectResponse(target, 302) if principal(request).authenticated else sign_in(request, goto=target)
        raise
    response = RedirectResponse(target, 302)
    _set_token(request, response, session.token)
    secure = app.settings.secure_cookies
    response.set_cookie(PARTY_COOKIE, str(session.party_id), path="/", secure=secure, samesite="lax")
    return response


async def keep_alive(request: Request) -> Response:
    """A new life for the session's token; 400 when it has ended."""
    app = context(request)
    try:
        token = await app.clients.authentication.refresh(actor(request).credentials)
    except Problem as problem:
        if problem.status in (400, 401, 403):
            raise Problem(400, "The session cannot be kept alive.", code="refresh_failed") from None
        raise
    response = Response(status_code=200)
    if from_cookie(request):
        _set_token(request, response, token)
    return response


async def invalidate_cookie(request: Request) -> Response:
    """Forget the token on this host; the platform's session lives on."""
    response = Response(status_code=200)
    response.delete_cookie(TOKEN_COOKIE, path="/")
    return response


async def logout(request: Request) -> Response:
    """Forget everything on this host, then end the platform's session."""
    response = RedirectResponse(f"{context(request).settings.platform_base}/authentication/api/v1/logout", 302)
    for name in (
        TOKEN_COOKIE,
        PARTY_COOKIE,
        PARTY_UUID_COOKIE,
        antiforgery.SECRET_COOKIE,
        antiforgery.REQUEST_COOKIE,
    ):
        response.delete_cookie(name, path="/")
    return response


def own_address(request: Request, address: str) -> bool:
    """Whether `address` leads to this owner's host and nowhere else."""
    if not address or len(address) > MAX_GOTO or any(ord(sign) < 33 for sign in address) or "\\" in address:
        return False
    settings = context(request).settings
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme == settings.scheme and parts.netloc == settings.app_host


def _set_token(request: Request, response: Response, token: str) -> None:
    response.set_cookie(
        TOKEN_COOKIE,
        token,
        path="/",
        secure=context(request).settings.secure_cookies,
        httponly=True,
        samesite="lax",
    )
