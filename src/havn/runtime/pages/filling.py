"""A form page being filled in: what is drawn, and how a post is answered."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import quote

import msgspec
from starlette.responses import Response

from havn.kit.problem import Problem
from havn.runtime.issues import Severity, ValidationIssue
from havn.runtime.layout.tree import Layout, Page
from havn.runtime.pages import merge, page
from havn.runtime.pages.draw import Links
from havn.runtime.pages.feedback import WHOLE_PAGE, Feedback, put_issues
from havn.runtime.pages.opened import Opened
from havn.runtime.pages.page import Entry, View
from havn.runtime.pages.posted import Posted
from havn.runtime.pages.saving import Saved


class Form:
    """One page of an opened form, while a request is answered."""

    def __init__(self, opened: Opened, layout: Layout, found: Page, *, shown: Collection[str] = ()) -> None:
        self.opened = opened
        self.site = opened.site
        self.layout = layout
        self.settings = self.site.context.folder.layout_sets[layout.id].settings
        self.page = found
        self.shown = set(shown)
        self.open_rows: frozenset[str] = frozenset()
        self.asking: str | None = None
        self.focus: str | None = None

    # Drawing ---------------------------------------------------------------------------------------------------------

    async def view(
        self,
        saved: Saved | None,
        *,
        issues: Sequence[ValidationIssue] | None = None,
        feedback: Feedback | None = None,
        typing: str = "",
        elsewhere: Sequence[Entry] = (),
    ) -> View:
        """What to draw, with all there is to say about it."""
        opened = self.opened
        if issues is None:
            issues = saved.issues if saved is not None and WHOLE_PAGE not in self.shown else None
        if issues is None:
            issues = await opened.judge(fully=WHOLE_PAGE in self.shown)
        state = await opened.state(self.layout)
        feedback = feedback or Feedback()
        feedback.shown = frozenset(self.shown)
        here = [issue for issue in issues if issue.field or issue.severity is not Severity.ERROR or self.shown]
        put_issues(feedback, state, here, opened.data_types(), page=self.page.name)
        if saved is not None:
            merge.tell(feedback, state, self.page.name, saved.merge, saved.conflicts)
            for text in _refusals(saved.refused):
                feedback.say(text)
        base = self.site.base
        view = View(
            site=self.site,
            state=state,
            page=self.page,
            feedback=feedback,
            links=Links(
                base=base,
                page=lambda name: f"{base}{opened.page_path(name)}",
                file=opened.file_address if opened.stored else None,
                preview=f"{base}/instances/{opened.instance.id}/pdf/preview?language={self.site.language}"
                if opened.stored
                else None,
            ),
            action=f"{base}{opened.page_path(self.page.name)}",
            conflicts=saved.conflicts if saved is not None else {},
            facts=opened.facts(),
            open_rows=self.open_rows,
            asking=self.asking,
            actions=opened.actions,
            states=await opened.earlier(self.layout),
            acting_for=opened.owner,
            autosave=self.settings.auto_save_behavior != "onChangePage",
            elsewhere=elsewhere,
            typing=typing,
            hidden=opened.carried(),
        )
        page.check(view)
        return view

    async def answer(self, sent: Posted, saved: Saved | None, *, feedback: Feedback | None = None) -> Response:
        """The page after a save: its changed parts by script; without, the whole of it when there is something to say.

        Otherwise the browser is sent to the page, so that loading it again does not send the form again.
        """
        typing = sent.typing if not sent.explicit else ""
        if self.site.partial:
            view = await self.view(saved, feedback=feedback, typing=typing)
            return page.changed(view, sent, focus=self.focus)
        fine = (saved is None or saved.clean) and feedback is None
        if fine and self.opened.stored:
            return self.site.go(self.address())
        return page.whole(await self.view(saved, feedback=feedback), status=200 if fine else 422)

    async def turn(self, target: Page) -> Response:
        """Another page of the form, where everything typed on this one is kept."""
        if self.opened.stored:
            return self.site.go(self.opened.page_path(target.name))
        self.page, self.shown, self.open_rows = target, set(), frozenset()
        return page.whole(await self.view(None))

    def address(self) -> str:
        """This page, as it stands open."""
        query = [f"open={quote(row)}" for row in sorted(self.open_rows)]
        if self.asking:
            query.append(f"ask={quote(self.asking)}")
        if WHOLE_PAGE in self.shown:
            query.append("validate")
        path = self.opened.page_path(self.page.name) + (f"?{'&'.join(query)}" if query else "")
        return f"{path}#{quote(self.focus)}" if self.focus else path

    async def given_back(self, sent: Posted) -> Response:
        """The page with everything that was typed, nothing saved: the post could not be trusted to be theirs."""
        feedback = Feedback()
        feedback.say(self.site.word("too_old"))
        feedback.typed.update({name: sent.values(name) for name in sent.fields})
        return page.whole(await self.view(None, feedback=feedback), status=400)

    def stay(self, view: View) -> Response:
        """The page again, with what is wrong on top."""
        view.feedback.shown = frozenset(self.shown)
        return page.whole(view, status=422)


def _refusals(problem: Problem | None) -> list[str]:
    if problem is None:
        return []
    issues = msgspec.to_builtins(problem.extensions.get("uploadValidationIssues", []))
    texts = [str(issue.get("description")) for issue in issues if issue.get("description")]
    return texts or [problem.detail or problem.title]


def has_errors(feedback: Feedback, *, everywhere: bool) -> bool:
    """Whether an error stands at a field of the page, or (`everywhere`) is said about the whole."""
    messages = [message for found in feedback.fields.values() for message in found]
    return any(message.kind == "danger" for message in (*messages, *(feedback.general if everywhere else ())))
