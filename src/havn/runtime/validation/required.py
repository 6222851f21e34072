"""Source `Required`: what a shown component demands and nobody has filled in."""

from __future__ import annotations

from havn.runtime import texts
from havn.runtime.issues import Severity, ValidationIssue
from havn.runtime.messages import message
from havn.runtime.validation.subject import Subject

SOURCE = "Required"
TEXT_KEY = "backend.validation_errors.required"


async def check(subject: Subject) -> list[ValidationIssue]:
    """One issue per required binding without a value."""
    if subject.layout is None:
        return []
    elements = {entry.type.id: entry.element.id for entry in reversed(subject.forms)}
    found: list[ValidationIssue] = []
    for gap in subject.layout.missing():
        if gap.data_type not in elements:
            continue
        node = gap.node
        parameters = {
            "field": gap.path,
            "layoutId": node.component.page,
            "pageId": node.component.page,
            "pageName": node.lookup(node.component.page),
            "componentId": node.component.id,
            "componentTitle": node.text("title") or node.component.id,
            "bindingName": gap.binding,
        }
        key = node.text_key("requiredValidation") or TEXT_KEY
        sources = texts.TextSources(parameters=parameters)
        found.append(
            ValidationIssue(
                severity=Severity.ERROR,
                data_element_id=elements[gap.data_type],
                field=gap.path,
                code="required",
                description=texts.find(subject.context.folder, subject.language, key, sources)
                or (key if key != TEXT_KEY else message(subject.language, "required")),
                source=SOURCE,
                custom_text_key=key,
                custom_text_parameters=parameters,
            )
        )
    return found
