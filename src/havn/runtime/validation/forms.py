"""What the files of the app say of its forms: the schema, required fields, validation expressions."""

from __future__ import annotations

from collections.abc import Callable

from havn.runtime.issues import ValidationIssue
from havn.runtime.model import schema
from havn.runtime.validation import expressions, required
from havn.runtime.validation.subject import Subject, Validator
from havn.runtime.visible import Evaluated


def validators(subject: Subject) -> list[Validator]:
    """Those that the app's settings leave on."""
    app = subject.context
    found = [Validator(schema.SOURCE, _schema)]
    if app.app_flag("RequiredValidation", default=True):
        found.append(Validator(required.SOURCE, required.check))
    if app.app_flag("ExpressionValidation", default=True):
        found.append(Validator(expressions.SOURCE, expressions.check))
    return found


def _asked_for(layout: Evaluated | None, type_id: str) -> Callable[[str], bool]:
    return lambda path: layout is not None and layout.shows(type_id, path)


async def _schema(subject: Subject) -> list[ValidationIssue]:
    found: list[ValidationIssue] = []
    for entry in subject.forms:
        rules = subject.context.models.rules(entry.type.id)
        if rules is None:
            continue
        layout = subject.layout
        asked_for = _asked_for(layout, entry.type.id)
        issues = rules.check(entry.model, entry.element.id or "", subject.language, asked_for=asked_for)
        # What is hidden is not asked of anybody, so nobody can mend it.
        found += [issue for issue in issues if layout is None or not layout.hides(entry.type.id, issue.field or "")]
    return found
