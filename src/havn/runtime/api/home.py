"""The app's first page, its public files, and its address for tools."""

from __future__ import annotations

import html
import mimetypes
import re
from pathlib import Path
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Match

from havn.guard.middleware import principal
from havn.kit.problem import Problem
from havn.runtime import stateless, texts
from havn.runtime.api.common import antiforgery_of, context
from havn.runtime.api.session import sign_in

_SEGMENT = re.compile(r"[^./\\\x00][^/\\\x00]*")


def needs_sign_in(request: Request) -> bool:
    """Whether the caller has to sign in before the app shows its first page."""
    return not principal(request).authenticated and not stateless.is_anonymous(context(request))


async def shell(request: Request) -> Response:
    """The page that loads a React frontend from `HAVN_FRONTEND_URL`, and hands out the antiforgery pair."""
    if needs_sign_in(request):
        return sign_in(request)
    app = context(request)
    assets = html.escape((app.settings.frontend_url or "").rstrip("/"), quote=True)
    title = html.escape(texts.app_name(app.folder, "nb"))
    nonce = request.scope["havn.nonce"]
    # JSON inside a script element: "<" is written so that nothing can end the element.
    names = msgspec.json.encode({"org": app.folder.org, "app": app.folder.app}).decode().replace("<", "\\u003c")
    page = HTMLResponse(
        '<!doctype html><html lang="nb"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title>"
        f'<link rel="stylesheet" href="{assets}/altinn-app-frontend.css"></head>'
        '<body><div id="root"></div>'
        f'<script nonce="{nonce}">const app = {names}; window.org = app.org; window.app = app.app;</script>'
        f'<script src="{assets}/altinn-app-frontend.js"></script></body></html>'
    )
    antiforgery_of(request).issue(request, page)
    return page


async def public_file(request: Request) -> Response:
    """A file of `wwwroot/`; the way to an address of ours with a slash too many; 404 for anything else."""
    found = _find(context(request).folder.wwwroot, request.path_params["path"])
    if found is None:
        if (address := _without_slash(request)) is not None:
            return RedirectResponse(address, 308)
        raise Problem(404, "There is no such page.", code="not_found")
    media = mimetypes.guess_type(found.name)[0] or "application/octet-stream"
    return FileResponse(found, media_type=media)


def _without_slash(request: Request) -> str | None:
    """The address asked for without the slash it ends in, when something answers there; on this host in any case."""
    path: str = request.scope["path"]
    if not path.endswith("/"):
        return None
    scope = {**request.scope, "path": path.rstrip("/")}
    for route in request.app.router.routes:
        if getattr(route, "name", None) != "public_file" and route.matches(scope)[0] is Match.FULL:
            query = f"?{request.url.query}" if request.url.query else ""
            return quote(scope["path"], safe="/") + query
    return None


def _find(root: Path | None, path: str) -> Path | None:
    """The file below `root`, when every part of the path is a plain name and no link leads out."""
    if root is None or not all(_SEGMENT.fullmatch(part) for part in path.split("/")):
        return None
    found = (root / path).resolve()
    return found if found.is_relative_to(root.resolve()) and found.is_file() else None
