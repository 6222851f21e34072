"""The app's code in a save: each changed model's own hooks, calculations, then the hooks that see all changes."""

from __future__ import annotations

import copy

from havn.runtime import calculation, hook_data, service_code
from havn.runtime.hooks import Abandon, ChangesContext, WriteContext
from havn.runtime.hooks.calling import call
from havn.runtime.work import Work


async def run_hooks(work: Work) -> None:
    """The hooks of a save: each changed model's own, then those that see all changes, then row ids.

    400 `File validation failed` when a hook abandons; 500 when a hook leaves a model that does not fit its schema.
    """
    hooks, context = work.context.hooks, work.context
    try:
        for entry in list(work.loaded.values()):
            if not entry.changed:
                continue
            for hook in hooks.of("write_data", entry.type.id):
                given = WriteContext(
                    **service_code.common(context, work.actor), instance=work.instance, element_id=entry.element.id
                )
                await call(hook, given, entry.model, copy.deepcopy(entry.original))
        await calculation.run(work)
        for hook in hooks.of("after_write"):
            if changes := work.changes():
                await hook_data.run(hook, ChangesContext(**hook_data.of_instance(work), changes=changes))
    except Abandon as abandoned:
        raise service_code.abandoned_problem(work, abandoned) from None
    for entry in work.loaded.values():
        if entry.changed:
            service_code.finish(context, entry.type, entry.model)
    for new in work.added:
        if new.model is not None:
            service_code.finish(context, new.type, new.model)
