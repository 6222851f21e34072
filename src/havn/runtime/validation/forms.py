"""What the files of the app say of its forms: the schema, required fields, validation expressions."""

from __future__ import annotations

from havn.runtime.issues import ValidationIssue
from havn.runtime.model import schema
from havn.runtime.validation import expressions, required
from havn.runtime.validation.subject import Subject, Validator


def validators(subject: Subject) -> list[Validator]:
    """Those that the app's settings leave on."""
    app = subject.context
    found = [Validator(schema.SOURCE, _schema)]
    if app.app_flag("RequiredValidation", default=True):
        found.append(Validator(required.SOURCE, required.check))
    if app.app_flag("ExpressionValidation", default=True):
        found.append(Validator(expressions.SOURCE, expressions.check))
    return found


async def _schema(subject: Subject) -> list[ValidationIssue]:
    found: list[ValidationIssue] = []
    for entry in subject.forms:
        rules = subject.context.models.rules(entry.type.id)
        if rules is None:
            continue
        layout, element_id = subject.layout, entry.element.id or ""
        issues = rules.check(
            entry.model,
            element_id,
            subject.language,
            asked_for=lambda path, type_id=entry.type.id: layout is not None and layout.shows(type_id, path),  # type: ignore[misc]
        )
        # What is hidden is not asked of anybody, so nobody can mend it.
        found += [issue for issue in issues if layout is None or not layout.hides(entry.type.id, issue.field or "")]
    return found
