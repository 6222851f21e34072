"""`config/texts/`: every language complete, keys that are used there, variables that can be filled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from havn.appfolder.checks.schema import names_of
from havn.appfolder.checks.subject import Subject
from havn.appfolder.files import mapping, sequence
from havn.appfolder.jsonc import Document, PathStep

_SLOT = re.compile(r"\{(\d+)\}")
# What looks like a key rather than a text: words joined by dots, with no space and no sentence in it.
_KEY = re.compile(r"[A-Za-zÆØÅæøå_][\wÆØÅæøå-]*(?:\.[\wÆØÅæøå-]+)+")
_SOURCES = ("instanceContext", "applicationSettings", "customTextParameters", "text")
_MAX_LISTED = 5
# Keys that the frontend itself has texts for, in every language.
_BUILT_IN = (
    "general.",
    "navigation.",
    "form_filler.",
    "receipt.",
    "backend.",
    "signing",
    "soft_validation.",
    "taskTypes.",
    "process_error.",
    "party_selection.",
    "language.",
    "appReceipt.",
    "confirm.",
    "instantiate.",
    "group.",
    "likert.",
    "list_component.",
    "validation_errors.",
    "address.",
    "accessibility.",
    "audio.",
    "wcag_form.",
    "version_error.",
    "payment.",
    "person_lookup.",
    "organisation_lookup.",
    "organization_lookup.",
    "date_picker.",
    "input_components.",
    "altinn.",
)


def check(subject: Subject) -> None:
    """Report what is wrong with the texts."""
    folder = f"{subject.files.app}config/texts/"
    names = subject.files.names(folder, ".json")
    resources = [name for name in names if name.startswith("resource.") and name.count(".") == 2]
    if not resources and subject.has_metadata:
        subject.files.report(
            "error",
            "texts.missing",
            "There are no texts.",
            f"{folder}resource.nb.json",
            hint='Write {"language": "nb", "resources": []}.',
        )
    documents = {}
    for name in resources:
        document = subject.files.json(folder + name)
        if document is not None:
            language = name.split(".")[1]
            documents[language] = document
            _file(subject, language, document)
    if documents and "nb" not in documents:
        subject.files.report(
            "warning",
            "texts.bokmal-missing",
            "There are no texts in bokmål (nb), which other languages fall back to.",
            folder,
        )
    _languages(subject, documents)
    _used(subject)


def _file(subject: Subject, language: str, document: Document) -> None:
    raw = mapping(document.value)
    if not re.fullmatch(r"[a-z]{2}", language):
        subject.error("texts.language", f"{language!r} is not a language of two small letters.", document)
    stated = raw.get("language")
    if isinstance(stated, str) and stated != language:
        subject.error(
            "texts.language", f"The file is named for {language!r}, but says {stated!r}.", document, ("language",)
        )
    seen: dict[str, int] = {}
    for index, entry in enumerate(sequence(raw.get("resources"))):
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            continue
        key, value = entry["id"], entry.get("value")
        path = ("resources", index)
        if key in seen:
            line = document.place("resources", seen[key])[0]
            subject.warn(
                "texts.key-twice", f"The text {key!r} is there twice, first in line {line}.", document, (*path, "id")
            )
        seen.setdefault(key, index)
        _variables(subject, document, path, key, value if isinstance(value, str) else "", entry.get("variables"))


def _variables(
    subject: Subject, document: Document, path: tuple[PathStep, ...], key: str, value: str, variables: Any
) -> None:
    listed = sequence(variables)
    slots = {int(match[1]) for match in _SLOT.finditer(value)}
    if listed and (beyond := sorted(slot for slot in slots if slot >= len(listed))):
        subject.warn(
            "texts.variable-missing",
            f"The text {key!r} has {{{beyond[0]}}}, but only {len(listed)} variables.",
            document,
            (*path, "value"),
        )
    for index, variable in enumerate(listed):
        if not isinstance(variable, dict):
            continue
        source, name = variable.get("dataSource"), variable.get("key")
        where = (*path, "variables", index)
        if not isinstance(source, str) or not isinstance(name, str):
            continue
        if source.startswith("dataModel."):
            _model_variable(subject, document, where, source.removeprefix("dataModel."), name)
        elif source not in _SOURCES:
            subject.warn(
                "texts.variable-source",
                f"There is no data source {source!r}, only dataModel.<dataType>, {', '.join(_SOURCES)}.",
                document,
                (*where, "dataSource"),
            )


def _model_variable(
    subject: Subject, document: Document, path: tuple[PathStep, ...], data_type: str, name: str
) -> None:
    bare = re.sub(r"\[[^\]]*\]", "", name)
    if data_type == "default":
        types = {found.data_type for found in subject.sets.values() if found.data_type}
    elif data_type in subject.data_types:
        types = {data_type}
    else:
        if subject.has_metadata:
            subject.warn(
                "texts.variable-source", f"There is no data type {data_type!r}.", document, (*path, "dataSource")
            )
        return
    schemas = [subject.schemas[each] for each in types if each in subject.schemas]
    found = [schema.find(names_of(bare)) for schema in schemas]
    if found and not any(each.exists for each in found):
        near = next((each.near for each in found if each.near), None)
        subject.warn(
            "texts.variable-path",
            f"No model has {name!r}, so the variable is never filled.",
            document,
            (*path, "key"),
            hint=f"Did you mean {near!r}?" if near else "",
        )


def _languages(subject: Subject, documents: Mapping[str, Document]) -> None:
    """Keys that bokmål has and another language has not."""
    base = subject.texts.get("nb")
    if base is None:
        return
    keys = {element.id for element in base.resources}
    for language, resource in subject.texts.items():
        if language == "nb":
            continue
        missing = sorted(keys - {element.id for element in resource.resources})
        if missing:
            told = ", ".join(missing[:_MAX_LISTED]) + (" …" if len(missing) > _MAX_LISTED else "")
            count = "1 text" if len(missing) == 1 else f"{len(missing)} texts"
            subject.warn(
                "texts.untranslated",
                f"{count} of bokmål (nb) are missing in {language}: {told}.",
                documents.get(language),
                ("resources",),
            )


def _used(subject: Subject) -> None:
    """Keys that layouts use and no language has. What does not look like a key is taken for a text."""
    known = {element.id for resource in subject.texts.values() for element in resource.resources}
    reported: set[str] = set()
    for document, path, key in _uses(subject):
        if key in known or key in reported or not _is_key(key):
            continue
        reported.add(key)
        subject.warn(
            "texts.key-unknown",
            f"No language has the text {key!r}, so the key itself is shown.",
            document,
            path,
            hint="Add it to config/texts/resource.nb.json.",
        )


def _is_key(text: str) -> bool:
    """Whether a text looks like a key rather than a text; date formats and web addresses do not count."""
    if not _KEY.fullmatch(text) or text.startswith((*_BUILT_IN, "www.")):
        return False
    return not set(text) <= set("dMyHhms.")


def _uses(subject: Subject) -> Iterator[tuple[Document, tuple[PathStep, ...], str]]:
    for layout_set in subject.sets.values():
        for placed in subject.placed_components(layout_set):
            for name, key in placed.component.texts.items():
                if isinstance(key, str):
                    yield placed.document, (*placed.path, "textResourceBindings", name), key
            options = placed.component.raw.get("options")
            for index, option in enumerate(options if isinstance(options, list) else ()):
                for member in ("label", "description", "helpText"):
                    if isinstance(option, dict) and isinstance(option.get(member), str):
                        yield placed.document, (*placed.path, "options", index, member), option[member]
    footer = subject.files.json(f"{subject.files.app}ui/footer.json")
    for index, item in enumerate(sequence(mapping(footer.value).get("footer")) if footer else ()):
        if footer is not None and isinstance(item, dict) and isinstance(item.get("title"), str):
            yield footer, ("footer", index, "title"), item["title"]
