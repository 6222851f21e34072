"""The pages wired together: routes, the cookie's token, and every failure as a page."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from havn.clients.authentication import AuthenticationClient
from havn.guard.antiforgery import Antiforgery
from havn.guard.middleware import Authentication
from havn.guard.platform_token import PlatformTokenSigner
from havn.guard.tokens import TokenVerifier
from havn.kit import assets, trace
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.management.catalogue import Catalogue
from havn.platform.management.desk import Desk
from havn.platform.management.openapi import Descriptions
from havn.platform.management.pages import catalogue_pages, consumer_pages, owner_pages
from havn.platform.management.pages.session import Session
from havn.platform.management.pages.visit import Office, Visit
from havn.platform.management.settings import Settings

Handler = Callable[[Request], Awaitable[Response]]
_log = structlog.get_logger("pages")
_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/", catalogue_pages.search),
    ("GET", "/apis/{api}", catalogue_pages.one),
    ("GET", "/ask", consumer_pages.ask),
    ("POST", "/ask", consumer_pages.asked),
    ("GET", "/mine", consumer_pages.mine),
    ("GET", "/subscriptions/{subscription}", consumer_pages.subscription),
    ("POST", "/subscriptions/{subscription}/keys", consumer_pages.make_keys),
    ("POST", "/subscriptions/{subscription}/keys/{prefix}/rotate", consumer_pages.rotate_key),
    ("POST", "/subscriptions/{subscription}/keys/{prefix}/revoke", consumer_pages.revoke_key),
    ("POST", "/subscriptions/{subscription}/revoke", consumer_pages.give_up),
    ("GET", "/offered", owner_pages.offered),
    ("GET", "/offered/{api}", owner_pages.one),
    ("POST", "/offered/subscriptions/{subscription}/{act}", owner_pages.act),
)


def build(
    settings: Settings,
    *,
    desk: Desk,
    catalogue: Catalogue,
    descriptions: Descriptions,
    authentication: AuthenticationClient,
    signer: PlatformTokenSigner,
    verifier: TokenVerifier,
    clock: Clock,
    more: Sequence[Route] = (),
) -> Starlette:
    """The application of the host `api.`. `verifier` takes tokens for that host and no others.

    `more` are routes that draw pages of their own; their failures are pages like the others'.
    """
    # The same on every replica, and known to nobody else.
    key = hmac.digest(settings.platform_access_key.encode(), b"havn management antiforgery", hashlib.sha256)
    app = Starlette(
        routes=[
            *(Route(path, _page(handler), methods=[method]) for method, path, handler in _ROUTES),
            *(
                Route(route.path, _page(route.endpoint), methods=["GET"])
                for route in [*Session(settings, authentication, signer).routes(), *more]
            ),
            *assets.routes(),
        ],
        middleware=[Middleware(Authentication, verifier=verifier)],
        exception_handlers={HTTPException: _missing},
    )
    app.state.office = Office(
        settings=settings,
        desk=desk,
        catalogue=catalogue,
        descriptions=descriptions,
        antiforgery=Antiforgery(key, secure=settings.secure_cookies),
        clock=clock,
    )
    return app


def _page(handler: Handler) -> Handler:
    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except Problem as problem:
            return _draw(Visit(request), problem)
        except Exception as error:  # noqa: BLE001 - a person is waiting: they get a page, the log gets the reason
            _log.error("page_failed", exc_info=error)
            return _draw(Visit(request), Problem(500, code="internal_error"))
        finally:
            await request.close()

    return endpoint


async def _missing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _draw(Visit(request), Problem(error.status_code))


def _draw(visit: Visit, problem: Problem) -> Response:
    if problem.status == 401:
        if visit.request.method == "GET":
            return RedirectResponse(visit.sign_in_address(), 302, headers={"Cache-Control": "no-store"})
        key = "old_page"
    elif problem.code == "antiforgery":
        key = "old_page"
    elif problem.code == "level_too_low":
        key = "level"
    elif problem.status in (403, 404, 405):
        key = "forbidden" if problem.status == 403 else "not_found"
    elif problem.status >= 500:
        key = "error"
    else:
        body = visit.word("wrong_state") if problem.status == 409 else problem.detail or problem.title
        return visit.page("message.html", visit.word("refused_title"), status=problem.status, body=body, trace=None)
    reference = trace.trace_id() if problem.status >= 500 else None
    return visit.page(
        "message.html", visit.word(key), status=problem.status, body=visit.word(f"{key}_body"), trace=reference
    )
