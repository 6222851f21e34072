"""`ui/`: layout sets and their settings, pages and the order, ids, children and references between components."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from havn.appfolder.checks import components
from havn.appfolder.checks.expressions import Scope
from havn.appfolder.checks.expressions import check as check_expression
from havn.appfolder.checks.subject import Placed, Subject
from havn.appfolder.components import child_ids, outer_child_ids
from havn.appfolder.files import mapping, sequence
from havn.appfolder.ids import is_file_id
from havn.appfolder.jsonc import Document, PathStep
from havn.appfolder.layouts import CUSTOM_RECEIPT, LayoutSet

_ID = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z-]*[0-9a-zA-Z]|[0-9a-zA-Z]")
_MASKS = frozenset({"Schema", "Component", "Expression", "CustomBackend", "Required", "AllExceptRequired", "All"})


def check(subject: Subject) -> None:
    """Report what is wrong with the layout sets."""
    ui = f"{subject.files.app}ui/"
    if subject.is_v8:
        document = subject.files.json(f"{ui}layout-sets.json")
        if document is not None:
            _listed_sets(subject, document)
    elif not subject.sets and subject.has_metadata:
        subject.files.report(
            "error",
            "layout.sets-missing",
            "There is no layout set.",
            f"{ui}layout-sets.json",
            hint="Make ui/<taskId>/ with Settings.json and layouts/, or ui/layout-sets.json.",
        )
    for layout_set in subject.sets.values():
        _set(subject, layout_set)


def _listed_sets(subject: Subject, document: Document) -> None:
    listed = mapping(document.value).get("sets")
    if not isinstance(listed, list):
        subject.error("layout.sets-invalid", "The file has no list of sets.", document, ("sets",))
        return
    seen: set[str] = set()
    owners: dict[str, str] = {}
    for index, raw in enumerate(listed):
        path = ("sets", index)
        set_id = raw.get("id") if isinstance(raw, dict) else None
        if not isinstance(set_id, str) or not is_file_id(set_id):
            subject.error("layout.set-id", "The set has no id that can be the name of its folder.", document, path)
            continue
        if set_id in seen:
            subject.error("layout.set-twice", f"The set {set_id!r} is there twice.", document, (*path, "id"))
            continue
        seen.add(set_id)
        _set_data_type(subject, document, (*path, "dataType"), raw.get("dataType"))
        tasks = sequence(raw.get("tasks"))
        for at, task in enumerate(tasks):
            if not isinstance(task, str):
                continue
            if task in owners:
                subject.error(
                    "layout.task-in-two-sets",
                    f"The task {task!r} is drawn by {owners[task]!r} and by {set_id!r}; one set draws a task.",
                    document,
                    (*path, "tasks", at),
                )
            owners.setdefault(task, set_id)
            if task != CUSTOM_RECEIPT and subject.process is not None and task not in subject.task_ids:
                near = get_close_matches(task, subject.task_ids, 1, 0.7)
                subject.error(
                    "layout.set-task-unknown",
                    f"There is no task {task!r} in the process.",
                    document,
                    (*path, "tasks", at),
                    hint=f"Did you mean {near[0]!r}?" if near else "",
                )
        if raw.get("type") not in (None, "subform"):
            subject.error(
                "layout.sets-invalid", f"A set has no type {raw['type']!r}, only subform.", document, (*path, "type")
            )
        if not tasks and raw.get("type") != "subform" and not _is_entry(subject, set_id):
            subject.warn(
                "layout.set-without-task",
                f"The set {set_id!r} is for no task, is no subform and is not shown on entry.",
                document,
                path,
            )


def _is_entry(subject: Subject, set_id: str) -> bool:
    entry = subject.metadata.on_entry
    return entry is not None and entry.show == set_id


def _set_data_type(subject: Subject, document: Document, path: tuple[PathStep, ...], name: Any) -> None:
    if name is None or not subject.has_metadata:
        return
    if not isinstance(name, str) or name not in subject.form_types:
        near = get_close_matches(str(name), subject.form_types, 1, 0.6)
        known = isinstance(name, str) and name in subject.data_types
        why = "is not form data: it has no classRef" if known else "is not in the application metadata"
        subject.error(
            "layout.set-data-type-unknown",
            f"The data type {name!r} {why}.",
            document,
            path,
            hint=f"Did you mean {near[0]!r}?" if near else "",
        )


def _set(subject: Subject, layout_set: LayoutSet) -> None:
    folder = layout_set.folder
    settings = subject.files.json(f"{folder}Settings.json")
    if not layout_set.pages:
        subject.files.report(
            "error", "layout.set-empty", f"The layout set {layout_set.id!r} has no pages.", f"{folder}layouts"
        )
    if settings is None and not subject.files.exists(f"{folder}Settings.json"):
        subject.files.report(
            "error" if len(layout_set.pages) > 1 else "warning",
            "layout.settings-missing",
            f"The layout set {layout_set.id!r} has no Settings.json, so the order of its pages is not known.",
            f"{folder}Settings.json",
            hint='Write {"pages": {"order": ["…"]}}.',
        )
    placed = list(subject.placed_components(layout_set))
    ids = {each.component.id: each for each in reversed(placed)}
    if settings is not None:
        _settings(subject, layout_set, settings, ids)
        if not subject.is_v8:
            _shape_v9(subject, layout_set, settings)
    _old_dynamics(subject, layout_set)
    for page, document in subject.page_documents(layout_set):
        _page(subject, layout_set, page, document, ids)
    holders = _ids_and_children(subject, placed, ids)
    for each in placed:
        _rows(subject, layout_set, each, ids, holders)
    scope = Scope(data_type=layout_set.data_type, components=ids, pages=layout_set.pages)
    for each in placed:
        components.check(subject, layout_set, each, ids, scope)


def _shape_v9(subject: Subject, layout_set: LayoutSet, settings: Document) -> None:
    _set_data_type(subject, settings, ("defaultDataType",), mapping(settings.value).get("defaultDataType"))
    known = layout_set.id == CUSTOM_RECEIPT or layout_set.kind == "subform" or _is_entry(subject, layout_set.id)
    if not known and subject.process is not None and layout_set.id not in subject.task_ids:
        near = get_close_matches(layout_set.id, subject.task_ids, 1, 0.7)
        subject.warn(
            "layout.set-without-task",
            f"The folder {layout_set.id!r} is named like no task, and no Subform component asks for it.",
            settings,
            hint=f"Did you mean {near[0]!r}?" if near else "",
        )


def _settings(subject: Subject, layout_set: LayoutSet, document: Document, ids: Mapping[str, Placed]) -> None:
    pages = mapping(mapping(document.value).get("pages"))
    if "order" in pages and "groups" in pages:
        subject.error(
            "layout.order-twice",
            "pages has both order and groups; one of them says the order.",
            document,
            ("pages", "groups"),
            key=True,
        )
    places: list[tuple[tuple[PathStep, ...], Any]] = [
        (("pages", "order", index), page) for index, page in enumerate(sequence(pages.get("order")))
    ]
    for at, group in enumerate(sequence(pages.get("groups"))):
        listed = enumerate(sequence(mapping(group).get("order")))
        places += [(("pages", "groups", at, "order", index), page) for index, page in listed]
    seen: set[str] = set()
    for path, page in places:
        if not isinstance(page, str):
            subject.error("layout.order-page-missing", "The name of a page is a text.", document, path)
            continue
        if page not in layout_set.pages:
            near = get_close_matches(page, layout_set.pages, 1, 0.6)
            subject.error(
                "layout.order-page-missing",
                f"There is no page {page!r}: layouts/{page}.json does not exist or cannot be read.",
                document,
                path,
                hint=f"Did you mean {near[0]!r}?" if near else "",
            )
        elif page in seen:
            subject.error("layout.order-page-twice", f"The page {page!r} is in the order twice.", document, path)
        seen.add(page)
    if not places:
        subject.warn("layout.order-missing", "The settings say no order of the pages.", document, ("pages",))
    pdf_page = pages.get("pdfLayoutName")
    if isinstance(pdf_page, str) and pdf_page and pdf_page not in layout_set.pages:
        subject.error(
            "layout.pdf-page-missing",
            f"There is no page {pdf_page!r} for the PDF.",
            document,
            ("pages", "pdfLayoutName"),
        )
    for page in layout_set.pages:
        if places and page not in seen and page != pdf_page:
            file = f"{layout_set.folder}layouts/{page}.json"
            subject.files.report(
                "warning",
                "layout.page-unreachable",
                f"The page {page!r} is not in the order, so nobody gets to it.",
                file,
                (1, 1),
                f"Add it to pages.order in {document.file}, or remove the file.",
            )
    for index, page in enumerate(sequence(pages.get("excludeFromPdf"))):
        if isinstance(page, str) and page not in layout_set.pages:
            subject.warn(
                "layout.excluded-unknown",
                f"There is no page {page!r} to leave out of the PDF.",
                document,
                ("pages", "excludeFromPdf", index),
            )
    excluded = sequence(mapping(mapping(document.value).get("components")).get("excludeFromPdf"))
    for index, component in enumerate(excluded):
        if isinstance(component, str) and component not in ids:
            subject.warn(
                "layout.excluded-unknown",
                f"There is no component {component!r} to leave out of the PDF.",
                document,
                ("components", "excludeFromPdf", index),
            )
    for index, step in enumerate(sequence(pages.get("taskNavigation"))):
        task = mapping(step).get("taskId")
        if isinstance(task, str) and subject.process is not None and task not in subject.task_ids:
            subject.error(
                "layout.set-task-unknown",
                f"There is no task {task!r} in the process.",
                document,
                ("pages", "taskNavigation", index, "taskId"),
            )
    masks(subject, document, ("pages", "validationOnNavigation"), pages.get("validationOnNavigation"))


def masks(subject: Subject, document: Document, path: tuple[PathStep, ...], raw: Any) -> None:
    """Report validation masks that do not exist, in `{page, show}`."""
    if not isinstance(raw, dict):
        return
    for index, mask in enumerate(sequence(raw.get("show"))):
        if isinstance(mask, str) and mask not in _MASKS:
            subject.error(
                "layout.value-unknown",
                f"There is no kind of validation {mask!r}, only {', '.join(sorted(_MASKS))}.",
                document,
                (*path, "show", index),
            )


def _old_dynamics(subject: Subject, layout_set: LayoutSet) -> None:
    rules = mapping(mapping(layout_set.rule_configuration).get("data"))
    if not rules.get("ruleConnection") and not rules.get("conditionalRendering"):
        return
    document = subject.files.json(f"{layout_set.folder}RuleConfiguration.json")
    for member, hint in (
        ("conditionalRendering", 'Write the condition as an expression in "hidden" of each component.'),
        (
            "ruleConnection",
            "Write the calculation in models/<dataType>.calculation.json, or @write_data in logic/hooks.py.",
        ),
    ):
        if rules.get(member):
            subject.warn(
                "layout.old-dynamics",
                f"{member} runs JavaScript (RuleHandler.js), which is not carried out.",
                document,
                ("data", member),
                hint=hint,
                key=True,
            )


def _page(subject: Subject, layout_set: LayoutSet, page: str, document: Document, ids: Mapping[str, Placed]) -> None:
    if not is_file_id(page):
        subject.error("layout.page-invalid", f"The page name {page[:60]!r} cannot be used.", document)
    data = mapping(document.value).get("data")
    if not isinstance(data, dict) or not isinstance(data.get("layout"), list):
        subject.error("layout.page-invalid", "The page has no list of components (data.layout).", document, ("data",))
        return
    scope = Scope(data_type=layout_set.data_type, components=ids, pages=layout_set.pages)
    check_expression(subject, document, ("data", "hidden"), data.get("hidden"), scope)
    masks(subject, document, ("data", "validationOnNavigation"), data.get("validationOnNavigation"))
    for index, raw in enumerate(data["layout"]):
        path = ("data", "layout", index)
        if not isinstance(raw, dict):
            subject.error("layout.component-invalid", "A component is an object.", document, path)
            continue
        for member, code in (("id", "layout.component-id"), ("type", "layout.component-type")):
            if not isinstance(raw.get(member), str) or not raw[member]:
                subject.error(code, f"The component has no {member}.", document, path)
        own_id = raw.get("id")
        if isinstance(own_id, str) and own_id and not _ID.fullmatch(own_id):
            subject.error(
                "layout.component-id",
                f"The id {own_id[:60]!r} may have letters, digits and hyphens only, and no hyphen first or last.",
                document,
                (*path, "id"),
            )


def _rows(
    subject: Subject, layout_set: LayoutSet, placed: Placed, ids: Mapping[str, Placed], holders: Mapping[str, str]
) -> None:
    """A field inside the rows of a list stands in a group that repeats over that list."""
    component = placed.component
    binding = component.binding
    data_type = (binding.data_type or layout_set.data_type) if binding is not None else None
    schema = subject.schemas.get(data_type or "")
    if binding is None or schema is None:
        return
    # A selection of several values may keep its own rows, in the list of its binding `group`.
    own = component.bindings.get("group")
    around = {(own.data_type or layout_set.data_type, own.field)} if own is not None else set()
    here, seen = holders.get(component.id), set()
    while here is not None and here not in seen:
        seen.add(here)
        if (rows := ids[here].component.rows) is not None:
            around.add((rows.data_type or layout_set.data_type, rows.field))
        here = holders.get(here)
    names = binding.field.split(".")
    for length in range(1, len(names)):
        outer = ".".join(names[:length])
        if schema.find(tuple(names[:length])).shape == "list" and (data_type, outer) not in around:
            subject.error(
                "layout.binding-outside-rows",
                f"{binding.field!r} is in the rows of {outer!r}, but {component.id!r} stands in no group that repeats "
                "over them.",
                placed.document,
                (*placed.path, "dataModelBindings", "simpleBinding"),
                hint=f"Put it among the children of a RepeatingGroup that is bound to {outer!r}.",
            )
            return


def _ids_and_children(subject: Subject, placed: list[Placed], ids: Mapping[str, Placed]) -> dict[str, str]:
    """Report ids taken twice and children that cannot be; gives child id to the id of what holds it."""
    holders: dict[str, str] = {}
    for each in placed:
        component = each.component
        first = ids[component.id]
        if first is not each:
            line = first.document.place(*first.path)[0]
            subject.error(
                "layout.component-id-twice",
                f"The id {component.id!r} is taken by a component in {first.document.file}:{line}.",
                each.document,
                (*each.path, "id"),
            )
        for child, inner in (*child_ids(component.raw), *outer_child_ids(component.raw)):
            path = (*each.path, *inner)
            target = ids.get(child)
            if target is None:
                near = get_close_matches(child, ids, 1, 0.75)
                subject.warn(
                    "layout.child-missing",
                    f"{component.id!r} holds {child!r}, which does not exist.",
                    each.document,
                    path,
                    hint=f"Did you mean {near[0]!r}?" if near else "",
                )
                continue
            if target.component.page != component.page:
                subject.error(
                    "layout.child-missing",
                    f"{component.id!r} holds {child!r}, which is on another page ({target.component.page}).",
                    each.document,
                    path,
                )
            if holders.setdefault(child, component.id) != component.id:
                subject.error(
                    "layout.child-twice",
                    f"{child!r} is held by {holders[child]!r} and by {component.id!r}.",
                    each.document,
                    path,
                )
    for child in holders:
        if _circular(child, holders):
            at = ids[child]
            subject.error("layout.child-circle", f"{child!r} holds itself, through its children.", at.document, at.path)
    return holders


def _circular(start: str, holders: Mapping[str, str]) -> bool:
    here, seen = holders.get(start), set()
    while here is not None and here not in seen:
        if here == start:
            return True
        seen.add(here)
        here = holders.get(here)
    return False
