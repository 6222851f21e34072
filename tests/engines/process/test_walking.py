"""Walking from element to element."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from havn.engines import expressions
from havn.engines.expressions import BareContext, Expression
from havn.engines.process import (
    EndEvent,
    ExclusiveGateway,
    Flow,
    Process,
    RoutingError,
    StartEvent,
    Task,
)


def process(*flows: Flow, default: str | None = None) -> Process:
    elements = [
        StartEvent(id="start"),
        Task(id="one", task_type="data"),
        Task(id="two", task_type="data"),
        ExclusiveGateway(id="fork", default=default),
        ExclusiveGateway(id="second"),
        EndEvent(id="end"),
    ]
    return Process(id="p", elements={each.id: each for each in elements}, flows={flow.id: flow for flow in flows})


def flow(source: str, target: str, condition: object = None) -> Flow:
    compiled = None if condition is None else expressions.compile(condition)
    return Flow(id=f"{source}-{target}", source=source, target=target, condition=compiled)


class AtGateway(BareContext):
    def __init__(self, action: str | None) -> None:
        self._action = action

    def gateway_action(self) -> str | None:
        return self._action


def with_action(action: str | None) -> Callable[[Expression, ExclusiveGateway], bool]:
    return lambda condition, _gateway: condition.holds(AtGateway(action))


REJECTED = ["equals", ["gatewayAction"], "reject"]
APPROVED = ["notEquals", ["gatewayAction"], "reject"]


def test_a_task_leads_straight_to_the_next() -> None:
    walk = process(flow("start", "one"), flow("one", "two"), flow("two", "end"))
    assert walk.first().id == "one"
    assert walk.next("one").id == "two"
    assert isinstance(walk.next("two"), EndEvent)


@pytest.mark.parametrize(("action", "target"), [("reject", "one"), ("confirm", "end"), (None, "end")])
def test_conditions_choose_by_the_action(action: str | None, target: str) -> None:
    walk = process(flow("two", "fork"), flow("fork", "one", REJECTED), flow("fork", "end", APPROVED))
    assert walk.next("two", with_action(action)).id == target


def test_nested_gateways_are_followed_through() -> None:
    walk = process(flow("one", "fork"), flow("fork", "second", True), flow("fork", "one", False), flow("second", "end"))
    assert walk.next("one", with_action(None)).id == "end"
    assert [gateway.id for gateway in walk.gateways_after("one")] == ["fork", "second"]


def test_more_than_one_open_flow_is_an_error() -> None:
    walk = process(flow("one", "fork"), flow("fork", "two", True), flow("fork", "end"))
    with pytest.raises(RoutingError, match="fork-two, fork-end"):
        walk.next("one", with_action(None))


def test_no_open_flow_is_an_error() -> None:
    walk = process(flow("one", "fork"), flow("fork", "two", False), flow("fork", "end", False))
    with pytest.raises(RoutingError, match="none"):
        walk.next("one", with_action(None))


@pytest.mark.parametrize(("holds", "target"), [(True, "two"), (False, "end")])
def test_the_default_flow_is_taken_when_no_other_holds(holds: bool, target: str) -> None:
    walk = process(flow("one", "fork"), flow("fork", "two", holds), flow("fork", "end"), default="fork-end")
    assert walk.next("one", with_action(None)).id == target


def test_without_conditions_the_default_flow_is_taken() -> None:
    flows = (flow("one", "fork"), flow("fork", "two"), flow("fork", "end"))
    assert process(*flows, default="fork-end").next("one").id == "end"
    with pytest.raises(RoutingError):
        process(*flows).next("one")


def test_code_may_choose_where_there_are_no_conditions() -> None:
    def choose(gateway: ExclusiveGateway, flows: Sequence[Flow]) -> Sequence[Flow] | None:
        return [found for found in flows if found.target == "two"] if gateway.id == "fork" else None

    walk = process(flow("one", "fork"), flow("fork", "two"), flow("fork", "end"), default="fork-end")
    assert walk.next("one", None, choose).id == "two"


def test_a_circle_of_gateways_ends_in_an_error() -> None:
    walk = process(flow("one", "fork"), flow("fork", "second"), flow("second", "fork"))
    with pytest.raises(RoutingError, match="circle"):
        walk.next("one")


def test_what_cannot_be_reached_is_known() -> None:
    walk = process(flow("start", "one"), flow("one", "end"))
    assert walk.reachable() == {"start", "one", "end"}
