"""Signing in and out on the pages' host: the one-time code becomes a cookie here, and leaves no other way."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from havn.clients.authentication import AuthenticationClient
from havn.clients.credentials import Credentials
from havn.contracts.authentication import TOKEN_COOKIE
from havn.guard import antiforgery
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.problem import Problem
from havn.platform.management.pages.visit import Visit
from havn.platform.management.settings import Settings

_MAX_GOTO = 4096


class Session:
    """Handlers."""

    def __init__(self, settings: Settings, authentication: AuthenticationClient, signer: PlatformTokenSigner) -> None:
        self._settings = settings
        self._authentication = authentication
        self._signer = signer

    def routes(self) -> list[Route]:
        """The route table."""
        return [
            Route("/api/authentication/session", self.redeem, methods=["GET"]),
            Route("/api/authentication/logout", self.logout, methods=["GET"]),
        ]

    async def redeem(self, request: Request) -> Response:
        """GET api/authentication/session?code=&goto=: keep the token, and on to where they were."""
        code, goto = request.query_params.get("code", ""), request.query_params.get("goto", "")
        target = goto if self._is_ours(goto) else f"{self._settings.origin}/"
        if not code or len(code) > 512:
            raise Problem(400, "The sign-in cannot be completed: its code is missing.", code="invalid_code")
        response = RedirectResponse(
            target, 302, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        )
        try:
            session = await self._authentication.redeem(code, Credentials(platform_token=self._signer.token()))
        except Problem as problem:
            if problem.status in (400, 401, 404):
                # An old link, or a page loaded twice: somebody signed in goes on, anybody else is asked again there.
                visit = Visit(request)
                return response if visit.actor is not None else RedirectResponse(f"{self._settings.origin}/mine", 302)
            raise
        response.set_cookie(
            TOKEN_COOKIE, session.token, path="/", secure=self._settings.secure_cookies, httponly=True, samesite="lax"
        )
        return response

    async def logout(self, request: Request) -> Response:
        """GET api/authentication/logout: forget everything here, then end the platform's session."""
        address = f"{self._settings.platform_origin}/authentication/api/v1/logout"
        response = RedirectResponse(address, 302, headers={"Cache-Control": "no-store"})
        for name in (TOKEN_COOKIE, antiforgery.SECRET_COOKIE, antiforgery.REQUEST_COOKIE):
            response.delete_cookie(name, path="/")
        return response

    def _is_ours(self, address: str) -> bool:
        if not address or len(address) > _MAX_GOTO or any(ord(sign) < 33 for sign in address) or "\\" in address:
            return False
        try:
            parts = urlsplit(address)
        except ValueError:
            return False
        return parts.scheme == self._settings.scheme and parts.netloc == self._settings.host
