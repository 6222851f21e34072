"""Source `Expression`: the rules of `<model>.validation.json`, evaluated for every row they apply to."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from havn.appfolder import ValidationRule
from havn.engines.expressions import ExpressionError
from havn.kit.problem import Problem
from havn.runtime import texts, visible
from havn.runtime.field_context import evaluate
from havn.runtime.issues import Severity, ValidationIssue
from havn.runtime.layout.form import FormState
from havn.runtime.layout.tree import Layout
from havn.runtime.model import paths
from havn.runtime.validation.subject import Subject
from havn.runtime.work import Loaded

SOURCE = "Expression"
_SEVERITIES = {
    "error": Severity.ERROR,
    "warning": Severity.WARNING,
    "info": Severity.INFORMATIONAL,
    "success": Severity.SUCCESS,
}
_log = structlog.get_logger("runtime")


async def check(subject: Subject) -> list[ValidationIssue]:
    """Rules are skipped for fields without a value and for fields that are hidden. 500 when a rule cannot be used."""
    found: list[ValidationIssue] = []
    for entry in subject.forms:
        rules = subject.context.folder.rules.get(entry.type.id)
        if rules is None or not rules.validations:
            continue
        state = _state(subject, entry)
        for rule in rules.validations:
            found += _issues(subject, entry, rule, state)
    return found


def _issues(subject: Subject, entry: Loaded, rule: ValidationRule, state: FormState) -> Iterator[ValidationIssue]:
    for path in paths.expand(entry.model, rule.field):
        if paths.get(entry.model, path) is None:
            continue
        if subject.layout is not None and subject.layout.hides(entry.type.id, path):
            continue
        try:
            if evaluate(rule.condition, state, entry.type.id, path) is not True:
                continue
            message = evaluate(rule.message, state, entry.type.id, path)
        except ExpressionError as error:
            _log.error("validation_rule_failed", data_type=entry.type.id, field=rule.field, reason=str(error))
            raise Problem(500, "A validation rule of the app cannot be evaluated.", code="rule_failed") from error
        key = str(message)
        yield ValidationIssue(
            severity=_SEVERITIES[rule.severity],
            data_element_id=entry.element.id,
            field=path,
            code=key,
            description=texts.resolve(subject.context.folder, subject.language, key),
            source=SOURCE,
            custom_text_key=key,
        )


def _state(subject: Subject, entry: Loaded) -> FormState:
    """The layout's own state where the model is the one it shows; a bare one for other elements of the type."""
    if subject.layout is not None and subject.layout.state.models.get(entry.type.id) is entry.model:
        return subject.layout.state
    around = visible.surroundings(
        subject.context, subject.language, subject.work.instance, default_data_type=entry.type.id
    )
    layout = subject.layout.state.layout if subject.layout else Layout("", default_data_type=entry.type.id, pages={})
    models = dict(subject.layout.state.models) if subject.layout else {}
    return FormState(layout, models | {entry.type.id: entry.model}, around)
