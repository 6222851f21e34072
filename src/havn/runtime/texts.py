"""Text resources with variables, in the language asked for, with bokmål behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from havn.runtime.model import fields, paths

if TYPE_CHECKING:
    from havn.appfolder import AppFolder
    from havn.contracts.application import TextResource, TextResourceElement, TextVariable

MAX_DEPTH = 8
"""How many texts may name each other in a row."""


class TextSources(msgspec.Struct, frozen=True):
    """Where the variables of a text take their values from."""

    models: Mapping[str, Mapping[str, Any]] = {}
    """Data type id to model."""
    default_data_type: str | None = None
    """The data type that `dataModel.default` means."""
    instance: Mapping[str, str] = {}
    """`instanceId`, `appId`, `instanceOwnerPartyId`, `instanceOwnerPartyType`, `instanceOwnerName`."""
    parameters: Mapping[str, str] = {}
    """`customTextParameters`, from a validation issue."""
    settings: Mapping[str, str] = {}
    """`FrontEndSettings` of the app's settings."""
    rows: Sequence[int] = ()
    """The row's index at each list level, from the outside in, for keys with `[{0}]`."""


NO_SOURCES = TextSources()


def resolve(folder: AppFolder, language: str, key: str, sources: TextSources = NO_SOURCES) -> str:
    """The text for `key` (Markdown or HTML, as the app wrote it); the key itself when there is none."""
    found = find(folder, language, key, sources)
    return key if found is None else found


def find(folder: AppFolder, language: str, key: str, sources: TextSources = NO_SOURCES) -> str | None:
    """As `resolve`, but None when there is no such text."""
    return _find(folder, language, key, sources, depth=0)


def app_name(folder: AppFolder, language: str) -> str:
    """The app's name: text `appName`, else `ServiceName`, else the metadata's title, else its id."""
    for key in ("appName", "ServiceName"):
        if found := find(folder, language, key):
            return found
    title = folder.metadata.title or {}
    return title.get(language) or title.get("nb") or next(iter(title.values()), "") or folder.app


def languages(folder: AppFolder) -> list[str]:
    """The languages the app has texts in, nb first."""
    return sorted(folder.texts, key=lambda language: (language != "nb", language))


def resource(folder: AppFolder, language: str) -> TextResource | None:
    """The app's texts in `language`, else in bokmål."""
    return folder.texts.get(language) or folder.texts.get("nb")


def _find(folder: AppFolder, language: str, key: str, sources: TextSources, depth: int) -> str | None:
    element = None
    for candidate in (language, "nb"):
        texts = folder.texts.get(candidate)
        if texts is not None and (element := _index(texts).get(key)) is not None:
            break
    if element is None:
        return None
    text = element.value
    for number, variable in enumerate(element.variables or ()):
        value = _variable(folder, language, variable, sources, depth)
        text = text.replace(f"{{{number}}}", value)
    return text


def _variable(folder: AppFolder, language: str, variable: TextVariable, sources: TextSources, depth: int) -> str:
    key = variable.key
    for number, row in enumerate(sources.rows):
        key = key.replace(f"[{{{number}}}]", f"[{row}]")
    value: str | None = None
    source = variable.data_source
    if source.startswith("dataModel."):
        name = source.removeprefix("dataModel.")
        model = sources.models.get(sources.default_data_type or "" if name == "default" else name)
        value = _from_model(model, key)
    elif source == "instanceContext":
        value = sources.instance.get(key)
    elif source == "applicationSettings":
        value = sources.settings.get(key)
    elif source == "customTextParameters":
        value = sources.parameters.get(key)
    elif source == "text" and depth < MAX_DEPTH:
        value = _find(folder, language, key, sources, depth + 1)
    if value:
        return value
    return variable.key if variable.default_value is None else variable.default_value


def _from_model(model: Mapping[str, Any] | None, path: str) -> str | None:
    try:
        return fields.text(paths.get(model, path)) if model is not None else None
    except paths.PathError:
        return None


# Texts are read again only when the app folder is: one index per resource object, dropped with a reload's generation.
_indexes: dict[int, tuple[TextResource, dict[str, TextResourceElement]]] = {}


def _index(texts: TextResource) -> dict[str, TextResourceElement]:
    kept = _indexes.get(id(texts))
    if kept is None or kept[0] is not texts:
        if len(_indexes) > 32:
            _indexes.clear()
        kept = (texts, {element.id: element for element in texts.resources})
        _indexes[id(texts)] = kept
    return kept[1]
