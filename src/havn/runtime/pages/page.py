"""Drawing a form page: whole, or only the parts that differ from what the browser has."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec
from markupsafe import Markup
from starlette.responses import Response

from havn.runtime.layout import markdown, summary
from havn.runtime.layout.nodes import Node, State
from havn.runtime.layout.tree import Page
from havn.runtime.pages import checks
from havn.runtime.pages.draw import Draw, Links, Part
from havn.runtime.pages.feedback import UPLOADS, Feedback, Message
from havn.runtime.pages.merge import Change
from havn.runtime.pages.posted import Posted, pairs, words
from havn.runtime.pages.site import Site
from havn.runtime.pages.templates import environment


class Entry(msgspec.Struct, frozen=True):
    """One line of the error summary."""

    text: str
    href: str


class View(msgspec.Struct, kw_only=True):
    """Everything one drawing of a form page needs."""

    site: Site
    state: State
    page: Page
    feedback: Feedback
    links: Links
    action: str
    """Where the form is sent."""
    conflicts: Mapping[str, Change] = {}
    facts: Mapping[str, str] = {}
    open_rows: Collection[str] = ()
    asking: str | None = None
    actions: Collection[str] = ()
    states: Mapping[str, State] = {}
    acting_for: str | None = None
    hidden: Mapping[str, str] = {}
    """Fields that a page carries along, such as the model of a stateless form."""
    autosave: bool = True
    elsewhere: Sequence[Entry] = ()
    """Errors on other pages of the form."""
    typing: str = ""
    """The field one is typing in: nothing new is said there yet."""


def check(view: View) -> None:
    """Add what components themselves have to say."""
    for node in view.state.walk():
        if node.component.page == view.page.name:
            checks.check(node, view.feedback)
    if view.typing and view.typing not in view.feedback.elsewhere:
        view.feedback.fields.pop(view.typing, None)


def whole(view: View, *, status: int = 200) -> Response:
    """The whole page."""
    drawn = _Drawing(view)
    title = drawn.title
    if drawn.errors:
        title = view.site.word("title_error", title=title)
    frame = view.site.frame(
        title, acting_for=view.acting_for, form="hv-form", wide=view.page.raw.get("expandedWidth") is True
    )
    return view.site.page(
        "form.html",
        frame,
        status=status,
        v=view,
        heading=drawn.heading,
        parts=drawn.parts,
        extra={part.id: part.html for part in drawn.around},
        state=drawn.hidden_state(),
        multipart=any(component.type in UPLOADS for root in view.page.components for component in root.walk()),
        texts={
            "saving": view.site.word("saving"),
            "saved": view.site.word("saved"),
            "uploading": view.site.word("uploading"),
            "offline": view.site.word("offline"),
            "failed": view.site.word("failed"),
            "signedOut": view.site.word("signed_out_here"),
        },
    )


def changed(view: View, posted: Posted, *, focus: str | None = None) -> Response:
    """Only what differs from what the browser says it has."""
    drawn = _Drawing(view)
    pieces = [
        Markup('<hx-partial hx-target="#{}" hx-swap="outerMorph">{}</hx-partial>').format(part.id, part.html)
        for part in (*drawn.around, *drawn.parts)
        if posted.parts.get(part.id) != part.digest
    ]
    pieces.append(
        Markup('<hx-partial hx-target="#hv-state" hx-swap="outerMorph">{}</hx-partial>').format(drawn.hidden_state())
    )
    response = Response(Markup().join(pieces), media_type="text/html")
    response.headers["Cache-Control"] = "no-store"
    if focus:
        response.headers["HX-Trigger"] = msgspec.json.encode({"havn:focus": focus}).decode()
    return response


def summary_label(node: Node) -> str:
    """What a component is called, in plain words."""
    return summary.label(node) or node.component.id


def said(label: str, text: str) -> str:
    """A message with what it is about."""
    return f"{label}: {text}" if label[-1:].isalnum() or label.endswith(")") else f"{label} {text}"


class _Drawing:
    """The parts of a page, in the order in which they depend on each other: fields are noted while drawn."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.draw = Draw(
            view.state,
            view.page,
            view.feedback,
            view.links,
            facts=view.facts,
            open_rows=view.open_rows,
            asking=view.asking,
            actions=view.actions,
            states=view.states,
            dev=view.site.dev,
        )
        self.parts = self.draw.parts()
        self.errors = [*self._entries(), *view.elsewhere]
        found = view.state.surroundings.find_text(view.page.name, (), view.state.models)
        self.title = markdown.plain(found) if found else view.site.app_name
        self.heading = self.title
        self.around = [self._alerts(), self._progress()]

    def _entries(self) -> list[Entry]:
        names: dict[str, Node] = {}
        for node in self.view.state.walk():
            if node.component.page == self.view.page.name:
                names.setdefault(node.id, node)
        # In the order of the page: the first link is the first thing to mend.
        order = {node_id: place for place, node_id in enumerate(names)}
        found = sorted(self.view.feedback.fields.items(), key=lambda item: order.get(item[0].partition(".")[0], 0))
        entries = []
        for name, messages in found:
            about = names.get(name.partition(".")[0])
            if about is None:
                continue
            anchor = name if name in self.draw.fields else about.id
            label = self.draw.name(about)
            entries += [Entry(said(label, m.text), f"#{anchor}") for m in messages if m.kind == "danger"]
        return entries

    def _alerts(self) -> Part:
        general: list[Message] = self.view.feedback.general
        # While one types, messages stand at the fields alone; the summary is for those who want to go on.
        listed = self.errors if self.view.feedback.shown else ()
        html = (
            environment()
            .get_template("alerts.html")
            .render(
                d=self.draw,
                errors=[*(Entry(m.text, "") for m in general if m.kind == "danger"), *listed],
                others=[message for message in general if message.kind != "danger"],
                conflicts=[
                    Entry(self.draw.name(node), f"#{name}")
                    for name in self.view.feedback.elsewhere
                    if (node := self._node(name)) is not None
                ],
            )
        )
        return Part("hv-alerts", Markup(html))  # noqa: S704 - the template escapes

    def _node(self, name: str) -> Node | None:
        wanted = name.partition(".")[0]
        return next((node for node in self.view.state.walk() if node.id == wanted), None)

    def _progress(self) -> Part:
        names = [page.name for page in self.view.state.pages()]
        number = names.index(self.view.page.name) + 1 if self.view.page.name in names else 0
        html = environment().get_template("progress.html").render(d=self.draw, number=number, total=len(names))
        return Part("hv-progress", Markup(html))  # noqa: S704 - the template escapes

    def hidden_state(self) -> Markup:
        """The hidden fields that a page is compared by when it comes back."""
        from havn.runtime.pages.field import digest

        fields = dict(self.draw.fields)
        for name, change in self.view.conflicts.items():
            if name in fields:
                fields[name] = f"{fields[name]}!{digest(change.value)}"
        for name in self.view.feedback.typed:
            # What could not be read is still another answer than the one the model has.
            fields.setdefault(name, "")
        values = {
            "_fields": pairs(fields),
            "_parts": pairs({part.id: part.digest for part in (*self.around, *self.parts)}),
            "_open": words(frozenset(self.view.open_rows)),
            "_shown": words(self.view.feedback.shown),
            **self.view.hidden,
        }
        inputs = Markup().join(
            Markup('<input type="hidden" name="{}" value="{}">').format(name, value) for name, value in values.items()
        )
        return Markup('<div id="hv-state" hidden>{}</div>').format(inputs)
