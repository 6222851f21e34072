"""`ui/`: layout sets, their pages and settings, the footer; in both folder shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from havn.appfolder.components import Component, Page
from havn.appfolder.files import Files, mapping, sequence
from havn.appfolder.ids import is_file_id
from havn.appfolder.jsonc import Document

__all__ = ["Component", "Footer", "FooterItem", "LayoutSet", "Page", "PageGroup", "UiSettings", "read_sets"]

CUSTOM_RECEIPT = "CustomReceipt"
"""The task id of the set that is shown after the end."""


class PageGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Pages that belong together in the navigation."""

    name: str | None = None
    order: tuple[str, ...] = ()
    type: str | None = None
    mark_when_completed: bool = False
    expanded_by_default: bool = False


class UiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What global settings (`uiSettings`) and a set's own `pages` may both say; the set's own win."""

    hide_close_button: bool | None = None
    show_language_selector: bool = False
    show_expand_width_button: bool = False
    expanded_width: bool = False
    show_progress: bool = False
    auto_save_behavior: str = "onChangeFormData"
    navigation_title: str | None = None
    hide_app_name_in_pdf: bool = False
    task_navigation: tuple[Mapping[str, Any], ...] = ()
    validation_on_navigation: Mapping[str, Any] | None = None
    raw: Mapping[str, Any] = {}


class FooterItem(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the footer; `target` is empty for plain text."""

    type: str
    title: str
    target: str | None = None
    icon: str | None = None


class Footer(msgspec.Struct, frozen=True, kw_only=True):
    """`ui/footer.json`."""

    items: tuple[FooterItem, ...] = ()


class LayoutSet(msgspec.Struct, frozen=True, kw_only=True):
    """The pages of one or more tasks."""

    id: str
    data_type: str | None
    tasks: tuple[str, ...] = ()
    kind: str | None = None
    """`subform`, or None."""
    folder: str
    """The set's folder below the checked one, with `/` at the end."""
    pages: Mapping[str, Page]
    """Every page file, whether in the order or not."""
    order: tuple[str, ...] = ()
    groups: tuple[PageGroup, ...] = ()
    settings: UiSettings
    exclude_from_pdf: frozenset[str] = frozenset()
    """Pages."""
    components_exclude_from_pdf: frozenset[str] = frozenset()
    pdf_layout: str | None = None
    """The page drawn instead of all when a PDF is made."""
    raw_settings: Mapping[str, Any] = {}
    rule_configuration: Mapping[str, Any] | None = None
    has_rule_handler: bool = False

    def component(self, component_id: str) -> Component | None:
        """The component with this id, on any page."""
        for page in self.pages.values():
            for component in page.components:
                if component.id == component_id:
                    return component
        return None


def read_sets(files: Files) -> tuple[dict[str, LayoutSet], bool]:
    """Every layout set by its id, and whether the folder has the older shape (`layout-sets.json`)."""
    ui = f"{files.app}ui/"
    document = files.json(f"{ui}layout-sets.json")
    if document is None and not files.exists(f"{ui}layout-sets.json"):
        return _by_task(files, ui), False
    raw = mapping(document.value) if document else {}
    shared = mapping(raw.get("uiSettings"))
    sets = {}
    for entry in sequence(raw.get("sets")):
        set_id = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(set_id, str) or not is_file_id(set_id) or set_id in sets:
            continue  # reported by the checks
        data_type = entry.get("dataType")
        tasks = tuple(task for task in sequence(entry.get("tasks")) if isinstance(task, str))
        kind = "subform" if entry.get("type") == "subform" else None
        sets[set_id] = _read_set(
            files, set_id, data_type if isinstance(data_type, str) else None, tasks, kind, f"{ui}{set_id}/", shared
        )
    return sets, True


def _by_task(files: Files, ui: str) -> dict[str, LayoutSet]:
    shared_document = files.json(f"{ui}Settings.json")
    shared = mapping(shared_document.value) if shared_document else {}
    found = {}
    for name in files.folders(ui):
        folder = f"{ui}{name}/"
        if not is_file_id(name) or not (files.exists(f"{folder}Settings.json") or files.folders(folder)):
            continue
        settings = files.json(f"{folder}Settings.json")
        data_type = mapping(settings.value).get("defaultDataType") if settings else None
        found[name] = _read_set(
            files, name, data_type if isinstance(data_type, str) else None, (name,), None, folder, shared
        )
    # A set that a Subform component asks for is no task's own.
    asked_for = {
        component.raw.get("layoutSet")
        for layout_set in found.values()
        for page in layout_set.pages.values()
        for component in page.components
        if component.type == "Subform"
    }
    return {
        name: msgspec.structs.replace(found_set, kind="subform", tasks=()) if name in asked_for else found_set
        for name, found_set in found.items()
    }


def _read_set(
    files: Files,
    set_id: str,
    data_type: str | None,
    tasks: tuple[str, ...],
    kind: str | None,
    folder: str,
    shared: Mapping[str, Any],
) -> LayoutSet:
    settings_document = files.json(f"{folder}Settings.json")
    settings = mapping(settings_document.value) if settings_document else {}
    own_pages = mapping(settings.get("pages"))
    groups = tuple(_group(raw) for raw in sequence(own_pages.get("groups")) if isinstance(raw, dict))
    order = tuple(page for page in sequence(own_pages.get("order")) if isinstance(page, str))
    pages = {}
    for name in files.names(f"{folder}layouts", ".json"):
        document = files.json(f"{folder}layouts/{name}")
        page_id = name.removesuffix(".json")
        if document is not None and is_file_id(page_id):
            pages[page_id] = read_page(page_id, document)
    components = mapping(settings.get("components"))
    pdf_layout = own_pages.get("pdfLayoutName")
    rules = files.json(f"{folder}RuleConfiguration.json")
    return LayoutSet(
        id=set_id,
        data_type=data_type,
        tasks=tasks,
        kind=kind,
        folder=folder,
        pages=pages,
        order=order or tuple(page for group in groups for page in group.order) or tuple(pages),
        groups=groups,
        settings=_ui_settings({**shared, **mapping(shared.get("pages")), **own_pages}),
        exclude_from_pdf=frozenset(page for page in sequence(own_pages.get("excludeFromPdf")) if isinstance(page, str)),
        components_exclude_from_pdf=frozenset(
            each for each in sequence(components.get("excludeFromPdf")) if isinstance(each, str)
        ),
        pdf_layout=pdf_layout if isinstance(pdf_layout, str) and pdf_layout else None,
        raw_settings=settings,
        rule_configuration=mapping(rules.value) if rules else None,
        has_rule_handler=files.exists(f"{folder}RuleHandler.js"),
    )


def read_page(page_id: str, document: Document) -> Page:
    """The page that a file holds."""
    return Page.read(page_id, mapping(mapping(document.value).get("data")))


def _group(raw: Mapping[str, Any]) -> PageGroup:
    name, kind = raw.get("name"), raw.get("type")
    return PageGroup(
        name=name if isinstance(name, str) else None,
        order=tuple(page for page in sequence(raw.get("order")) if isinstance(page, str)),
        type=kind if isinstance(kind, str) else None,
        mark_when_completed=raw.get("markWhenCompleted") is True,
        expanded_by_default=raw.get("expandedByDefault") is True,
    )


def _ui_settings(raw: Mapping[str, Any]) -> UiSettings:
    title, hide_close, auto_save = raw.get("navigationTitle"), raw.get("hideCloseButton"), raw.get("autoSaveBehavior")
    validation = raw.get("validationOnNavigation")
    return UiSettings(
        hide_close_button=hide_close if isinstance(hide_close, bool) else None,
        show_language_selector=raw.get("showLanguageSelector") is True,
        show_expand_width_button=raw.get("showExpandWidthButton") is True,
        expanded_width=raw.get("expandedWidth") is True,
        show_progress=raw.get("showProgress") is True,
        auto_save_behavior=auto_save if auto_save == "onChangePage" else "onChangeFormData",
        navigation_title=title if isinstance(title, str) else None,
        hide_app_name_in_pdf=raw.get("hideAppNameInPdf") is True,
        task_navigation=tuple(each for each in sequence(raw.get("taskNavigation")) if isinstance(each, dict)),
        validation_on_navigation=validation if isinstance(validation, dict) else None,
        raw=raw,
    )


def read_footer(files: Files) -> Footer:
    """The footer; empty when there is no file."""
    document = files.json(f"{files.app}ui/footer.json")
    items = []
    for raw in sequence(mapping(document.value).get("footer")) if document else ():
        if isinstance(raw, dict) and isinstance(raw.get("type"), str) and isinstance(raw.get("title"), str):
            target, icon = raw.get("target"), raw.get("icon")
            items.append(
                FooterItem(
                    type=raw["type"],
                    title=raw["title"],
                    target=target if isinstance(target, str) else None,
                    icon=icon if isinstance(icon, str) else None,
                )
            )
    return Footer(items=tuple(items))
