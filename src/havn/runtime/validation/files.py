"""Attachments as they are stored: their kind, size and scan, and how many of each type there are."""

from __future__ import annotations

from havn.contracts.application import DataType
from havn.contracts.storage import DataElement
from havn.runtime import texts
from havn.runtime.access import PDF_TYPE, is_form
from havn.runtime.content_types import allowed
from havn.runtime.issues import Severity, ValidationIssue
from havn.runtime.messages import message
from havn.runtime.validation.subject import Subject, Validator

SOURCE = "File"


def validators(subject: Subject) -> list[Validator]:
    """Both look at everything each time they run, and run at submit only."""
    return [
        Validator(SOURCE, _elements, incremental=False),
        Validator(f"DefaultTaskValidator-{subject.task}", _counts, incremental=False),
    ]


async def _elements(subject: Subject) -> list[ValidationIssue]:
    found: list[ValidationIssue] = []
    types = {type_.id: type_ for type_ in subject.types()}
    for element in subject.work.instance.data:
        type_ = types.get(element.data_type or "")
        if type_ is None:
            continue
        for code, text, values in _faults(element, type_):
            found.append(
                ValidationIssue(
                    severity=Severity.ERROR,
                    data_element_id=element.id,
                    field=type_.id,
                    code=code,
                    description=message(subject.language, text, **values),
                    source=SOURCE,
                    no_incremental_updates=True,
                )
            )
    return found


def _faults(element: DataElement, type_: DataType) -> list[tuple[str, str, dict[str, object]]]:
    found: list[tuple[str, str, dict[str, object]]] = []
    if not is_form(type_):
        if not element.content_type:
            found.append(("MissingContentType", "file_type_missing", {}))
        elif not allowed(element.content_type, type_.allowed_content_types):
            found.append(("ContentTypeNotAllowed", "file_type", {}))
        if type_.max_size and element.size > type_.max_size * 1024 * 1024:
            found.append(("DataElementTooLarge", "file_too_large", {"limit": type_.max_size}))
    if type_.enable_file_scan and element.file_scan_result == "Infected":
        found.append(("DataElementFileInfected", "file_infected", {}))
    if type_.enable_file_scan and type_.validation_error_on_pending_file_scan and element.file_scan_result == "Pending":
        found.append(("DataElementFileScanPending", "file_scan_pending", {}))
    return found


async def _counts(subject: Subject) -> list[ValidationIssue]:
    found: list[ValidationIssue] = []
    for type_ in subject.types():
        if type_.id == PDF_TYPE:
            continue
        count = sum(element.data_type == type_.id for element in subject.work.instance.data)
        for code, text, limit, wrong in (
            ("TooManyDataElementsOfType", "too_many", type_.max_count, 0 < type_.max_count < count),
            ("TooFewDataElementsOfType", "too_few", type_.min_count, count < type_.min_count),
        ):
            if wrong:
                name = texts.resolve(subject.context.folder, subject.language, type_.id)
                found.append(
                    ValidationIssue(
                        severity=Severity.ERROR,
                        field=type_.id,
                        code=code,
                        description=message(subject.language, text, type=name, limit=limit),
                        source=f"DefaultTaskValidator-{subject.task}",
                        no_incremental_updates=True,
                    )
                )
    return found
