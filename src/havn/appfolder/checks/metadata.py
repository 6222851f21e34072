"""`config/applicationmetadata.json`: ids, data types, and what refers to them."""

from __future__ import annotations

from typing import Any

from havn.appfolder.checks.schema import names_of
from havn.appfolder.checks.subject import Subject
from havn.appfolder.files import mapping, sequence
from havn.appfolder.ids import AppId, is_file_id
from havn.appfolder.jsonc import Document

_ENTRY_WORDS = ("new-instance", "select-instance")


def check(subject: Subject) -> None:
    """Report what is wrong with the metadata."""
    document = subject.files.json(subject.metadata_file)
    if document is None or not subject.has_metadata:
        return
    _id(subject, document)
    raw = mapping(document.value)
    title = mapping(raw.get("title"))
    if not any(isinstance(text, str) and text.strip() for text in title.values()):
        subject.error(
            "metadata.title-missing", "The app has no title.", document, ("title",), hint='Write "title": {"nb": "…"}.'
        )
    elif not title.get("nb"):
        subject.warn("metadata.title-missing", "The app has no title in bokmål (nb).", document, ("title",))
    _data_types(subject, document, sequence(raw.get("dataTypes")))
    for member in ("presentationFields", "dataFields"):
        _fields(subject, document, member, sequence(raw.get(member)))
    _on_entry(subject, document, mapping(raw.get("onEntry")))
    for index, task in enumerate(
        sequence(mapping(mapping(raw.get("messageBoxConfig")).get("hideSettings")).get("hideOnTask"))
    ):
        _task(subject, document, ("messageBoxConfig", "hideSettings", "hideOnTask", index), task)
    copied = mapping(raw.get("copyInstanceSettings"))
    for index, name in enumerate(sequence(copied.get("excludedDataTypes"))):
        if isinstance(name, str) and name not in subject.data_types:
            subject.error(
                "metadata.data-type-unknown",
                f"There is no data type {name!r}.",
                document,
                ("copyInstanceSettings", "excludedDataTypes", index),
            )
    if raw.get("eFormidling"):
        subject.warn(
            "metadata.e-formidling",
            "eFormidling in the application metadata is not carried out.",
            document,
            ("eFormidling",),
            hint="Put an eFormidling service task into the process.",
            key=True,
        )


def _id(subject: Subject, document: Document) -> None:
    raw = mapping(document.value)
    if subject.files.placeholders:
        for file, line, column in subject.files.placeholders:
            subject.files.report(
                "warning",
                "app.placeholder",
                "The file has a placeholder for the org or the app.",
                file,
                (line, column),
                "Name the app with --as ORG/APP.",
            )
        subject.app_id = None
        if any(file == subject.metadata_file for file, _, _ in subject.files.placeholders):
            return
    own = subject.files.as_
    if own is not None:
        subject.app_id = own
        if fault := own.fault():
            subject.error("metadata.id", f"{fault[:1].upper()}{fault[1:]}.")
    else:
        try:
            subject.app_id = AppId.parse(str(raw.get("id") or ""))
        except ValueError as error:
            text = str(error)
            subject.error(
                "metadata.id", f"{text[:1].upper()}{text[1:]}.", document, ("id",), hint='Write "id": "org/app".'
            )
    org = raw.get("org")
    written = str(raw.get("id") or "").partition("/")[0]
    if isinstance(org, str) and org and written and own is None and org != written:
        subject.error("metadata.org-mismatch", f"The org is {org!r}, but the id says {written!r}.", document, ("org",))


def _data_types(subject: Subject, document: Document, listed: list[Any]) -> None:
    seen: set[str] = set()
    for index, raw in enumerate(listed):
        path = ("dataTypes", index)
        if not isinstance(raw, dict) or not isinstance(raw.get("id"), str):
            continue  # the decoder has said so
        name = raw["id"]
        if name in seen:
            subject.error(
                "metadata.data-type-twice", f"The data type {name!r} is there twice.", document, (*path, "id")
            )
        seen.add(name)
        if not is_file_id(name):
            subject.error(
                "metadata.data-type-id",
                f"The data type id {name[:60]!r} has characters that cannot stand in a file name.",
                document,
                (*path, "id"),
            )
        _task(subject, document, (*path, "taskId"), raw.get("taskId"))
        least, most = raw.get("minCount") or 0, raw.get("maxCount") or 0
        if isinstance(least, int) and isinstance(most, int) and 0 < most < least:
            subject.error(
                "metadata.count-order", f"minCount {least} is more than maxCount {most}.", document, (*path, "minCount")
            )
        for member, hook in (("enabledFileAnalysers", "analyse_file"), ("enabledFileValidators", "validate_file")):
            for at, wanted in enumerate(sequence(raw.get(member))):
                if isinstance(wanted, str) and wanted.lower() not in subject.hook_keys(hook):
                    subject.warn(
                        "code.file-hook-missing",
                        f"There is no code {wanted!r} for {member}.",
                        document,
                        (*path, member, at),
                        hint=f'Write a function with @{hook}("{wanted}") in logic/hooks.py.',
                    )
        shadow = mapping(mapping(raw.get("appLogic")).get("shadowFields"))
        target = shadow.get("saveToDataType")
        if isinstance(target, str) and target and target not in subject.data_types:
            subject.error(
                "metadata.data-type-unknown",
                f"There is no data type {target!r}.",
                document,
                (*path, "appLogic", "shadowFields", "saveToDataType"),
            )


def _task(subject: Subject, document: Document, path: tuple[str | int, ...], task: Any) -> None:
    if isinstance(task, str) and task and subject.process is not None and task not in subject.task_ids:
        subject.error(
            "metadata.task-unknown",
            f"There is no task {task!r} in the process.",
            document,
            path,
            hint=f"The tasks are {', '.join(subject.task_ids)}." if subject.task_ids else "",
        )


def _fields(subject: Subject, document: Document, member: str, listed: list[Any]) -> None:
    for index, raw in enumerate(listed):
        if not isinstance(raw, dict):
            continue
        name, path = raw.get("dataTypeId"), raw.get("path")
        if isinstance(name, str) and name not in subject.form_types:
            subject.error(
                "metadata.data-type-unknown",
                f"There is no form data type {name!r}.",
                document,
                (member, index, "dataTypeId"),
            )
            continue
        if not isinstance(name, str) and len(subject.form_types) == 1:
            name = next(iter(subject.form_types))
        schema = subject.schemas.get(name) if isinstance(name, str) else None
        if schema is None or not isinstance(path, str):
            continue
        found = schema.find(names_of(path))
        if not found.exists:
            subject.error(
                "metadata.field-path-unknown",
                f"The model {name!r} has no {path!r}.",
                document,
                (member, index, "path"),
                hint=f"Did you mean {found.near!r}?" if found.near else "",
            )


def _on_entry(subject: Subject, document: Document, entry: dict[str, Any]) -> None:
    show = entry.get("show")
    if isinstance(show, str) and show not in _ENTRY_WORDS and show not in subject.sets:
        subject.error(
            "metadata.on-entry-unknown",
            f"onEntry shows {show!r}, which is neither new-instance, select-instance nor a layout set.",
            document,
            ("onEntry", "show"),
        )
