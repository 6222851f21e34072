"""Drawing a page's components: what the templates ask about a component, and its place on the page."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
import structlog
from markupsafe import Markup

from havn.kit import assets
from havn.runtime.layout import choices, display, formatting, likert, markdown, summary
from havn.runtime.layout.nodes import Node, State
from havn.runtime.layout.surroundings import Element
from havn.runtime.layout.tree import Page
from havn.runtime.pages import checks, field, templates
from havn.runtime.pages.feedback import Feedback, Message, field_name
from havn.runtime.pages.rows import RowsView
from havn.runtime.pages.words import APP_KEYS, word

_AUTOCOMPLETE = re.compile(r"[a-z][a-z0-9-]*( [a-z][a-z0-9-]*)*")
_SAFE_LINK = re.compile(r"(https?:|mailto:|tel:|/|#|\?|[\w.-]+(/|$))", re.IGNORECASE)
_log = structlog.get_logger("pages")


class Part(msgspec.Struct, frozen=True):
    """One exchangeable part of a page."""

    id: str
    html: Markup

    @property
    def digest(self) -> str:
        """A short name for what it looks like, so that an unchanged part is not sent again."""
        return hashlib.blake2s(self.html.encode(), digest_size=5).hexdigest()


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses the components of a page link to."""

    base: str
    """The app's own path."""
    page: Callable[[str], str]
    """The address of a page by its name."""
    file: Callable[[str], str] | None = None
    """The address of an attachment by its element id; None in a stateless form."""
    preview: str | None = None
    """The address of the receipt as it would be now; None in a stateless form."""


class Draw:
    """Draws the nodes of one page."""

    def __init__(
        self,
        state: State,
        page: Page | None,
        feedback: Feedback,
        links: Links,
        *,
        facts: Mapping[str, str] | None = None,
        open_rows: Collection[str] = (),
        asking: str | None = None,
        actions: Collection[str] = (),
        states: Mapping[str, State] | None = None,
        dev: bool = False,
    ) -> None:
        """`facts`: sender, receiver, reference and the like; `asking`: the thing whose deletion is to be confirmed.

        `states`: task id to the state of an earlier task, for summaries of it.
        """
        self.state = state
        self.page = page
        self.feedback = feedback
        self.links = links
        self.facts = facts or {}
        self.open_rows = frozenset(open_rows)
        self.asking = asking
        self.actions = frozenset(actions)
        self.states = states or {}
        self.dev = dev
        self.language = state.surroundings.language
        self.fields: dict[str, str] = {}
        """Every field drawn, with the digest of what the model holds."""
        self._depth = 2
        self._marks_optional: bool | None = None

    # Parts -----------------------------------------------------------------------------------------------------------

    def parts(self) -> list[Part]:
        """The components that stand on the page, each a part."""
        if self.page is None:
            return []
        return [Part(f"w-{node.id}", self.wrapped(node)) for node in self.state.on_page(self.page)]

    def wrapped(self, node: Node) -> Markup:
        """A node in its place in the grid; an empty place while it is hidden."""
        if node.hidden:
            return Markup('<div id="w-{}" hidden></div>').format(node.id)
        return Markup('<div id="w-{}"{}>{}</div>').format(node.id, self.grid(node), self.html(node))

    def html(self, node: Node) -> Markup:
        """A node by the template of its type."""
        file = templates.DRAWN.get(node.type)
        if file is None or (node.type in choices.MANY and "group" in node.component.bindings):
            return self._not_drawn(node)
        macro = getattr(templates.module(file), node.type)
        return Markup(macro(self, node))  # noqa: S704 - the template escapes

    def _not_drawn(self, node: Node) -> Markup:
        _log.warning("component_not_drawn", component=node.component.id, type=node.type)
        if not self.dev:
            return Markup()
        sentence = self.word("unknown_component", id=node.component.id, type=node.type)
        return Markup('<div class="hv-unknown">{}</div>').format(sentence)

    def all(self, nodes: Sequence[Node]) -> Markup:
        """Several nodes, one after the other."""
        return Markup().join(self.wrapped(node) for node in nodes)

    def inside(self, node: Node, row: int | None = None) -> Markup:
        """The children of a container, headings one level lower when the container has one of its own."""
        deeper = 1 if self.text(node, "title") else 0
        self._depth += deeper
        try:
            return self.all(node.children(row))
        finally:
            self._depth -= deeper

    @property
    def level(self) -> int:
        """The heading level for a title here."""
        return min(self._depth, 6)

    def grid(self, node: Node) -> Markup:
        """The class attribute that gives the node its columns."""
        raw = node.raw.get("grid")
        sizes = raw if isinstance(raw, dict) else {}
        names = [
            f"hv-{size}-{sizes[size]}"
            for size in ("xs", "sm", "md")
            if isinstance(sizes.get(size), int) and 0 < sizes[size] <= 12
        ]
        return Markup(' class="{}"').format(" ".join(names)) if names else Markup()

    # Words and texts -------------------------------------------------------------------------------------------------

    def word(self, key: str, **values: object) -> str:
        """A sentence of ours, or the app's own for it."""
        own = APP_KEYS.get(key)
        if own is not None:
            found = self.state.surroundings.find_text(own, (), self.state.models)
            if found is not None:
                return markdown.plain(found)
        return word(self.language, key, **values)

    def text(self, node: Node, name: str) -> Markup:
        """A text of the component in one line, with its markup; empty when there is none."""
        found = node.text(name)
        return Markup(markdown.inline(found)) if found else Markup()  # noqa: S704 - sanitised

    def block(self, node: Node, name: str) -> Markup:
        """A text of the component as paragraphs."""
        found = node.text(name)
        return Markup(markdown.block(found)) if found else Markup()  # noqa: S704 - sanitised

    def lookup(self, node: Node, key: Any) -> Markup:
        """Any text key as one line."""
        return Markup(markdown.inline(node.lookup(str(key)))) if key else Markup()  # noqa: S704 - sanitised

    def plain(self, node: Node, name: str) -> str:
        """A text of the component without markup."""
        found = node.text(name)
        return markdown.plain(found) if found else ""

    def label(self, node: Node, binding: str = "simpleBinding") -> Markup:
        """What a field is called."""
        return Markup(markdown.inline(field.label(node, binding)))  # noqa: S704 - sanitised

    def name(self, node: Node) -> str:
        """What a component is called, in plain words; its id when it has no title."""
        return summary.label(node) or node.component.id

    # Fields ----------------------------------------------------------------------------------------------------------

    def id(self, node: Node, binding: str = "simpleBinding") -> str:
        """The name and HTML id of a field; it is noted as drawn unless it cannot be changed."""
        name = field_name(node, binding)
        if not node.read_only and name not in self.fields:
            self.fields[name] = field.digest(node.value(binding))
        return name

    def likert_lines(self, node: Node) -> list[likert.Line]:
        """The questions of a Likert scale, their fields noted as drawn."""
        found = likert.lines(node)
        for line in found:
            if not node.read_only:
                self.fields[f"{node.id}.{line.row_id}"] = field.digest(line.value)
        return found

    def value(self, node: Node, binding: str = "simpleBinding") -> str:
        """What stands in a text field: what was typed and not kept, else what the model has."""
        typed = self.feedback.typed.get(field_name(node, binding))
        return typed[0] if typed else field.text(node, binding) if typed is None else ""

    def chosen(self, node: Node) -> Collection[str]:
        """The choices that are made now."""
        typed = self.feedback.typed.get(field_name(node))
        return typed if typed is not None else choices.chosen(node)

    def choices(self, node: Node) -> list[choices.Drawn]:
        """What one may choose."""
        return choices.choices(node)

    def optional(self, node: Node, binding: str = "simpleBinding") -> bool:
        """Whether the label says that it may be left empty: where others on the page may not."""
        if node.read_only or (node.required and binding not in ("careOf", "houseNumber")):
            return False
        settings = node.raw.get("labelSettings")
        said = settings.get("optionalIndicator") if isinstance(settings, dict) else None
        if said is not None:
            return said is True
        if self._marks_optional is None:
            nodes = [below for node in self.state.on_page(self.page) for below in node.walk()] if self.page else []
            self._marks_optional = any(below.type in field.FIELDS and below.required for below in nodes)
        return self._marks_optional

    def affixes(self, node: Node) -> tuple[str, str]:
        """What stands before and after a text field."""
        number = formatting.number_format(display.format_of(node), self.language)
        before, after = (number.prefix.strip(), number.suffix.strip()) if number else ("", "")
        return self.plain(node, "prefix") or before, self.plain(node, "suffix") or after

    def is_number(self, node: Node) -> bool:
        """Whether a number keyboard helps."""
        return isinstance(node.raw.get("formatting"), dict)

    def is_decimal(self, node: Node) -> bool:
        """Whether the number may have decimals or a sign, so that the keyboard needs more than digits."""
        number = formatting.number_format(display.format_of(node), self.language)
        return number is not None and number.pattern is None and (number.scale != 0 or number.negative)

    def autocomplete(self, node: Node) -> str:
        """The autocomplete token, when the layout gives one that can be one."""
        value = node.raw.get("autocomplete")
        return value if isinstance(value, str) and _AUTOCOMPLETE.fullmatch(value) else ""

    def typing(self, node: Node) -> str:
        """When a field is saved while one types: `false` for not before leaving it, or milliseconds."""
        value = node.raw.get("saveWhileTyping")
        if value is False:
            return "false"
        return str(int(value)) if isinstance(value, int | float) and value is not True else ""

    def limit(self, node: Node) -> int | None:
        """The highest number of characters, where the component states one."""
        value = node.raw.get("maxLength")
        return value if isinstance(value, int) and value > 0 else None

    def day(self, node: Node, name: str) -> str:
        """`minDate` or `maxDate` as a day, words like `today` put into dates."""
        found = checks.day(node, name)
        return found.isoformat() if found else ""

    def messages(self, name: str) -> Sequence[Message]:
        """What is said at a field."""
        return self.feedback.fields.get(name, ())

    def wrong(self, node: Node) -> bool:
        """Whether an error stands at any field of a node."""
        return any(self.feedback.wrong(field_name(node, name)) for name in ("simpleBinding", *node.component.bindings))

    def describes(self, name: str, *others: str) -> str:
        """The value of `aria-describedby`: the field's messages and what else describes it."""
        return " ".join([*(other for other in others if other), f"{name}-m"])

    def tag_field(self, node: Node, element: Element) -> str:
        """The name of the field that says what an attachment is; noted as drawn."""
        name = f"{node.id}.{element.id}"
        if not node.read_only:
            self.fields[name] = field.digest(element.tags[0] if element.tags else None)
        return name

    def rows(self, node: Node) -> RowsView:
        """A list of rows."""
        return RowsView(node, self.open_rows)

    # Others ----------------------------------------------------------------------------------------------------------

    def shown(self, node: Node) -> list[str]:
        """What a component holds, as a person reads it."""
        return display.values(node)

    def files(self, node: Node) -> list[Element]:
        """The attachments of an upload component."""
        return display.attached(node)

    def size(self, element: Element) -> str:
        """How large an attachment is."""
        size, unit = float(element.size), "B"
        for larger in ("kB", "MB", "GB"):
            if size < 1000:
                break
            size, unit = size / 1000, larger
        decimals = formatting.NumberFormat(scale=1 if size < 10 and unit != "B" else 0, decimal=self._decimal)
        return f"{decimals.write(round(size, 1))}{formatting.NBSP}{unit}"

    @property
    def _decimal(self) -> str:
        return "." if self.language == "en" else ","

    def number(self, node: Node, name: str, default: int) -> int:
        """A property that is a whole number."""
        value = node.prop(name)
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else default

    def endings(self, node: Node) -> list[str]:
        """The file endings that an upload takes, with their dots; empty for any."""
        return checks.endings(node)

    def link(self, node: Node, name: str = "target") -> str:
        """A text that is an address; `#` when it is none that may stand in a link."""
        address = (node.text(name) or "").strip()
        return address if _SAFE_LINK.match(address) else "#"

    def source(self, node: Node, kind: str) -> str:
        """The address of an image, sound or film in the current language; the app's own by its path in `wwwroot`."""
        media = node.raw.get(kind)
        sources = media.get("src") if isinstance(media, dict) else None
        source = (sources.get(self.language) or sources.get("nb")) if isinstance(sources, dict) else None
        if not isinstance(source, str) or not source:
            return ""
        if source.startswith(("https://", "http://", "/")):
            return source
        return f"{self.links.base}/{source.removeprefix('wwwroot/')}"

    def most(self, node: Node) -> int:
        """The highest number of attachments."""
        return checks.most(node) or 1

    def summarised(self, node: Node) -> Sequence[summary.PageSummary]:
        """What a Summary2 shows."""
        rules = summary.rules_of(node)
        target = node.raw.get("target")
        target = target if isinstance(target, dict) else {"type": "layoutSet"}
        state = self.states.get(str(target.get("taskId")), self.state) if target.get("taskId") else self.state
        if target.get("type") == "page" and target.get("id") in state.layout.pages:
            page = summary.of_page(state, str(target["id"]), rules)
            return [page] if page.items else []
        if target.get("type") == "layoutSet":
            return [page for page in summary.whole(state, rules) if self.page is None or page.name != self.page.name]
        return self.summary_of(str(target.get("id", "")), node, rules, state)

    def summary_of(
        self, component_id: str, node: Node, rules: summary.Rules = summary.EVERYTHING, state: State | None = None
    ) -> Sequence[summary.PageSummary]:
        """One component's summary."""
        state = state or self.state
        found = state.find(component_id, node.rows, node.component)
        items = list(summary.of_nodes([found], rules)) if found is not None else []
        return [summary.PageSummary(found.component.page, "", items)] if items and found is not None else []

    def changeable(self, item: summary.Answer | summary.Table | summary.Part) -> bool:
        """Whether a summary may offer to change an answer: when its page is one of this form's."""
        return item.node.state is self.state and item.node.component.page in self.state.layout.pages

    def asset(self, name: str) -> str:
        """The address of a built asset."""
        return assets.url(name, self.links.base)
