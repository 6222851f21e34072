"""`<model>.calculation.json`: fields set from expressions after each write, in the order of the file."""

from __future__ import annotations

import structlog

from havn.engines.expressions import ExpressionError
from havn.kit.problem import Problem
from havn.runtime import visible
from havn.runtime.field_context import evaluate
from havn.runtime.layout.form import FormState
from havn.runtime.layout.tree import Layout
from havn.runtime.model import paths
from havn.runtime.model.prefill import PrefillError, fit
from havn.runtime.work import Model, Work, current_task

_log = structlog.get_logger("runtime")


async def run(work: Work) -> None:
    """Calculate the fields of every changed or new model. 500 when an expression cannot be used."""
    changed = [(entry.type.id, entry.model) for entry in work.loaded.values() if entry.changed]
    changed += [(new.type.id, new.model) for new in work.added if new.model is not None]
    for type_id, model in changed:
        rules = work.context.folder.rules.get(type_id)
        if rules is not None and rules.calculations:
            others = await visible.first_models(work)
            calculate(work, type_id, model, others)


def calculate(work: Work, type_id: str, model: Model, others: dict[str, Model]) -> None:
    """Set the calculated fields of `model` in place."""
    rules = work.context.folder.rules.get(type_id)
    shape = work.context.models.shape(type_id)
    around = visible.surroundings(work.context, work.actor.language, work.instance, default_data_type=type_id)
    layout = work.context.layouts.of_task(current_task(work.instance))
    for rule in rules.calculations if rules else ():
        member = shape.at(paths.parse(rule.field))
        # A state remembers what it worked out, so each field sees those calculated before it through a new one.
        tree = layout or Layout("", default_data_type=type_id, pages={})
        state = FormState(tree, others | {type_id: model}, around)
        for path in paths.expand(model, rule.field):
            try:
                value = evaluate(rule.expression, state, type_id, path)
                paths.put(model, path, value if value is None or member is None else fit(member, value, path))
            except (ExpressionError, PrefillError, paths.PathError) as error:
                _log.error("calculation_failed", data_type=type_id, field=rule.field, reason=str(error))
                raise Problem(500, "A calculation of the app cannot be done.", code="calculation_failed") from error
