"""One request to a page: who asks, in which language, and the frame to draw an answer in."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
import msgspec
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from havn.contracts.management import Subscription
from havn.guard.antiforgery import Antiforgery
from havn.kit import assets
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.management import asking
from havn.platform.management.actors import Actor
from havn.platform.management.catalogue import Catalogue
from havn.platform.management.desk import Desk
from havn.platform.management.openapi import Descriptions
from havn.platform.management.pages import words
from havn.platform.management.settings import Settings

LANGUAGE_COOKIE = "havn-language"
_YEAR = 365 * 24 * 3600
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
COLOURS = {
    "pending": "info", "active": "success", "suspended": "warning", "rejected": "danger", "revoked": "neutral",
    "expired": "neutral", "draft": "neutral", "published": "success", "deprecated": "warning", "retired": "neutral",
}  # fmt: skip


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """What the pages work with."""

    settings: Settings
    desk: Desk
    catalogue: Catalogue
    descriptions: Descriptions
    antiforgery: Antiforgery
    clock: Clock


def breakable(path: str) -> Markup:
    """A path that may be broken after each slash, so that a narrow screen holds it."""
    return Markup("/<wbr>").join(escape(part) for part in path.split("/"))


@functools.cache
def templates() -> jinja2.Environment:
    """The templates; every value is escaped."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("havn.platform.management.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["breakable"] = breakable
    return made


class Visit:
    """One request."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.office: Office = request.app.state.office
        self.language = self._language()
        self.actor = asking.signed_in(request)

    @property
    def desk(self) -> Desk:
        """The operations."""
        return self.office.desk

    def require_actor(self) -> Actor:
        """The person; a 401 `Problem` when nobody is signed in."""
        if self.actor is None:
            raise Problem(401, "Sign in first.", code="not_signed_in")
        return self.actor

    async def posted(self) -> dict[str, str]:
        """The fields of a form that a page of ours sent; 400 for one that was not."""
        self.require_actor()
        await self.office.antiforgery.check(self.request)
        form = await self.request.form(max_files=0, max_fields=50)
        return {name: value.strip() for name, value in form.items() if isinstance(value, str)}

    def word(self, key: str, **values: object) -> str:
        """A sentence in the visitor's language."""
        return words.word(self.language, key, **values)

    def page(self, template: str, title: str, *, status: int = 200, **values: Any) -> Response:
        """A whole page."""
        kept = Response()
        token = self.office.antiforgery.issue(self.request, kept) if self.actor is not None else ""
        try:
            html = templates().get_template(template).render(
                v=self,
                title=title,
                token=token,
                word=self.word,
                words=words,
                language=self.language,
                languages=words.NAMES,
                colours=COLOURS,
                asset=assets.url,
                here=quote(self.request.url.path),
                **values,
            )  # fmt: skip
        except assets.AssetsNotBuilt as error:
            return Response(str(error), 503, media_type="text/plain")
        response = Response(html, status, media_type="text/html")
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Content-Language"] = self.language
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.raw_headers.extend(pair for pair in kept.raw_headers if pair[0] == b"set-cookie")
        if self.request.query_params.get("lang") in words.LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE, self.language, max_age=_YEAR, path="/", httponly=True, samesite="lax",
                secure=self.office.settings.secure_cookies,
            )  # fmt: skip
        return response

    def go(self, path: str) -> Response:
        """To another page of ours, after a post."""
        return RedirectResponse(path, 303, headers={"Cache-Control": "no-store"})

    def sign_in_address(self) -> str:
        """The platform's sign-in, which comes back to this page."""
        query = f"?{self.request.url.query}" if self.request.url.query else ""
        path = self.request.url.path if self.request.method == "GET" else "/mine"
        settings = self.office.settings
        target = quote(f"{settings.origin}{path}{query if self.request.method == 'GET' else ''}", safe="")
        return (
            f"{settings.platform_origin}/authentication/api/v1/authentication?goto={target}"
            "&acr_values=idporten-loa-substantial"
        )

    def query_with(self, language: str) -> str:
        """The query of this page, in another language."""
        pairs = [(name, value) for name, value in self.request.query_params.multi_items() if name != "lang"]
        return urlencode([*pairs, ("lang", language)])

    def who(self, subscription: Subscription) -> str:
        """A consumer as a sentence names it."""
        return f"{subscription.application_name}, {subscription.owner_name}"

    def _language(self) -> str:
        accepted = [
            part.partition(";")[0].strip().lower().partition("-")[0]
            for part in self.request.headers.get("accept-language", "").split(",")[:10]
        ]
        wanted = [
            self.request.query_params.get("lang", ""),
            self.request.cookies.get(LANGUAGE_COOKIE, ""),
            *("nb" if each == "no" else each for each in accepted),
        ]
        return next((each for each in wanted if each in words.LANGUAGES), "nb")
