"""An instance's own address: the way into its present task; and what is shown when there is no form to fill in."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from havn.kit.problem import Problem
from havn.runtime import access, process
from havn.runtime.api.session import sign_in
from havn.runtime.layout import summary
from havn.runtime.layout.nodes import State
from havn.runtime.pages import posted
from havn.runtime.pages.draw import Draw, Links
from havn.runtime.pages.feedback import Feedback
from havn.runtime.pages.opened import Opened
from havn.runtime.pages.site import Site


async def entry(request: Request) -> Response:
    """To the first page of the task the instance stands in; the receipt when it has ended."""
    site = Site(request)
    if not site.actor.principal.authenticated:
        return sign_in(request)
    opened = await Opened.of(site, int(request.path_params["party_id"]), str(request.path_params["guid"]))
    await opened.read()
    if opened.task is None:
        return await _receipt(opened)
    layout = site.context.layouts.of_task(opened.task)
    if layout is not None:
        pages = (await opened.state(layout)).pages()
        if pages:
            return site.go(opened.page_path(pages[0].name), status=302)
    if opened.task_type == "confirmation":
        return await _confirmation(opened)
    return site.page(
        "wait.html", site.frame(site.word("wait_title"), acting_for=opened.owner), path=f"{site.base}{opened.path}"
    )


async def leave(request: Request) -> Response:
    """The buttons of the built-in confirmation."""
    site = Site(request)
    if not site.actor.principal.authenticated:
        return sign_in(request)
    opened = await Opened.of(site, int(request.path_params["party_id"]), str(request.path_params["guid"]))
    sent = await posted.read(request)
    await site.check()
    action = sent.subject
    if sent.verb != "process" or sent.one("task") != (opened.task or ""):
        return site.go(opened.path)
    if action not in opened.actions:
        raise Problem(403, "You may not do this here.", code="forbidden")
    try:
        await process.next_task(site.context, site.actor, opened.instance, action)
    except Problem as problem:
        if problem.status != 409 or "validationIssues" not in problem.extensions:
            raise
        await opened.read()
        return await _confirmation(opened, problem)
    return site.go(opened.path)


async def _confirmation(opened: Opened, problem: Problem | None = None) -> Response:
    """The answers of the tasks before, and the button that sends them in."""
    site = opened.site
    sections = []
    for state in await _filled_in(opened):
        sections += summary.whole(state, summary.Rules(excluded_pages=_excluded(opened, state)))
    errors = []
    if problem is not None:
        import msgspec

        issues = msgspec.to_builtins(problem.extensions["validationIssues"])
        errors = [str(issue.get("description") or issue.get("code")) for issue in issues]
    return site.page(
        "confirm.html",
        site.frame(site.word("confirm_title"), acting_for=opened.owner),
        status=422 if errors else 200,
        o=opened,
        d=_draw(opened),
        sections=sections,
        attachments=_attachments(opened),
        errors=errors,
        path=f"{site.base}{opened.path}",
    )


async def _receipt(opened: Opened) -> Response:
    """That it was sent, when, by whom; the PDF; or the app's own receipt."""
    site = opened.site
    own = site.context.folder.custom_receipt
    layout = site.context.layouts.of_set(own.id) if own is not None else None
    parts = []
    if layout is not None:
        state = await opened.state(layout, read_only=True)
        for found in state.pages():
            drawer = Draw(
                state, found, Feedback(), _links(opened), facts=opened.facts(), states=await opened.earlier(layout)
            )
            parts += drawer.parts()
    pdfs = [element for element in opened.instance.data if element.data_type == access.PDF_TYPE]
    return site.page(
        "receipt.html",
        site.frame(site.word("receipt_title"), acting_for=opened.owner),
        facts=opened.facts(),
        parts=parts,
        pdfs=[(f"{site.base}/instances/{opened.instance.id}/data/{element.id}", element.filename) for element in pdfs],
        attachments=_attachments(opened),
    )


async def _filled_in(opened: Opened) -> list[State]:
    """The forms of the data tasks before this one."""
    found: list[State] = []
    for task in opened.process.process_tasks:
        if task.element_id == opened.task:
            break
        layout = opened.site.context.layouts.of_task(task.element_id)
        if layout is not None and task.altinn_task_type == "data":
            found.append(await opened.state(layout, read_only=True))
    return found


def _excluded(opened: Opened, state: State) -> frozenset[str]:
    found = opened.site.context.folder.layout_sets.get(state.layout.id)
    return found.exclude_from_pdf if found is not None else frozenset()


def _attachments(opened: Opened) -> list[tuple[str, str]]:
    """The files people sent along: name and address."""
    types = opened.site.context.folder.data_types
    found = []
    for element in opened.instance.data:
        type_ = types.get(element.data_type or "")
        if element.data_type == access.PDF_TYPE or (type_ is not None and access.is_form(type_)):
            continue
        if type_ is not None and "app:owned" in (type_.allowed_contributors or ()):
            continue
        address = f"{opened.site.base}/instances/{opened.instance.id}/data/{element.id}"
        found.append((element.filename or element.id or "", address))
    return found


def _draw(opened: Opened) -> Draw:
    from havn.runtime.layout.form import FormState
    from havn.runtime.layout.tree import Layout

    empty = Layout("", default_data_type="", pages={})
    state = FormState(empty, {}, opened.around(empty, read_only=True))
    return Draw(state, None, Feedback(), _links(opened))


def _links(opened: Opened) -> Links:
    base = opened.site.base
    return Links(
        base=base,
        page=lambda _name: f"{base}{opened.path}",
        file=lambda element: f"{base}/instances/{opened.instance.id}/data/{element}",
    )
