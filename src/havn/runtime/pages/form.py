"""The routes of a form page: shown, and sent back by its buttons or by script."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from havn.kit.problem import Problem
from havn.runtime.api.session import sign_in
from havn.runtime.layout.form import FormState
from havn.runtime.layout.tree import Layout, Page
from havn.runtime.pages import attachments, page, posted, verbs
from havn.runtime.pages.feedback import UPLOADS, WHOLE_PAGE
from havn.runtime.pages.filling import Form
from havn.runtime.pages.opened import Opened
from havn.runtime.pages.site import Site

MiB = 1024 * 1024


async def show(request: Request) -> Response:
    """One page of the current task; elsewhere when the instance has moved on."""
    site = Site(request)
    if not site.actor.principal.authenticated:
        return sign_in(request)
    opened = await _open(site, request)
    layout = site.context.layouts.of_task(opened.task)
    if layout is None or request.path_params["task"] != opened.task:
        return site.go(opened.path, status=302)
    await opened.read()
    state = await opened.state(layout)
    found = page_of(state, request.path_params["page"])
    if found is None:
        return site.go(opened.page_path(state.pages()[0].name) if state.pages() else opened.path, status=302)
    query = request.query_params
    form = Form(opened, layout, found, shown={WHOLE_PAGE} if "validate" in query else ())
    form.open_rows = frozenset(query.getlist("open"))
    form.asking = query.get("ask")
    return page.whole(await form.view(None))


async def post(request: Request) -> Response:
    """A page sent back: by script as one types, or by one of its buttons."""
    site = Site(request)
    if not site.actor.principal.authenticated:
        return await _signed_out(site)
    opened = await _open(site, request)
    layout = site.context.layouts.of_task(opened.task)
    if layout is None or request.path_params["task"] != opened.task:
        return site.go(opened.path)
    sent = await posted.read(request, _limit(opened, layout))
    await opened.read()
    state = await opened.state(layout)
    found = page_of(state, request.path_params["page"]) or layout.pages.get(request.path_params["page"])
    if found is None:
        return site.go(opened.path)
    form = Form(opened, layout, found, shown=sent.shown)
    form.open_rows = sent.open_rows
    try:
        await site.check()
    except Problem as problem:
        if problem.code != "antiforgery" or site.partial:
            raise
        return await form.given_back(sent)
    return await verbs.take(form, sent)


async def _open(site: Site, request: Request) -> Opened:
    return await Opened.of(site, int(request.path_params["party_id"]), str(request.path_params["guid"]))


def page_of(state: FormState, name: str) -> Page | None:
    """A shown page by its name."""
    return next((found for found in state.pages() if found.name == name), None)


def _limit(opened: Opened, layout: Layout) -> int:
    """How large a post may be: files are only let in where there is a field for them."""
    limit = posted.MAX_BYTES
    for component in layout.components.values():
        if component.type in UPLOADS:
            data_type = opened.site.context.folder.data_types.get(component.id)
            size = (data_type.max_size if data_type is not None else None) or attachments.DEFAULT_SIZE
            limit = max(limit, posted.MAX_BYTES + size * MiB * attachments.MAX_AT_ONCE)
    return limit


async def _signed_out(site: Site) -> Response:
    """Nothing can be saved for nobody, but nothing typed is lost: it is given back, to be sent again."""
    if site.partial:
        return Response(status_code=401, headers={"Cache-Control": "no-store"})
    sent = await posted.read(site.request)
    kept = [(name, value) for name, value in sent.everything() if name != "__RequestVerificationToken"]
    frame = site.frame(site.word("draft_title"))
    return site.page("draft.html", frame, status=401, kept=kept, action=str(site.request.url.path))
