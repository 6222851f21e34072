"""The smaller files: options, footer, settings, Helm values, egress rules, Apis; and JSON members named twice."""

from __future__ import annotations

from typing import Any

import msgspec

from havn.appfolder import apis, chart, deployment, egress
from havn.appfolder.checks.subject import Subject
from havn.appfolder.decoding import error_path, error_text
from havn.appfolder.files import mapping
from havn.appfolder.ids import is_file_id
from havn.appfolder.jsonc import Document
from havn.appfolder.options import MEMBERS, OptionItem

_FOOTER_TYPES = ("Link", "Email", "Phone", "Text")
_FOOTER_ICONS = ("information", "email", "phone")
_IGNORED = {
    "customIngressRoutes": "Havn makes the route of an app itself.",
    "middlewares": "Havn sets the ingress's middlewares itself.",
    "volumes": "An app's container has no volumes of its own; secrets and settings are mounted by Havn.",
    "volumeMounts": "An app's container has no volumes of its own; secrets and settings are mounted by Havn.",
}
"""Helm values that are not honoured, and why."""
_USUAL_VOLUMES = frozenset({"datakeys", "keys", "accesstoken"})


def options(subject: Subject) -> None:
    """Report what is wrong with option lists."""
    folder = f"{subject.files.app}options/"
    for name in subject.files.names(folder, ".json"):
        if not is_file_id(name.removesuffix(".json")):
            subject.files.report("error", "options.invalid", "The file's name cannot be an options id.", folder + name)
            continue
        document = subject.files.json(folder + name)
        if document is not None:
            _option_list(subject, document)


def _option_list(subject: Subject, document: Document) -> None:
    if not isinstance(document.value, list):
        subject.error("options.invalid", "Options are a list.", document)
        return
    seen: set[str] = set()
    for index, raw in enumerate(document.value):
        try:
            msgspec.convert(raw, OptionItem)
        except (msgspec.ValidationError, ValueError) as error:
            text = error_text(str(error))
            subject.error(
                "options.invalid", f"The option cannot be used: {text}.", document, (index, *error_path(str(error)))
            )
            continue
        for member in raw:
            if member not in MEMBERS:
                subject.error("options.invalid", f"An option has no {member!r}.", document, (index, member), key=True)
        value = raw["value"]
        written = msgspec.json.encode(value).decode() if not isinstance(value, str) else value
        if written in seen:
            subject.warn("options.value-twice", f"The value {value!r} is there twice.", document, (index, "value"))
        seen.add(written)


def footer(subject: Subject) -> None:
    """Report what is wrong with the footer."""
    document = subject.files.json(f"{subject.files.app}ui/footer.json")
    if document is None:
        return
    listed = mapping(document.value).get("footer")
    if not isinstance(listed, list):
        subject.error("footer.invalid", "The file has no list footer.", document)
        return
    for index, item in enumerate(listed):
        raw = mapping(item)
        path = ("footer", index)
        kind = raw.get("type")
        if kind not in _FOOTER_TYPES:
            subject.error(
                "footer.invalid", f"The entry's type is one of {', '.join(_FOOTER_TYPES)}.", document, (*path, "type")
            )
        if not isinstance(raw.get("title"), str):
            subject.error("footer.invalid", "The entry has no title.", document, path)
        if kind in ("Link", "Email", "Phone") and not isinstance(raw.get("target"), str):
            subject.error("footer.invalid", f"An entry of type {kind} has a target.", document, path)
        if raw.get("icon") not in (None, *_FOOTER_ICONS):
            subject.error(
                "footer.invalid", f"The icon is one of {', '.join(_FOOTER_ICONS)}.", document, (*path, "icon")
            )


def settings(subject: Subject) -> None:
    """Report settings files that are no object."""
    for name in subject.files.names(subject.files.app, ".json"):
        if name.startswith("appsettings"):
            document = subject.files.json(subject.files.app + name)
            if document is not None and not isinstance(document.value, dict):
                subject.error("settings.invalid", "Settings are an object.", document)


def values(subject: Subject) -> None:
    """Report Helm values that are not honoured, and outbound rules and Apis that cannot be put in force."""
    file = deployment.file_for(subject.files, "values.yaml")
    found = deployment.read_yaml(subject.files, file)
    if found is not None and found.value is not None:
        if not isinstance(found.value, dict):
            subject.files.report("error", "deployment.invalid", "Helm values are an object.", file, (1, 1))
        else:
            _ignored(subject, file, found.value, found)
            _unusable(subject, file, found)
    egress.read(subject.files)
    apis.read(subject.files)


def _ignored(subject: Subject, file: str, value: Any, found: deployment.YamlPlaces) -> None:
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while waiting:
        path, here = waiting.pop()
        if not isinstance(here, dict) or len(path) > 2:
            continue
        for name, inner in here.items():
            if name in _IGNORED and inner not in (None, {}, []) and not _is_usual(name, inner):
                subject.files.report(
                    "warning",
                    "deployment.ignored",
                    f"{name} is not honoured.",
                    file,
                    found.places.get((*path, name), (0, 0)),
                    _IGNORED[name],
                )
            else:
                waiting.append(((*path, name), inner))


def _unusable(subject: Subject, file: str, found: deployment.YamlPlaces) -> None:
    values = deployment.HelmValues(raw=found.value)
    above: tuple[str, ...] = () if values.deployment is values.raw else ("deployment",)
    for fault in chart.chart_values(values).faults:
        place = found.places.get((*above, *fault.path), (0, 0))
        if fault.ignored:
            subject.files.report("warning", "deployment.ignored", fault.message, file, place)
        else:
            subject.files.report("error", "deployment.value", fault.message, file, place)


def _is_usual(name: str, value: Any) -> bool:
    """Whether it is only what every app made in Altinn Studio mounts: its keys, which Havn hands over itself."""
    if not name.startswith("volume") or not isinstance(value, list):
        return False
    return all(isinstance(item, dict) and item.get("name") in _USUAL_VOLUMES for item in value)


def duplicates(subject: Subject) -> None:
    """Report members that one object names twice: the last one counts, which is rarely meant."""
    for document in list(subject.files.documents()):
        for name, line, column in document.duplicates():
            subject.files.report(
                "warning",
                "json.member-twice",
                f"{name!r} is there twice; the last counts.",
                document.file,
                (line, column),
            )
