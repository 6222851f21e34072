"""The test identity provider's routes, wired together."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from havn.kit import assets
from havn.kit.clock import Clock, system_clock
from havn.kit.problem import Problem
from havn.kit.web import create_app, json_response, read_body, read_json
from havn.local.oidc import device, pages
from havn.local.oidc.device import Devices
from havn.local.oidc.directory import Directory
from havn.local.oidc.provider import LEVELS, AuthorizeRequest, OAuthError, Provider, TestToken
from havn.local.oidc.settings import Settings

_FORM_LIMIT = 64 * 1024
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class Api:
    """Handlers."""

    def __init__(self, provider: Provider, directory: Directory, devices: Devices) -> None:
        self._provider = provider
        self._directory = directory
        self._devices = devices

    def routes(self) -> list[Route]:
        """The route table."""
        known = "/.well-known/openid-configuration"
        return [
            Route(known, self.metadata, methods=["GET"]),
            Route("/.well-known/oauth-authorization-server/maskinporten", self.systems_metadata, methods=["GET"]),
            Route("/jwks", self.jwks, methods=["GET"]),
            Route("/par", self.push, methods=["POST"]),
            Route("/authorize", self.authorize, methods=["GET"]),
            Route("/authorize/choose", self.choose, methods=["GET"]),
            Route("/authorize", self.chosen, methods=["POST"]),
            Route("/token", self.token, methods=["POST"]),
            Route("/device_authorization", self.begin_device, methods=["POST"]),
            Route("/device", self.device, methods=["GET"]),
            Route("/device", self.confirm_device, methods=["POST"]),
            Route("/logout", self.logout, methods=["GET"]),
            Route("/test-token", self.test_token, methods=["POST"]),
        ]

    async def metadata(self, request: Request) -> Response:
        """The discovery document for people."""
        return json_response(self._provider.metadata())

    async def systems_metadata(self, request: Request) -> Response:
        """The discovery document for organisations' tokens."""
        return json_response(self._provider.systems_metadata())

    async def jwks(self, request: Request) -> Response:
        """The public keys."""
        return json_response(self._provider.jwks())

    async def push(self, request: Request) -> Response:
        """POST /par."""
        try:
            uri = await self._provider.push(await _form(request))
        except OAuthError as error:
            return _oauth(error)
        return json_response({"request_uri": uri, "expires_in": 60}, 201, _NO_STORE)

    async def authorize(self, request: Request) -> Response:
        """GET /authorize: the page to choose on."""
        try:
            asked = self._provider.request(request.query_params)
        except OAuthError as error:
            return pages.message("error", _language(request, None), detail=error.description, status=400)
        return self._page(request, asked, self._provider.requests.seal(asked))

    async def choose(self, request: Request) -> Response:
        """GET /authorize/choose: the same page, searched or in another language."""
        sealed = request.query_params.get("request", "")
        return self._page(request, self._asked(sealed), sealed)

    def _page(self, request: Request, asked: AuthorizeRequest, sealed: str) -> Response:
        query = request.query_params.get("q", "")[:100]
        people, total = self._directory.search(query, pages.SHOWN)
        return pages.choose(
            pages.Choice(
                request=sealed,
                people=people,
                total=total,
                query=query,
                level=asked.acr_values[0] if asked.acr_values else LEVELS[0],
                language=_language(request, asked),
            )
        )

    async def chosen(self, request: Request) -> Response:
        """POST /authorize: a person, or cancel."""
        form = await _form(request)
        asked = self._asked(form.get("request", ""))
        if "cancel" in form:
            url = self._provider.cancelled(asked)
        else:
            url = self._provider.chosen(asked, form.get("person", ""), form.get("level", LEVELS[0]))
        return RedirectResponse(url, 303, headers=_NO_STORE)

    async def token(self, request: Request) -> Response:
        """POST /token."""
        form = await _form(request)
        try:
            if form.get("grant_type") == device.GRANT:
                return json_response(self._devices.redeem(form), headers=_NO_STORE)
            return json_response(await self._provider.redeem(form), headers=_NO_STORE)
        except OAuthError as error:
            return _oauth(error)

    async def begin_device(self, request: Request) -> Response:
        """POST /device_authorization."""
        try:
            return json_response(self._devices.begin(await _form(request)), headers=_NO_STORE)
        except OAuthError as error:
            return _oauth(error)

    async def device(self, request: Request) -> Response:
        """GET /device: the page to confirm on."""
        return self._device_page(request, request.query_params.get("user_code", "")[:20])

    def _device_page(self, request: Request, code: str, *, wrong: bool = False) -> Response:
        query = request.query_params.get("q", "")[:100]
        people, _ = self._directory.search(query, pages.SHOWN)
        return pages.device(code, people, query, _language(request, None), wrong=wrong)

    async def confirm_device(self, request: Request) -> Response:
        """POST /device: a person confirms the code, or refuses."""
        form = await _form(request)
        code, person = form.get("user_code", "")[:20], form.get("person")
        if not self._devices.confirm(code, None if "cancel" in form else person or ""):
            return self._device_page(request, code, wrong=True)
        return pages.message("refused" if "cancel" in form else "confirmed", _language(request, None))

    async def logout(self, request: Request) -> Response:
        """GET /logout: nothing is remembered here, so straight on."""
        url = self._provider.after_logout(request.query_params)
        if url is None:
            return pages.message("out", _language(request, None))
        return RedirectResponse(url, 302, headers=_NO_STORE)

    async def test_token(self, request: Request) -> Response:
        """POST /test-token: a token to exchange, as JSON string."""
        wanted = await read_json(request, TestToken, limit=4096)
        return json_response(self._provider.test_token(wanted), headers=_NO_STORE)

    def _asked(self, sealed: str) -> AuthorizeRequest:
        found = self._provider.requests.open(sealed, AuthorizeRequest)
        if found is None:
            raise Problem(400, "This sign-in is too old: go back to the form and begin again.", code="request_expired")
        return found


async def build(settings: Settings, *, clock: Clock = system_clock) -> Starlette:
    """Wire the provider. Raises `SettingsError` outside the environment `local` unless it is opened."""
    directory = Directory(Path(settings.testdata_folder) if settings.testdata_folder else None)
    provider = Provider(settings, directory, clock)
    devices = Devices(directory, clock, settings.issuer, provider.id_token)
    routes = Api(provider, directory, devices).routes()
    return create_app(
        [*routes, *assets.routes()],
        name="login",
        middleware=[] if settings.login_open else [Middleware(LoopbackOnly)],
        exception_handlers={Problem: _on_problem},
    )


async def _on_problem(request: Request, error: Problem) -> Response:
    if "text/html" not in request.headers.get("accept", ""):
        return error.response()
    return pages.message("error", _language(request, None), detail=error.detail, status=error.status)


async def _form(request: Request) -> dict[str, str]:
    body = (await read_body(request, _FORM_LIMIT)).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=50))
    except ValueError:
        raise Problem(400, "The form cannot be read.", code="invalid_request") from None


def _language(request: Request, asked: AuthorizeRequest | None) -> str:
    wanted = [
        request.query_params.get("lang", ""),
        *(asked.ui_locales if asked else []),
        *(part.partition(";")[0].strip() for part in request.headers.get("accept-language", "").split(",")[:10]),
    ]
    for tag in wanted:
        language = tag.lower().partition("-")[0]
        language = "nb" if language == "no" else language
        if language in pages.LANGUAGES:
            return language
    return "nb"


def _oauth(error: OAuthError) -> Response:
    return json_response({"error": error.error, "error_description": error.description}, error.status, _NO_STORE)


class LoopbackOnly:
    """ASGI middleware: nobody outside this machine may sign in as a test person."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        app = self.app
        if scope["type"] == "http" and not _is_loopback(scope):
            app = Problem(403, "The test sign-in answers on this machine only.", code="not_loopback").response()
        await app(scope, receive, send)


def _is_loopback(scope: Scope) -> bool:
    client = scope.get("client")
    try:
        return client is not None and ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False
