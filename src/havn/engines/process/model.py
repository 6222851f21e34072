"""The elements of a process, and the walk from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from havn.engines.expressions import Expression
from havn.engines.process.errors import RoutingError

MAX_GATEWAYS = 100
"""Gateways that one step may pass."""

TASK_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "data": ("write",),
    "feedback": ("write",),
    "confirmation": ("confirm",),
    "signing": ("sign", "write"),
    "payment": ("pay", "write"),
    "pdf": ("write",),
    "subformPdf": ("write",),
    "eFormidling": ("write",),
    "fiksArkiv": ("write",),
}
"""What the policy must permit, one of them, for moving on from a task of each type; other types: their own name."""


class EnvironmentValues(msgspec.Struct, frozen=True):
    """A value that may differ by kind of environment: `development`, `staging`, `production`, or "" for the rest."""

    by_kind: Mapping[str, tuple[str, ...]] = {}

    def all(self, kind: str) -> tuple[str, ...]:
        """The values for a kind of environment; those without one when it has none."""
        return self.by_kind.get(kind) or self.by_kind.get("", ())

    def one(self, kind: str) -> str | None:
        """The first of them."""
        found = self.all(kind)
        return found[0] if found else None


class SignatureConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed in a signing task, and where signatures go."""

    data_types_to_sign: tuple[str, ...] = ()
    signature_data_type: str | None = None
    unique_from: tuple[str, ...] = ()
    """Signature data types whose signers may not sign here again."""
    signee_provider_id: str | None = None
    signee_states_data_type: str | None = None
    signing_pdf_data_type: str | None = None
    correspondence_resource: EnvironmentValues = EnvironmentValues()
    run_default_validator: bool = False


class PaymentConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where a payment task keeps its state and receipt."""

    data_type: str | None = None
    receipt_pdf_data_type: str | None = None


class PdfConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a PDF service task makes: of its own layout set, or of the tasks named."""

    filename_text_key: str | None = None
    task_ids: tuple[str, ...] = ()


class SubformPdfConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A PDF per subform element."""

    filename_text_key: str | None = None
    component_id: str | None = None
    data_type: str | None = None


class EFormidlingConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A shipment by eFormidling; every value may differ by environment."""

    values: Mapping[str, EnvironmentValues] = {}
    data_types: EnvironmentValues = EnvironmentValues()


class Action(msgspec.Struct, frozen=True):
    """A custom action of a task: `processAction` moves the process, `serverAction` only runs code."""

    id: str
    type: str = "processAction"


class StartEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Where the process begins."""

    id: str
    name: str | None = None
    line: int = 0
    column: int = 0


class EndEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Where it ends."""

    id: str
    name: str | None = None
    line: int = 0
    column: int = 0


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A step. `service` tasks run by themselves."""

    id: str
    name: str | None = None
    line: int = 0
    column: int = 0
    task_type: str = ""
    service: bool = False
    actions: tuple[Action, ...] = ()
    signature: SignatureConfig | None = None
    payment: PaymentConfig | None = None
    pdf: PdfConfig | None = None
    subform_pdf: SubformPdfConfig | None = None
    e_formidling: EFormidlingConfig | None = None

    @property
    def next_actions(self) -> tuple[str, ...]:
        """Actions of which the policy must permit one for moving on without a named action."""
        return TASK_ACTIONS.get(self.task_type, (self.task_type,))

    def action(self, action_id: str) -> Action | None:
        """The custom action with this id."""
        return next((action for action in self.actions if action.id == action_id), None)


class ExclusiveGateway(msgspec.Struct, frozen=True, kw_only=True):
    """A fork of which one way is taken."""

    id: str
    name: str | None = None
    line: int = 0
    column: int = 0
    default: str | None = None
    """Id of the flow taken when nothing else decides."""
    connected_data_type: str | None = None
    """The data type that conditions read; None: that of the current task's layout set."""


Element = StartEvent | EndEvent | Task | ExclusiveGateway


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """From one element to another; `condition` is compiled."""

    id: str
    source: str
    target: str
    condition: Expression | None = None
    line: int = 0
    column: int = 0


Evaluate = Callable[[Expression, ExclusiveGateway], bool]
"""Whether a condition holds at a gateway."""
Filter = Callable[[ExclusiveGateway, Sequence[Flow]], Sequence[Flow] | None]
"""A gateway without conditions, decided by code: the flows left open; None when there is no code for it."""


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A whole process."""

    id: str
    elements: Mapping[str, Element]
    flows: Mapping[str, Flow]

    @property
    def start(self) -> StartEvent:
        """The start event (a process that was read has exactly one)."""
        return next(element for element in self.elements.values() if isinstance(element, StartEvent))

    @property
    def tasks(self) -> Sequence[Task]:
        """All tasks, as they stand in the file."""
        return [element for element in self.elements.values() if isinstance(element, Task)]

    @property
    def end_events(self) -> Sequence[EndEvent]:
        """All end events."""
        return [element for element in self.elements.values() if isinstance(element, EndEvent)]

    @property
    def gateways(self) -> Sequence[ExclusiveGateway]:
        """All gateways."""
        return [element for element in self.elements.values() if isinstance(element, ExclusiveGateway)]

    def element(self, element_id: str) -> Element | None:
        """The element with this id."""
        return self.elements.get(element_id)

    def task(self, element_id: str) -> Task | None:
        """The task with this id."""
        found = self.elements.get(element_id)
        return found if isinstance(found, Task) else None

    def outgoing(self, element_id: str) -> Sequence[Flow]:
        """The flows that leave an element, as they stand in the file."""
        return [flow for flow in self.flows.values() if flow.source == element_id]

    def first(self, evaluate: Evaluate | None = None, filter_: Filter | None = None) -> Task | EndEvent:
        """What follows the start event."""
        return self.next(self.start.id, evaluate, filter_)

    def next(self, element_id: str, evaluate: Evaluate | None = None, filter_: Filter | None = None) -> Task | EndEvent:
        """The task or end event that follows, through any gateways on the way. Raises `RoutingError`."""
        flows = self.outgoing(element_id)
        if len(flows) != 1:
            raise RoutingError(f"{element_id} has {len(flows)} outgoing flows, where one is expected")
        flow = flows[0]
        for _ in range(MAX_GATEWAYS):
            target = self.elements[flow.target]
            if isinstance(target, Task | EndEvent):
                return target
            if isinstance(target, StartEvent):
                break
            flow = self.choose(target, evaluate, filter_)
        raise RoutingError(f"from {element_id} the process runs in a circle of gateways")

    def choose(
        self, gateway: ExclusiveGateway, evaluate: Evaluate | None = None, filter_: Filter | None = None
    ) -> Flow:
        """The flow taken at a gateway.

        With conditions, exactly one flow must hold (one without a condition always does); the default flow is taken
        when no other holds. Without conditions, code decides when there is some, else the default flow is taken, else
        the only one. Raises `RoutingError`.
        """
        flows = self.outgoing(gateway.id)
        default = next((flow for flow in flows if flow.id == gateway.default), None)
        left: Sequence[Flow]
        if any(flow.condition is not None for flow in flows):
            if evaluate is None:
                raise RoutingError(f"the gateway {gateway.id} has conditions, and nothing evaluates them here")
            rivals = [flow for flow in flows if flow is not default or flow.condition is not None]
            left = [flow for flow in rivals if flow.condition is None or evaluate(flow.condition, gateway)]
            if not left and default is not None:
                return default
        else:
            chosen = filter_(gateway, flows) if filter_ is not None else None
            left = flows if chosen is None else chosen
            if default is not None and default in left:
                return default
        if len(left) != 1:
            many = ", ".join(flow.id for flow in left) or "none"
            raise RoutingError(f"at the gateway {gateway.id} exactly one flow must be open, but open are: {many}")
        return left[0]

    def gateways_after(self, element_id: str) -> Sequence[ExclusiveGateway]:
        """The gateways that moving on from an element may pass: what their conditions read can be fetched before."""
        return list(self._gateways_after(element_id, set()))

    def _gateways_after(self, element_id: str, seen: set[str]) -> Iterator[ExclusiveGateway]:
        for flow in self.outgoing(element_id):
            target = self.elements[flow.target]
            if isinstance(target, ExclusiveGateway) and target.id not in seen:
                seen.add(target.id)
                yield target
                yield from self._gateways_after(target.id, seen)

    def reachable(self) -> frozenset[str]:
        """Ids of the elements that can be reached from the start."""
        seen: set[str] = set()
        waiting = [element.id for element in self.elements.values() if isinstance(element, StartEvent)]
        while waiting:
            here = waiting.pop()
            if here not in seen:
                seen.add(here)
                waiting += [flow.target for flow in self.outgoing(here)]
        return frozenset(seen)
