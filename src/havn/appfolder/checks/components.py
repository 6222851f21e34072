"""One component: its members, bindings, options, expressions, and what it points to."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from havn.appfolder.checks import catalogue
from havn.appfolder.checks.catalogue import Kind
from havn.appfolder.checks.expressions import Scope, places
from havn.appfolder.checks.expressions import check as check_expression
from havn.appfolder.checks.schema import names_of
from havn.appfolder.checks.subject import Placed, Subject
from havn.appfolder.components import Binding
from havn.appfolder.layouts import LayoutSet
from havn.engines.expressions import is_expression

_LISTS = {"RepeatingGroup": "group", "Likert": "questions"}


def check(subject: Subject, layout_set: LayoutSet, placed: Placed, ids: Mapping[str, Placed], scope: Scope) -> None:
    """Report what is wrong with the component."""
    component = placed.component
    kind = catalogue.kind_of(component.type)
    if kind is None:
        near = get_close_matches(component.type, [*catalogue.KINDS, *catalogue.ALIASES], 1, 0.6)
        subject.error(
            "layout.component-type",
            f"There is no component type {component.type!r}.",
            placed.document,
            (*placed.path, "type"),
            hint=f"Did you mean {near[0]!r}?" if near else "",
        )
        kind = Kind(any_binding=True)
    _members(subject, placed, kind)
    _bindings(subject, layout_set, placed, kind)
    for pattern in sorted(catalogue.EVERYWHERE | kind.expressions):
        for inner, value in places(component.raw, pattern):
            check_expression(subject, placed.document, (*placed.path, *inner), value, scope)
    if kind.options:
        _options(subject, placed)
    _code(subject, placed)
    if component.type in ("FileUpload", "FileUploadWithTag", "ImageUpload"):
        _upload(subject, placed)
    _mapping(subject, layout_set, placed)
    _references(subject, placed, ids, layout_set)


def _members(subject: Subject, placed: Placed, kind: Kind) -> None:
    raw = placed.component.raw
    for name in kind.required:
        if raw.get(name) is None:
            subject.error(
                "layout.member-missing",
                f"The {placed.component.type} {placed.component.id!r} has no {name}.",
                placed.document,
                placed.path,
            )
    for name, allowed in kind.values.items():
        value = raw.get(name)
        if value is None or is_expression(value):
            continue
        if not isinstance(value, str | int) or str(value) not in allowed:
            subject.error(
                "layout.value-unknown",
                f"{name} cannot be {value!r}; it is one of {', '.join(sorted(allowed))}.",
                placed.document,
                (*placed.path, name),
            )


def _bindings(subject: Subject, layout_set: LayoutSet, placed: Placed, kind: Kind) -> None:
    component, path = placed.component, (*placed.path, "dataModelBindings")
    given = component.raw.get("dataModelBindings")
    raws = given if isinstance(given, dict) else {}
    for name, needed in kind.bindings.items():
        if needed and not raws.get(name):
            subject.error(
                "layout.binding-missing",
                f"The {component.type} {component.id!r} has no data model binding {name}.",
                placed.document,
                path if raws else placed.path,
            )
    for name, raw in raws.items():
        if name not in kind.bindings and not kind.any_binding:
            near = get_close_matches(name, kind.bindings, 1, 0.6)
            subject.warn(
                "layout.binding-unknown",
                f"A {component.type} has no data model binding {name!r}.",
                placed.document,
                (*path, name),
                hint=f"Did you mean {near[0]!r}?" if near else "",
                key=True,
            )
            continue
        if raw in ("", None):
            continue
        binding = Binding.read(raw)
        if binding is None:
            subject.error(
                "layout.binding-invalid",
                "A data model binding is a path, or {dataType, field}.",
                placed.document,
                (*path, name),
            )
            continue
        _binding(subject, layout_set, placed, name, binding)


def _binding(subject: Subject, layout_set: LayoutSet, placed: Placed, name: str, binding: Binding) -> None:
    component, path = placed.component, (*placed.path, "dataModelBindings", name)
    data_type = binding.data_type or layout_set.data_type
    if data_type is None:
        message = "The layout set has no data type, so the binding must name one."
        subject.error("layout.binding-data-type", message, placed.document, path)
        return
    if data_type not in subject.form_types:
        if subject.has_metadata and binding.data_type is not None:
            subject.error(
                "layout.binding-data-type",
                f"There is no form data type {data_type!r}.",
                placed.document,
                (*path, "dataType"),
            )
        return
    if "[" in binding.field:
        subject.error(
            "layout.binding-invalid",
            f"The binding {binding.field!r} has an index; bindings have none.",
            placed.document,
            path,
        )
        return
    schema = subject.schemas.get(data_type)
    if schema is None:
        return
    found = schema.find(names_of(binding.field))
    if not found.exists:
        subject.error(
            "layout.binding-path-unknown",
            f"The model {data_type!r} has no {binding.field!r}: {found.missing!r} is not in its schema.",
            placed.document,
            path,
            hint=f"Did you mean {found.near!r}?" if found.near else "",
        )
    elif name == _LISTS.get(component.type) and found.shape in ("leaf", "object"):
        subject.error(
            "layout.binding-shape",
            f"{binding.field!r} of {data_type!r} is no list, so it has no rows.",
            placed.document,
            path,
        )
    elif name == "simpleBinding" and found.shape == "object":
        subject.error(
            "layout.binding-shape",
            f"{binding.field!r} of {data_type!r} is an object, which cannot be filled in as one value.",
            placed.document,
            path,
        )


def _options(subject: Subject, placed: Placed) -> None:
    component, raw = placed.component, placed.component.raw
    if not any(raw.get(name) for name in ("optionsId", "options", "source")):
        if component.type != "Option" and isinstance(raw.get("options"), list):
            return  # an empty list is somebody's choice
        subject.error(
            "layout.options-missing",
            f"The {component.type} {component.id!r} offers nothing: it has no optionsId, options or source.",
            placed.document,
            placed.path,
        )
        return
    options_id = component.options_id
    if options_id is None or options_id.startswith("lib**"):
        return
    known = {
        name.removesuffix(".json").lower(): name.removesuffix(".json")
        for name in subject.files.names(f"{subject.files.app}options/", ".json")
    }
    if options_id.lower() not in known and options_id.lower() not in subject.hook_keys("options"):
        near = get_close_matches(options_id.lower(), known, 1, 0.7)
        hint = f"Did you mean {known[near[0]]!r}? " if near else ""
        subject.warn(
            "layout.options-unknown",
            f"There are no options {options_id!r}: no file options/{options_id}.json, and no code for them.",
            placed.document,
            (*placed.path, "optionsId"),
            hint=f'{hint}Make the file, or write a function with @options("{options_id}") in logic/hooks.py.',
        )


def _code(subject: Subject, placed: Placed) -> None:
    """Lists and actions that only code can give."""
    component, raw = placed.component, placed.component.raw
    wanted = raw.get("dataListId")
    if component.type == "List" and isinstance(wanted, str) and wanted.lower() not in subject.hook_keys("data_list"):
        subject.warn(
            "layout.data-list-unknown",
            f"There is no code that gives the list {wanted!r}.",
            placed.document,
            (*placed.path, "dataListId"),
            hint=f'Write a function with @data_list("{wanted}") in logic/hooks.py.',
        )
    actions = raw.get("actions")
    for index, action in enumerate(actions if component.type == "CustomButton" and isinstance(actions, list) else ()):
        if not isinstance(action, dict) or action.get("type") != "ServerAction":
            continue
        name = action.get("id")
        if isinstance(name, str) and name.lower() not in subject.hook_keys("action"):
            subject.warn(
                "code.action-missing",
                f"There is no code for the action {name!r}.",
                placed.document,
                (*placed.path, "actions", index, "id"),
                hint=f'Write a function with @action("{name}") in logic/hooks.py.',
            )


def _upload(subject: Subject, placed: Placed) -> None:
    component = placed.component
    if component.id not in subject.data_types and subject.has_metadata:
        subject.error(
            "layout.upload-data-type",
            f"The {component.type} {component.id!r} has no data type: its id must be that of one.",
            placed.document,
            (*placed.path, "id"),
            hint=f'Add {{"id": "{component.id}"}} to dataTypes in applicationmetadata.json.',
        )


def _mapping(subject: Subject, layout_set: LayoutSet, placed: Placed) -> None:
    """`mapping`: model path to query parameter."""
    found = placed.component.raw.get("mapping")
    schema = subject.schemas.get(layout_set.data_type or "")
    if not isinstance(found, dict) or schema is None:
        return
    for path in found:
        at = schema.find(names_of(path))
        if not at.exists:
            subject.warn(
                "layout.mapping-path-unknown",
                f"The model {layout_set.data_type!r} has no {path!r}.",
                placed.document,
                (*placed.path, "mapping", path),
                hint=f"Did you mean {at.near!r}?" if at.near else "",
                key=True,
            )


def _references(subject: Subject, placed: Placed, ids: Mapping[str, Placed], layout_set: LayoutSet) -> None:
    component, raw = placed.component, placed.component.raw
    if component.type == "Summary":
        _refers(subject, placed, ("componentRef",), raw.get("componentRef"), ids)
    if component.type == "Summary2":
        _summary_target(subject, placed, ids, layout_set)
    if component.type == "Subform":
        name = raw.get("layoutSet")
        target = subject.sets.get(name) if isinstance(name, str) else None
        if isinstance(name, str) and (target is None or target.kind != "subform"):
            why = "does not exist" if target is None else 'is not of type "subform"'
            subject.error(
                "layout.subform-set", f"The layout set {name!r} {why}.", placed.document, (*placed.path, "layoutSet")
            )
    if component.type == "RepeatingGroup" and isinstance(headers := raw.get("tableHeaders"), list):
        for index, header in enumerate(headers):
            if isinstance(header, str) and header not in component.children:
                subject.warn(
                    "layout.reference-unknown",
                    f"{header!r} is not a child of {component.id!r}.",
                    placed.document,
                    (*placed.path, "tableHeaders", index),
                )


def _summary_target(subject: Subject, placed: Placed, ids: Mapping[str, Placed], own: LayoutSet) -> None:
    raw = placed.component.raw
    target = raw.get("target")
    target = target if isinstance(target, dict) else {}
    task = target.get("taskId")
    pages, known = own.pages, ids
    if isinstance(task, str) and task:
        other = next((found for found in subject.sets.values() if task in found.tasks), None)
        if other is None:
            if subject.process is not None and task not in subject.task_ids:
                subject.warn(
                    "layout.reference-unknown",
                    f"There is no task {task!r} in the process.",
                    placed.document,
                    (*placed.path, "target", "taskId"),
                )
            return
        pages = other.pages
        known = {each.component.id: each for each in subject.placed_components(other)}
    name = target.get("id")
    if target.get("type") == "page" and isinstance(name, str) and name not in pages:
        subject.warn(
            "layout.reference-unknown",
            f"There is no page {name!r} to sum up.",
            placed.document,
            (*placed.path, "target", "id"),
        )
    elif target.get("type", "component" if name else None) == "component":
        _refers(subject, placed, ("target", "id"), name, known)
    overrides = raw.get("overrides")
    for index, override in enumerate(overrides if isinstance(overrides, list) else ()):
        if not isinstance(override, dict):
            continue
        if isinstance(override.get("componentId"), str):
            _refers(subject, placed, ("overrides", index, "componentId"), override["componentId"], known)
        page = override.get("pageId")
        if isinstance(page, str) and page not in pages:
            subject.warn(
                "layout.reference-unknown",
                f"There is no page {page!r}.",
                placed.document,
                (*placed.path, "overrides", index, "pageId"),
            )


def _refers(
    subject: Subject, placed: Placed, inner: tuple[str | int, ...], name: Any, ids: Mapping[str, Placed]
) -> None:
    if isinstance(name, str) and name not in ids:
        near = get_close_matches(name, ids, 1, 0.75)
        subject.warn(
            "layout.reference-unknown",
            f"There is no component {name!r}.",
            placed.document,
            (*placed.path, *inner),
            hint=f"Did you mean {near[0]!r}?" if near else "",
        )
