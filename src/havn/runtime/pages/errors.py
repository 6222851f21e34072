"""What a person sees when something fails: what happened, in their language, and where to go from here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from havn.kit import trace
from havn.kit.problem import Problem
from havn.runtime.api.session import sign_in
from havn.runtime.pages.site import Site

Handler = Callable[[Request], Awaitable[Response]]
_log = structlog.get_logger("pages")


def page(handler: Handler) -> Handler:
    """`handler`, its problems drawn as pages. Script gets the bare status: it keeps the page and says what it can."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except Problem as problem:
            return _draw(request, problem)
        except Exception as error:  # noqa: BLE001 - a person is waiting: they get a page, the log gets the reason
            _log.error("page_failed", exc_info=error)
            return _draw(request, Problem(500, code="internal_error"))
        finally:
            # What was uploaded lies in temporary files.
            await request.close()

    endpoint.__name__ = handler.__name__
    return endpoint


async def for_people(request: Request, error: Exception) -> Response:
    """Exception handler for what is no page: a page for a browser that shows it to a person, else the document.

    So a mistyped address, and a link to a file that is gone, end where one can go on from.
    """
    problem = error if isinstance(error, Problem) else _as_problem(error)
    if "text/html" in request.headers.get("accept", "").lower():
        return _draw(request, problem)
    return problem.response()


def _as_problem(error: Exception) -> Problem:
    assert isinstance(error, HTTPException)
    return Problem(error.status_code, headers=error.headers)


def _draw(request: Request, problem: Problem) -> Response:
    site = Site(request)
    if site.partial:
        return Response(status_code=problem.status, headers={"Cache-Control": "no-store"})
    if problem.status == 401 and request.method == "GET":
        return sign_in(request)
    if problem.code == "assets_not_built":
        # There is no page to draw without them; whoever sees this is setting up.
        return Response(problem.detail or "", 503, media_type="text/plain")
    title, body = _words(site, problem)
    links = [(f"{site.base}/", site.word("to_start"))]
    if problem.status == 403:
        level = problem.extensions.get("RequiredAuthenticationLevel")
        if level is not None:
            title, body = site.word("level_title"), site.word("level_body", level=level)
            links = [(_stronger(site), site.word("sign_in"))]
        elif not site.context.settings.frontend_url:
            links.insert(0, (f"{site.base}/party-selection", site.word("change_party")))
    elif problem.status >= 500 and request.method == "GET":
        links.insert(0, (str(request.url.path), site.word("try_again")))
    reference = trace.trace_id() if problem.status >= 500 else None
    response = site.page(
        "message.html",
        site.frame(title),
        status=problem.status,
        body=body,
        links=links,
        reference=site.word("trace", trace=reference) if reference else None,
    )
    for name in ("Allow", "Retry-After"):
        if (value := problem.headers.get(name)) is not None:
            response.headers[name] = value
    return response


def _words(site: Site, problem: Problem) -> tuple[str, str]:
    own = _own_words(site, problem)
    match problem.status:
        case 403:
            return site.word("forbidden_title"), own or site.word("forbidden_body")
        case 404 | 405:
            return site.word("not_found_title"), site.word("not_found_body")
        case 503:
            return site.word("error_title"), site.word("busy_body")
        case status if status >= 500:
            return site.word("error_title"), site.word("error_body")
        case _:
            return site.word("conflict_title"), own or problem.detail or problem.title


def _own_words(site: Site, problem: Problem) -> str | None:
    """What the app itself says, when its code refused."""
    key, message = problem.extensions.get("customTextKey"), problem.extensions.get("message")
    found = site.text(str(key)) if key else None
    return found or (str(message) if message else None)


def _stronger(site: Site) -> str:
    settings = site.context.settings
    return (
        f"{settings.platform_base}/authentication/api/v1/authentication?goto={quote(site.home, safe='')}"
        "&acr_values=idporten-loa-high"
    )
