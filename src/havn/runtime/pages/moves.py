"""Leaving a page: forwards, back, to another page, in another language, or out of the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from havn.kit.problem import Problem
from havn.runtime import process
from havn.runtime.api.session import sign_in
from havn.runtime.issues import ValidationIssue
from havn.runtime.pages import checks, page, start
from havn.runtime.pages.feedback import WHOLE_PAGE, Feedback, put_issues
from havn.runtime.pages.filling import Form, has_errors
from havn.runtime.pages.page import Entry
from havn.runtime.pages.posted import Posted
from havn.runtime.pages.saving import Saved


async def next_page(form: Form, sent: Posted, saved: Saved) -> Response:
    """To the next shown page, when what is to be validated first is right."""
    asked = _asks_validation(form, sent.subject, "validateOnNext")
    if asked is not None and saved.clean:
        form.shown.add(WHOLE_PAGE)
        view = await form.view(saved)
        names = [one.name for one in view.state.pages()]
        at = names.index(form.page.name) if form.page.name in names else 0
        wanted = {"current": names[at : at + 1], "currentAndPrevious": names[: at + 1]}.get(asked, names)
        elsewhere = await _elsewhere(form, await form.opened.judge(fully=True), wanted)
        view.elsewhere = elsewhere
        if elsewhere or has_errors(view.feedback, everywhere=False):
            return form.stay(view)
    return await _move(form, saved, 1)


async def previous_page(form: Form, sent: Posted, saved: Saved) -> Response:
    """To the page before."""
    return await _move(form, saved, -1)


async def _move(form: Form, saved: Saved, step: int) -> Response:
    if not saved.clean:
        return form.stay(await form.view(saved))
    pages = (await form.opened.state(form.layout)).pages()
    names = [one.name for one in pages]
    at = names.index(form.page.name) + step if form.page.name in names else 0
    return await form.turn(pages[max(0, min(at, len(pages) - 1))])


async def go_to_page(form: Form, sent: Posted, saved: Saved) -> Response:
    """To a page named in the button."""
    state = await form.opened.state(form.layout)
    target = next((one for one in state.pages() if one.name == sent.subject), None)
    if not saved.clean or target is None:
        return form.stay(await form.view(saved))
    return await form.turn(target)


async def change_language(form: Form, sent: Posted, saved: Saved) -> Response:
    """The same page in another language, from now on."""
    if not saved.clean:
        return form.stay(await form.view(saved))
    language = sent.subject if sent.subject in form.site.languages else form.site.language
    if form.opened.stored:
        response = form.site.go(form.address())
    else:
        form.opened.speak(language)
        response = page.whole(await form.view(None))
    form.site.set_language(response, language)
    return response


async def submit(form: Form, sent: Posted, saved: Saved) -> Response:
    """Out of the task: submitted, confirmed, rejected. What is wrong keeps one here, with the way to each place."""
    action = sent.subject if sent.verb == "process" else None
    rejects = action == "reject"
    if not saved.clean:
        return form.stay(await form.view(saved))
    if not rejects:
        # What components ask is asked here: the process does not know it.
        form.shown.add(WHOLE_PAGE)
        view = await form.view(saved)
        view.elsewhere = await _elsewhere(form, await form.opened.judge(fully=True))
        if view.elsewhere or has_errors(view.feedback, everywhere=True):
            return form.stay(view)
    if not form.opened.stored:
        # Nothing is sent anywhere: that nothing is wrong is all there is to say.
        return await form.answer(sent, saved)
    try:
        instance, _ = await process.next_task(form.site.context, form.site.actor, form.opened.instance, action)
    except Problem as problem:
        if problem.status != 409 or "validationIssues" not in problem.extensions:
            raise
        issues = msgspec.convert(msgspec.to_builtins(problem.extensions["validationIssues"]), list[ValidationIssue])
        view = await form.view(saved, issues=issues)
        view.elsewhere = await _elsewhere(form, issues)
        return form.stay(view)
    return form.site.go(f"/instance/{instance.id}")


async def _elsewhere(form: Form, issues: Sequence[ValidationIssue], only: Sequence[str] | None = None) -> list[Entry]:
    """Errors that stand on other pages, each with the way there."""
    state = await form.opened.state(form.layout)
    found: list[Entry] = []
    every = Feedback([WHOLE_PAGE])
    put_issues(every, state, issues, form.opened.data_types())
    for node in state.walk():
        if node.component.page == form.page.name or (only is not None and node.component.page not in only):
            continue
        checks.check(node, every)
    nodes = {node.id: node for node in state.walk()}
    for name, messages in every.fields.items():
        about = nodes.get(name.partition(".")[0])
        if about is None or about.component.page == form.page.name:
            continue
        if only is not None and about.component.page not in only:
            continue
        address = f"{form.site.base}{form.opened.page_path(about.component.page)}?validate#{name}"
        found += [
            Entry(page.said(page.summary_label(about), message.text), address)
            for message in messages
            if message.kind == "danger"
        ]
    return found


def _asks_validation(form: Form, node_id: str, name: str) -> str | None:
    """What is validated before leaving the page: `current`, `currentAndPrevious`, `all`, or None for nothing."""
    component = form.layout.components.get(node_id.partition("_")[0])
    asked: Any = component.raw.get(name) if component is not None else None
    asked = asked or form.page.raw.get("validationOnNavigation") or form.settings.validation_on_navigation
    return str(asked.get("page", "current")) if isinstance(asked, dict) else None


async def instantiate(form: Form, sent: Posted, saved: Saved) -> Response:
    """A new instance for the same party, with values of this form in it."""
    component = form.layout.components.get(sent.subject.partition("_")[0])
    prefill: dict[str, Any] = {}
    mapping = component.raw.get("mapping") if component is not None else None
    state = await form.opened.state(form.layout)
    for source, target in mapping.items() if isinstance(mapping, dict) else ():
        value = state.value(form.layout.default_data_type, str(source))
        if value is not None:
            prefill[str(target)] = value
    if form.opened.party_id is None:
        return sign_in(form.site.request, goto=form.site.home)
    return await start.instantiate(form.site, form.opened.party_id, prefill)
