"""Where the process goes next: gateways decided by conditions, or by the app's own code."""

from __future__ import annotations

from typing import Any

import structlog

from havn.engines.expressions import Expression, ExpressionError
from havn.engines.process import EndEvent, ExclusiveGateway, RoutingError, Task
from havn.engines.process import Flow as ProcessFlow
from havn.kit.problem import Problem
from havn.runtime import hook_data, visible
from havn.runtime.hooks import Flow, GatewayContext
from havn.runtime.layout.form import FormState
from havn.runtime.layout.nodes import NodeContext
from havn.runtime.layout.tree import Layout
from havn.runtime.work import Work

_log = structlog.get_logger("runtime")


class _GatewayContext(NodeContext):
    """A form's context that also knows the action which moves the process."""

    def __init__(self, state: FormState, action: str | None) -> None:
        super().__init__(state, None, "")
        self._action = action

    def gateway_action(self) -> str | None:
        """The action, None for a plain next."""
        return self._action


async def following(work: Work, element_id: str, action: str | None) -> Task | EndEvent:
    """The task or end event after `element_id`. 409 when there is no single way on, 500 for faulty conditions."""
    process = work.context.folder.process
    contexts: dict[str, _GatewayContext] = {}
    decided: dict[str, str | None] = {}
    for gateway in process.gateways_after(element_id):
        flows = process.outgoing(gateway.id)
        if any(flow.condition is not None for flow in flows):
            contexts[gateway.id] = await _context(work, gateway, element_id, action)
        else:
            decided[gateway.id] = await _ask_code(work, gateway, flows, action)

    def evaluate(condition: Expression, gateway: ExclusiveGateway) -> Any:
        return condition.holds(contexts[gateway.id])

    def choose(gateway: ExclusiveGateway, flows: Any) -> Any:
        chosen = decided.get(gateway.id)
        return None if chosen is None else [flow for flow in flows if flow.id == chosen]

    try:
        return process.next(element_id, evaluate, choose)
    except RoutingError as error:
        _log.error("no_way_on", element=element_id, reason=str(error))
        raise Problem(409, "The process has no single way on from here.", code="no_way_on") from error
    except ExpressionError as error:
        _log.error("gateway_failed", element=element_id, reason=str(error))
        raise Problem(500, "A condition of the process cannot be evaluated.", code="gateway_failed") from error


async def _context(work: Work, gateway: ExclusiveGateway, task: str, action: str | None) -> _GatewayContext:
    layout = work.context.layouts.of_task(task)
    default = gateway.connected_data_type or (layout.default_data_type if layout else "")
    tree = Layout("", default_data_type=default, pages={})
    if layout is not None and layout.default_data_type == default:
        tree = layout
    around = visible.surroundings(work.context, work.actor.language, work.instance, default_data_type=default)
    models = await visible.first_models(work)
    return _GatewayContext(FormState(tree, models, around), action)


async def _ask_code(work: Work, gateway: ExclusiveGateway, flows: Any, action: str | None) -> str | None:
    hook = work.context.hooks.first("gateway", gateway.id)
    if hook is None:
        return None
    ways = [_way(flow) for flow in flows]
    given = GatewayContext(**hook_data.of_instance(work, read_only=True), gateway=gateway.id, flows=ways, action=action)
    chosen = await hook_data.run(hook, given)
    if chosen not in {way.id for way in ways}:
        raise Problem(500, "The app's own code chose a way that is not there.", code="app_code_failed")
    return str(chosen)


def _way(flow: ProcessFlow) -> Flow:
    return Flow(flow.id, flow.target, None if flow.condition is None else flow.condition.source)
