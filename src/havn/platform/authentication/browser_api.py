"""The routes that a browser visits: sign-in, the provider's callback, sign-out. Every failure is a page."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from havn.contracts import authentication as contract
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import read_body
from havn.platform.authentication import pages
from havn.platform.authentication.goto import Goto
from havn.platform.authentication.levels import parse_acr_values
from havn.platform.authentication.limits import RateLimit
from havn.platform.authentication.pages import Page
from havn.platform.authentication.settings import Settings
from havn.platform.authentication.sign_in import TRANSACTION_SECONDS, SignIn, state_cookie, state_hash
from havn.platform.authentication.sign_out import SignOut

LOGOUT_COOKIE = "AltinnLogoutInfo"
LOOP_COOKIE = "havn-goto"
_LOOP_TIMES = 3
_LOOP_SECONDS = 30
_FORM_LIMIT = 64 * 1024

Handler = Callable[[Request], Awaitable[Response]]


class BrowserApi:
    """Handlers of the browser's routes."""

    def __init__(self, settings: Settings, sign_in: SignIn, sign_out: SignOut, limit: RateLimit, clock: Clock) -> None:
        self._settings = settings
        self._sign_in = sign_in
        self._sign_out = sign_out
        self._limit = limit
        self._clock = clock

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""

        def page(path: str, handler: Handler, methods: list[str]) -> Route:
            return Route(f"{base}/{path}", _as_page(handler), methods=methods)

        return [
            page("authentication", self.authentication, ["GET"]),
            page("upstream/callback", self.callback, ["GET"]),
            page("logout", self.logout, ["GET"]),
            page("logout", self.logout_confirmed, ["POST"]),
            page("logout/handleloggedout", self.logged_out, ["GET"]),
            Route(f"{base}/upstream/frontchannel-logout", self.front_channel, methods=["GET"]),
            Route(f"{base}/upstream/backchannel-logout", self.back_channel, methods=["POST"]),
        ]

    async def authentication(self, request: Request) -> Response:
        """GET authentication?goto=&acr_values=&iss=."""
        await self._limit.check(address(request))
        query = request.query_params
        goto = self._sign_in.goto(query.get("goto"))
        begun = await self._sign_in.begin(
            goto,
            handle=request.cookies.get(contract.SESSION_COOKIE),
            acr_values=parse_acr_values(query.get("acr_values")),
            iss=query.get("iss"),
            ui_locales=pages.preferred_language(request.headers.get("accept-language", "")),
        )
        if begun.state is None:
            return self._onward(request, goto, begun.url)
        response = _redirect(begun.url)
        self._set(
            response,
            self._settings.cookie_prefix + state_cookie(begun.state),
            state_hash(begun.state).hex(),
            max_age=TRANSACTION_SECONDS,
        )
        return response

    def _onward(self, request: Request, goto: Goto, url: str) -> Response:
        """Straight on, unless the same address has sent this browser here too often: its cookie is not kept."""
        now = self._clock()
        key = hashlib.sha256(goto.url.encode()).hexdigest()[:16]
        times = [*_loop_times(request.cookies.get(LOOP_COOKIE, ""), key, now), int(now.timestamp())]
        if len(times) >= _LOOP_TIMES and goto.org is not None:
            response: Response = pages.render(
                request,
                Page(
                    text="loop",
                    values={"cookie": contract.TOKEN_COOKIE, "host": urlsplit(goto.origin).netloc},
                    link=(goto.url, "retry"),
                ),
                508,
            )
            self._delete(response, LOOP_COOKIE)
            return response
        response = _redirect(url)
        self._set(response, LOOP_COOKIE, f"{key}.{'.'.join(str(time) for time in times)}", max_age=_LOOP_SECONDS)
        return response

    async def callback(self, request: Request) -> Response:
        """GET upstream/callback?code=&state= or ?error=&state=."""
        await self._limit.check(address(request))
        query = request.query_params
        state = query.get("state")
        name = self._settings.cookie_prefix + state_cookie(state) if state else None
        cookie = request.cookies.get(name) if name else None
        if "error" in query:
            # A person pressed Cancel, or the provider refused: first of all, before anything is exchanged.
            goto = await self._sign_in.cancelled(state, cookie)
            response: Response = pages.render(
                request,
                Page(
                    text="cancelled" if query["error"] == "access_denied" else "failed",
                    link=(goto, "back") if goto else None,
                ),
            )
        else:
            user_agent = request.headers.get("user-agent", "")
            finished = await self._sign_in.finish(
                code=query.get("code"),
                state=state,
                iss=query.get("iss"),
                cookie=cookie,
                old_handle=request.cookies.get(contract.SESSION_COOKIE),
                ip=address(request),
                user_agent=user_agent[:1000],
            )
            response = _redirect(finished.url)
            self._set(response, contract.SESSION_COOKIE, finished.handle)
        if name:
            self._delete(response, name)
        return response

    async def logout(self, request: Request) -> Response:
        """GET logout: only where a person chose it; from another site, or from an image, a page asks first."""
        running = request.cookies.get(LOGOUT_COOKIE)
        handle = request.cookies.get(contract.SESSION_COOKIE)
        if handle is None and running is not None and (step := await self._sign_out.next(running)) is not None:
            return _redirect(step.url)
        site = request.headers.get("sec-fetch-site")
        chosen = site in ("same-origin", "same-site", "none") and request.headers.get("sec-fetch-dest") == "document"
        if handle is not None and not chosen:
            return pages.render(
                request, Page(text="confirm_logout", post=(f"{self._settings.base}/logout", "sign_out"))
            )
        return await self._begin_logout(handle)

    async def logout_confirmed(self, request: Request) -> Response:
        """POST logout, from our own page."""
        if request.headers.get("origin") not in (self._settings.platform_origin, None) or (
            request.headers.get("sec-fetch-site", "same-origin") != "same-origin"
        ):
            raise Problem(403, "Sign out from our own page.", code="cross_site")
        return await self._begin_logout(request.cookies.get(contract.SESSION_COOKIE))

    async def _begin_logout(self, handle: str | None) -> Response:
        logout = await self._sign_out.begin(handle)
        step = await self._sign_out.next(logout)
        assert step is not None
        response = _redirect(step.url, 303)
        self._delete(response, contract.SESSION_COOKIE)
        self._delete(response, LOOP_COOKIE)
        self._set(response, LOGOUT_COOKIE, logout, max_age=600)
        return response

    async def logged_out(self, request: Request) -> Response:
        """GET logout/handleloggedout: the provider has sent the browser back."""
        goto = await self._sign_out.finished(request.cookies.get(LOGOUT_COOKIE))
        response = pages.render(request, Page(text="signed_out", link=(goto, "back") if goto else None))
        self._delete(response, LOGOUT_COOKIE)
        return response

    async def front_channel(self, request: Request) -> Response:
        """GET upstream/frontchannel-logout?iss=&sid=, in the provider's iframe."""
        issuer, sid = request.query_params.get("iss"), request.query_params.get("sid")
        if not issuer or not sid:
            raise Problem(400, "iss and sid are needed.", code="invalid_request")
        await self._limit.check(address(request))
        await self._sign_out.from_provider(issuer, sid)
        response = PlainTextResponse("OK", headers={"Cache-Control": "no-store"})
        self._delete(response, contract.SESSION_COOKIE)
        return response

    async def back_channel(self, request: Request) -> Response:
        """POST upstream/backchannel-logout with a logout token, from the provider itself."""
        await self._limit.check(address(request))
        body = (await read_body(request, _FORM_LIMIT)).decode("ascii", "replace")
        try:
            form = parse_qs(body, max_num_fields=10)
        except ValueError:
            form = {}
        token = form.get("logout_token", [])
        if len(token) != 1:
            raise Problem(400, "logout_token is needed.", code="invalid_request")
        await self._sign_out.from_logout_token(token[0])
        return Response(status_code=200, headers={"Cache-Control": "no-store"})

    def _set(self, response: Response, name: str, value: str, *, max_age: int | None = None) -> None:
        response.set_cookie(
            name,
            value,
            max_age=max_age,
            path="/",
            secure=self._settings.secure_cookies,
            httponly=True,
            samesite="lax",
        )

    def _delete(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", secure=self._settings.secure_cookies, httponly=True, samesite="lax")


def address(request: Request) -> str:
    """The caller's address: as the gateway in front of us says, which keeps out what callers claim themselves."""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded or (request.client.host if request.client else "unknown")


def _redirect(url: str, status: int = 302) -> Response:
    return RedirectResponse(url, status, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def _loop_times(cookie: str, key: str, now: datetime) -> list[int]:
    """When the address with this key was asked for in the last half minute, as the cookie says."""
    found, *times = cookie.split(".")
    if found != key:
        return []
    seconds = [int(time) for time in times[-10:] if time.isascii() and time.isdigit() and len(time) < 12]
    return [second for second in seconds if 0 <= now.timestamp() - second < _LOOP_SECONDS]


def _as_page(handler: Handler) -> Handler:
    """Show a failure as a page to browsers, and as a problem document to others."""

    async def shown(request: Request) -> Response:
        try:
            return await handler(request)
        except Problem as problem:
            if "text/html" not in request.headers.get("accept", ""):
                raise
            return _failure(request, problem)

    return shown


def _failure(request: Request, problem: Problem) -> Response:
    if problem.code == "invalid_goto":
        text = "goto"
    elif problem.code in ("unknown_person", "level_too_low"):
        text = problem.code
    else:
        text = "away" if problem.status >= 500 else "failed"
    response = pages.render(request, Page(text=text, code=problem.code), problem.status)
    response.headers.update(problem.headers)
    return response
