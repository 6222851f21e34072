"""What every page needs of a request: who asks, in which language, at which address, and the frame to draw it in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from havn.guard.middleware import principal
from havn.kit import assets
from havn.kit.problem import Problem
from havn.runtime import texts
from havn.runtime.actor import Actor
from havn.runtime.api import common
from havn.runtime.context import AppContext
from havn.runtime.layout import markdown
from havn.runtime.pages.templates import environment
from havn.runtime.pages.words import APP_KEYS, LANGUAGES, word

LANGUAGE_COOKIE = "havn-language"
_YEAR = 365 * 24 * 3600
_NAMES_KEPT = 1000


class FooterLine(msgspec.Struct, frozen=True):
    """One entry of the footer."""

    text: str
    href: str | None


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What stands around a page's own content."""

    title: str
    app_name: str
    owner: str
    logo: str | None
    languages: Sequence[str]
    footer: Sequence[FooterLine]
    sign_out: str | None
    acting_for: str | None = None
    form: str | None = None
    """The id of the page's form: choosing a language then keeps what is typed."""
    wide: bool = False


class Site:
    """One request to a page."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.context: AppContext = common.context(request)
        self.base: str = request.scope.get("root_path", "").rstrip("/")
        self.languages = sorted(texts.languages(self.context.folder), key=_order) or ["nb"]
        self.language = self._language()
        self.actor: Actor = self.context.actor(principal(request), self.language)

    def speak(self, language: str) -> None:
        """Draw the rest of this request in another language."""
        self.language = language
        self.actor = self.context.actor(principal(self.request), language)

    @property
    def dev(self) -> bool:
        """Whether a developer is looking."""
        return self.context.settings.dev

    @property
    def partial(self) -> bool:
        """Whether script asks for the changed parts of a page."""
        return self.request.headers.get("hx-request") == "true"

    def _language(self) -> str:
        wanted = (self.request.query_params.get("lang"), self.request.cookies.get(LANGUAGE_COOKIE), "nb")
        return next((language for language in wanted if language in self.languages), None) or self.languages[0]

    def word(self, key: str, **values: object) -> str:
        """A sentence of ours, or the app's own for it."""
        own = APP_KEYS.get(key)
        found = texts.find(self.context.folder, self.language, own) if own else None
        return markdown.plain(found) if found is not None else word(self.language, key, **values)

    def text(self, key: str) -> str | None:
        """A text of the app in plain words."""
        found = texts.find(self.context.folder, self.language, key)
        return None if found is None else markdown.plain(found)

    @property
    def app_name(self) -> str:
        """What the app is called."""
        return markdown.plain(texts.app_name(self.context.folder, self.language))

    @property
    def owner(self) -> str:
        """What the service owner is called."""
        return self.text("appOwner") or self.context.folder.org

    def frame(self, title: str, *, acting_for: str | None = None, form: str | None = None, wide: bool = False) -> Frame:
        """The frame of a page called `title`."""
        known = self.actor.principal.authenticated
        return Frame(
            title=title,
            app_name=self.app_name,
            owner=self.owner,
            logo=self._logo(),
            languages=self.languages if len(self.languages) > 1 else (),
            footer=self._footer(),
            sign_out=f"{self.base}/api/authentication/logout" if known else None,
            acting_for=acting_for,
            form=form,
            wide=wide,
        )

    def _logo(self) -> str | None:
        logo = self.context.folder.metadata_raw.get("logo")
        from_text = isinstance(logo, dict) and logo.get("source") == "resource"
        address = self.text("appLogo.url") if from_text else None
        return address if address and address.startswith(("https://", "/")) else None

    def _footer(self) -> list[FooterLine]:
        prefixes = {"Link": "", "Email": "mailto:", "Phone": "tel:"}
        lines = []
        for item in self.context.folder.footer.items:
            target = (self.text(item.target) or item.target) if item.target else None
            if target is not None and item.type == "Link" and not target.startswith(("https://", "http://", "/")):
                target = None
            title = self.text(item.title) or (
                self.word("accessibility") if "accessibility" in item.title else item.title
            )
            lines.append(FooterLine(title, prefixes.get(item.type, "") + target if target else None))
        return lines

    def page(self, template: str, frame: Frame, *, status: int = 200, **values: Any) -> Response:
        """A whole page."""
        headers = Response()
        token = self._token(headers)
        html = (
            environment()
            .get_template(template)
            .render(s=self, f=frame, token=token, asset=self.asset, word=self.word, **values)
        )
        response = Response(html, status, media_type="text/html")
        response.headers["Content-Security-Policy"] = self._policy()
        response.headers["Cache-Control"] = "no-store"
        response.headers["Content-Language"] = self.language
        self.keep_cookies(response, headers)
        return response

    def _token(self, headers: Response) -> str:
        if not self.actor.principal.authenticated:
            return ""
        return common.antiforgery_of(self.request).issue(self.request, headers)

    def keep_cookies(self, response: Response, other: Response | None = None) -> None:
        """Put the language chosen in the address, and `other`'s cookies, on an answer."""
        if other is not None:
            response.raw_headers.extend((name, value) for name, value in other.raw_headers if name == b"set-cookie")
        if self.request.query_params.get("lang") in self.languages:
            self.set_language(response, self.language)

    def set_language(self, response: Response, language: str) -> None:
        """Remember a language on this host."""
        secure = self.context.settings.scheme == "https"
        response.set_cookie(
            LANGUAGE_COOKIE, language, max_age=_YEAR, path="/", secure=secure, httponly=True, samesite="lax"
        )

    def _policy(self) -> str:
        platform = self.context.settings.platform_base
        return (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; font-src 'self'; "
            "media-src 'self' https:; "
            f"connect-src 'self'; form-action 'self' {platform}; base-uri 'none'; frame-ancestors 'none'"
        )

    @property
    def home(self) -> str:
        """The whole address of the app's front page."""
        settings = self.context.settings
        return f"{settings.scheme}://{settings.app_host}{self.base}/"

    def asset(self, name: str) -> str:
        """The address of a built asset. 503 where they are not built."""
        try:
            return assets.url(name, self.base)
        except assets.AssetsNotBuilt as error:
            raise Problem(503, str(error), code="assets_not_built") from None

    def go(self, path: str, *, status: int = 303) -> Response:
        """To another page of this app; by script as a whole page too."""
        address = f"{self.base}{path}"
        if self.partial:
            return Response(status_code=200, headers={"HX-Redirect": address})
        response = RedirectResponse(address, status)
        self.keep_cookies(response)
        return response

    async def check(self) -> None:
        """400 unless a post comes from a page of ours."""
        if not self.context.app_flag("DisableCsrfCheck", default=False):
            await common.antiforgery_of(self.request).check(self.request)

    async def party_name(self, party_id: int) -> str | None:
        """What a party is called; names are kept in memory for a while, since every page shows one."""
        kept: dict[int, str] | None = getattr(self.request.app.state, "party_names", None)
        if kept is None:
            kept = self.request.app.state.party_names = {}
        if party_id not in kept:
            try:
                async with asyncio.timeout(3):
                    party = await self.context.clients.register.party(party_id, self.actor.credentials)
            except (Problem, TimeoutError):
                return None
            if party is None:
                return None
            if len(kept) >= _NAMES_KEPT:
                kept.clear()
            kept[party_id] = party.name
        return kept[party_id]


def _order(language: str) -> tuple[int, str]:
    return (LANGUAGES.index(language) if language in LANGUAGES else len(LANGUAGES), language)
