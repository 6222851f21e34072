"""What a receipt of an instance says: each page's answers with their labels, as the layout shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from havn.runtime import access, hook_data, texts, visible
from havn.runtime.hooks import InstanceContext, PdfFormat
from havn.runtime.layout import display, markdown
from havn.runtime.layout.form import FormState
from havn.runtime.layout.nodes import Node
from havn.runtime.layout.tree import Page
from havn.runtime.messages import message
from havn.runtime.receipt.document import Answer, Block, Document, Heading, Section, Table, Text
from havn.runtime.work import Work

_NORWAY = ZoneInfo("Europe/Oslo")
_QUESTIONS = frozenset({"Text", "Number", "Date", "Option", "FileUpload", "FileUploadWithTag", "ImageUpload"})
"""Components without a binding of their own that still answer something."""
_SILENT = frozenset({"Likert", "Custom", "Subform", "List", "AddToList", "SimpleTable", "Map"})


async def document(work: Work, tasks: Sequence[str]) -> Document:
    """The receipt of what `tasks` show; pages and components that the app leaves out are left out."""
    context, language, instance = work.context, work.actor.language, work.instance
    party = await context.clients.register.party(instance.party_id, work.actor.credentials)
    sections: list[Section] = []
    chosen = await _format(work)
    for task in tasks:
        layout_set = context.folder.layout_set_for_task(task)
        layout = context.layouts.of_task(task)
        if layout is None or layout_set is None:
            continue
        around = visible.surroundings(
            context,
            language,
            instance,
            owner_name=party.name if party else None,
            default_data_type=layout.default_data_type,
        )
        models = await visible.first_models(work)
        state = await visible.state(context, work.actor, layout, models, around, instance=instance)
        left_out = _LeftOut(
            frozenset({*layout_set.exclude_from_pdf, *chosen.excluded_pages}),
            frozenset({*layout_set.components_exclude_from_pdf, *chosen.excluded_components}),
        )
        own_page = state.layout.pages.get(layout_set.pdf_layout or "")
        pages = [own_page] if own_page is not None else state.pages()
        sections += [section for page in pages if (section := left_out.section(state, page)) is not None]
    return Document(
        language=language,
        title=markdown.plain(texts.app_name(context.folder, language)),
        facts=_facts(work, party.name if party else None),
        sections=sections,
        attachments_title=message(language, "attachments"),
        attachments=_attachments(work),
        nothing=message(language, "no_answer"),
    )


async def _format(work: Work) -> PdfFormat:
    hook = work.context.hooks.first("format_pdf")
    if hook is None:
        return PdfFormat()
    found = await hook_data.run(hook, InstanceContext(**hook_data.of_instance(work, read_only=True)))
    return found if isinstance(found, PdfFormat) else PdfFormat()


def _facts(work: Work, sender: str | None) -> list[Answer]:
    context, language, instance = work.context, work.actor.language, work.instance
    when: datetime = (instance.status.archived if instance.status else None) or context.clock()
    receiver = texts.find(context.folder, language, "appReceiver") or texts.find(context.folder, language, "appOwner")
    found = [
        Answer(message(language, "reference"), instance.guid.rpartition("-")[2]),
        Answer(message(language, "sent"), when.astimezone(_NORWAY).strftime("%d.%m.%Y %H:%M")),
    ]
    if sender:
        found.append(Answer(message(language, "sender"), sender))
    found.append(Answer(message(language, "receiver"), markdown.plain(receiver or context.folder.org.upper())))
    return found


def _attachments(work: Work) -> list[str]:
    types = work.context.folder.data_types
    return [
        element.filename or element.id or ""
        for element in work.instance.data
        if (type_ := types.get(element.data_type or "")) is not None
        and type_.id != access.PDF_TYPE
        and not access.is_form(type_)
        and "app:owned" not in (name.lower() for name in type_.contributors)
    ]


class _LeftOut:
    """Draws pages without the pages and components that do not belong into the receipt."""

    def __init__(self, pages: frozenset[str], components: frozenset[str]) -> None:
        self._pages = pages
        self._components = components

    def section(self, state: FormState, page: Page) -> Section | None:
        """A page, or None when nothing on it belongs into the receipt."""
        if page.name in self._pages:
            return None
        blocks = list(self._all(state.on_page(page)))
        if not any(isinstance(block, Answer | Table) for block in blocks):
            return None
        return Section(markdown.plain(state.text(page.name)), blocks)

    def _all(self, nodes: Iterable[Node]) -> Iterator[Block]:
        for node in nodes:
            if not node.hidden and node.component.id not in self._components:
                yield from self._one(node)

    def _one(self, node: Node) -> Iterator[Block]:
        if node.type == "RepeatingGroup":
            yield from self._rows(node)
        elif node.component.children:
            title = node.text("title")
            inside = list(self._all(node.children()))
            if title and inside:
                yield Heading(markdown.plain(title))
            yield from inside
        elif node.type == "Header":
            if title := node.text("title"):
                yield Heading(markdown.plain(title))
        elif node.type == "Paragraph":
            if title := node.text("title"):
                yield Text(markdown.plain(title))
        elif node.type in ("Summary", "Summary2"):
            yield from self._summary(node)
        elif (node.component.bindings and node.type not in _SILENT) or node.type in _QUESTIONS:
            yield Answer(_label(node), display.text(node))

    def _rows(self, node: Node) -> Iterator[Block]:
        rows = [row for row in node.row_list if not row.hidden]
        title = markdown.plain(node.text("title") or "")
        if not rows:
            yield Answer(title or node.component.id, "")
            return
        simple = all(
            not child.component.children and child.component.list_binding is None
            for child in node.children(rows[0].index)
        )
        if not simple or len(node.component.children) > 6:
            # Groups inside rows, or more columns than a page has room for: each row by itself.
            for number, row in enumerate(rows, start=1):
                language = node.state.surroundings.language
                yield Heading(f"{title} – {message(language, 'row', number=number)}" if title else str(number), 3)
                yield from self._all(node.children(row.index))
            return
        asked = [
            component
            for component in node.component.children
            if component.bindings and component.id not in self._components
        ]
        labels: dict[str, str] = {}
        cells: list[list[str]] = []
        for row in rows:
            line: list[str] = []
            for component in asked:
                child = node.child(component.id, row.index)
                assert child is not None
                labels.setdefault(component.id, _label(child))
                line.append("" if child.hidden else display.text(child))
            cells.append(line)
        if labels:
            yield Table(title, list(labels.values()), cells)

    def _summary(self, node: Node) -> Iterator[Block]:
        """What a summary component stands for, when a page made for the receipt names parts of the form."""
        state = node.state
        target = node.raw.get("target")
        wanted = target if isinstance(target, dict) else {}
        if node.type == "Summary":
            wanted = {"type": "component", "id": node.raw.get("componentRef")}
        if wanted.get("taskId"):
            return
        if wanted.get("type") == "component":
            found = state.find(str(wanted.get("id")), node.rows, node.component)
            if found is not None and not found.hidden and found is not node:
                yield from self._one(found)
            return
        pages = state.pages() if wanted.get("type", "layoutSet") == "layoutSet" else []
        if wanted.get("type") == "page" and (page := state.layout.pages.get(str(wanted.get("id")))) is not None:
            pages = [page]
        for page in pages:
            # A summary never holds itself, nor the page it stands on.
            if page.name != node.component.page and page.name not in self._pages:
                yield Heading(markdown.plain(state.text(page.name)))
                yield from self._all(n for n in state.on_page(page) if n.type not in ("Summary", "Summary2"))


def _label(node: Node) -> str:
    return markdown.plain(node.text("title") or node.text("summaryTitle") or node.component.id)
