"""Reading `process.bpmn`: safe XML, every fault with its line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lxml import etree

from havn.engines import expressions
from havn.engines.process.errors import Fault, ProcessError
from havn.engines.process.model import (
    Action,
    EFormidlingConfig,
    Element,
    EndEvent,
    EnvironmentValues,
    ExclusiveGateway,
    Flow,
    PaymentConfig,
    PdfConfig,
    Process,
    SignatureConfig,
    StartEvent,
    SubformPdfConfig,
    Task,
)
from havn.engines.process.places import Places
from havn.engines.xml_parser import parser

Place = tuple[int, int]
"""Line and column, from 1."""

BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"
ALTINN = "http://altinn.no/process"
MAX_BYTES = 5 * 1024 * 1024
MAX_ELEMENTS = 5_000
_B = f"{{{BPMN}}}"
_A = f"{{{ALTINN}}}"

# Parts of BPMN that say nothing about the walk.
_SILENT = frozenset(
    {
        "extensionElements",
        "documentation",
        "laneSet",
        "textAnnotation",
        "association",
        "group",
        "dataObject",
        "dataObjectReference",
        "ioSpecification",
        "auditing",
        "monitoring",
    }
)

_KINDS = {
    "development": "development",
    "dev": "development",
    "local": "development",
    "localtest": "development",
    "staging": "staging",
    "test": "staging",
    "production": "production",
    "prod": "production",
}


def environment_kind(written: str) -> str | None:
    """`development`, `staging` or `production` for what `env` says (`tt02`, `yt01`, `at22`, `prod` …); else None."""
    name = written.strip().lower()
    if name in _KINDS:
        return _KINDS[name]
    return "staging" if name[:2] in ("tt", "yt", "at") and name[2:].isdigit() else None


def read(xml: bytes) -> Process:
    """The process that a BPMN document holds. Raises `ProcessError` with every fault; warnings are dropped."""
    process, faults = examine(xml)
    errors = [fault for fault in faults if fault.severity == "error"]
    if process is None or errors:
        raise ProcessError(errors)
    return process


def examine(xml: bytes) -> tuple[Process | None, list[Fault]]:
    """The process as far as it can be read, and everything wrong with it, warnings too."""
    reader = _Reader()
    try:
        process = reader.document(xml)
    except etree.XMLSyntaxError as error:
        message = (error.msg or "it is malformed").rstrip(".")
        return None, [Fault("process.syntax", f"The file is not XML that can be read: {message}.", error.lineno or 0)]
    return process, reader.faults


class _Reader:
    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.elements: dict[str, Element] = {}
        self.flows: dict[str, Flow] = {}
        self._places: Places | None = None

    def document(self, xml: bytes) -> Process | None:
        if len(xml) > MAX_BYTES:
            self._fault("process.syntax", f"The file is more than {MAX_BYTES // 1024 // 1024} MiB.", (0, 0))
            return None
        xml = xml.removeprefix(b"\xef\xbb\xbf")
        root = etree.fromstring(xml, parser())
        if root.getroottree().docinfo.internalDTD is not None:
            self._fault("process.syntax", "The file has a document type declaration, which is not allowed.", (1, 1))
            return None
        self._places = Places(xml, root)
        if root.tag != f"{_B}definitions":
            self._fault("process.syntax", "The file's root is not <definitions> of BPMN 2.0.", self._place(root))
            return None
        processes = root.findall(f"{_B}process")
        if len(processes) != 1:
            place = self._place(processes[1] if len(processes) > 1 else root)
            self._fault("process.count", f"The file has {len(processes)} processes; exactly one is read.", place)
            if not processes:
                return None
        self._process(processes[0])
        self._connect()
        return Process(id=processes[0].get("id") or "", elements=self.elements, flows=self.flows)

    def _place(self, node: Any) -> Place:
        return self._places.of(node) if self._places is not None else (0, 0)

    def _fault(
        self, code: str, message: str, place: Place, element: str | None = None, severity: str = "error"
    ) -> None:
        self.faults.append(Fault(code, message, place[0], element, severity, place[1]))

    def _process(self, process: Any) -> None:
        for number, node in enumerate(process):
            if number >= MAX_ELEMENTS:
                self._fault("process.syntax", f"The process has more than {MAX_ELEMENTS} elements.", self._place(node))
                return
            if not isinstance(node.tag, str) or not node.tag.startswith(_B):
                continue
            kind = node.tag.removeprefix(_B)
            if kind in _SILENT:
                continue
            place = self._place(node)
            own_id = node.get("id") or ""
            if not own_id:
                self._fault("process.id-missing", f"The {kind} has no id.", place)
                continue
            if own_id in self.elements or own_id in self.flows:
                self._fault("process.id-twice", f"The id {own_id!r} is used twice.", place, own_id)
                continue
            if kind == "sequenceFlow":
                self._flow(node, own_id, place)
            elif (element := self._element(node, kind, own_id, place)) is not None:
                self.elements[own_id] = element

    def _element(self, node: Any, kind: str, own_id: str, place: Place) -> Element | None:
        name = node.get("name")
        if kind == "startEvent":
            return StartEvent(id=own_id, name=name, line=place[0], column=place[1])
        if kind == "endEvent":
            return EndEvent(id=own_id, name=name, line=place[0], column=place[1])
        if kind == "exclusiveGateway":
            extension = node.find(f"{_B}extensionElements/{_A}gatewayExtension")
            connected = _text(extension, "connectedDataTypeId") if extension is not None else None
            return ExclusiveGateway(
                id=own_id,
                name=name,
                line=place[0],
                column=place[1],
                default=node.get("default"),
                connected_data_type=connected,
            )
        if kind in ("task", "serviceTask"):
            return self._task(node, own_id, place, service=kind == "serviceTask")
        self._fault(
            "process.element-unsupported",
            f"A {kind} is not supported; tasks, service tasks, exclusive gateways, start and end events are.",
            place,
            own_id,
        )
        return None

    def _task(self, node: Any, own_id: str, place: Place, *, service: bool) -> Task:
        extension = node.find(f"{_B}extensionElements/{_A}taskExtension")
        task_type = _text(extension, "taskType") if extension is not None else None
        if not task_type:
            # Older files name the type on the task itself.
            task_type = node.get(f"{_A}tasktype") or node.get(f"{_A}taskType") or ""
        if not task_type:
            self._fault("process.task-type-missing", f"The task {own_id!r} has no altinn:taskType.", place, own_id)
        if extension is None:
            return Task(
                id=own_id, name=node.get("name"), line=place[0], column=place[1], task_type=task_type, service=service
            )
        return Task(
            id=own_id,
            name=node.get("name"),
            line=place[0],
            column=place[1],
            task_type=task_type,
            service=service,
            actions=tuple(self._actions(extension, own_id)),
            signature=self._signature(extension.find(f"{_A}signatureConfig"), own_id),
            payment=self._payment(extension.find(f"{_A}paymentConfig"), own_id),
            pdf=self._pdf(extension.find(f"{_A}pdfConfig")),
            subform_pdf=self._subform_pdf(extension.find(f"{_A}subformPdfConfig")),
            e_formidling=self._e_formidling(extension.find(f"{_A}eFormidlingConfig"), own_id),
        )

    def _actions(self, extension: Any, task: str) -> Iterator[Action]:
        for node in extension.findall(f"{_A}actions/{_A}action"):
            action = (node.text or "").strip()
            kind = node.get("type") or node.get(f"{_A}type") or "processAction"
            if not action:
                self._fault("process.action-invalid", "The action has no id.", self._place(node), task)
                continue
            if kind not in ("processAction", "serverAction"):
                self._fault(
                    "process.action-invalid",
                    f"The action {action!r} has the type {kind!r}; it is processAction or serverAction.",
                    self._place(node),
                    task,
                )
                continue
            yield Action(action, kind)

    def _signature(self, node: Any, task: str) -> SignatureConfig | None:
        if node is None:
            return None
        provider, states = _text(node, "signeeProviderId"), _text(node, "signeeStatesDataTypeId")
        if (provider is None) != (states is None):
            self._fault(
                "process.signature-config",
                "signeeProviderId and signeeStatesDataTypeId are given together, or neither is.",
                self._place(node),
                task,
            )
        return SignatureConfig(
            data_types_to_sign=_texts(node, "dataTypesToSign", "dataType"),
            signature_data_type=_text(node, "signatureDataType"),
            unique_from=_texts(node, "uniqueFromSignaturesInDataTypes", "dataType"),
            signee_provider_id=provider,
            signee_states_data_type=states,
            signing_pdf_data_type=_text(node, "signingPdfDataType"),
            correspondence_resource=self._by_environment(node.findall(f"{_A}correspondenceResource"), task),
            run_default_validator=(_text(node, "runDefaultValidator") or "").lower() == "true",
        )

    def _payment(self, node: Any, task: str) -> PaymentConfig | None:
        if node is None:
            return None
        config = PaymentConfig(
            data_type=_text(node, "paymentDataType"), receipt_pdf_data_type=_text(node, "paymentReceiptPdfDataType")
        )
        if config.data_type is None or config.receipt_pdf_data_type is None:
            self._fault(
                "process.payment-config",
                "paymentConfig needs both paymentDataType and paymentReceiptPdfDataType.",
                self._place(node),
                task,
            )
        return config

    @staticmethod
    def _pdf(node: Any) -> PdfConfig | None:
        if node is None:
            return None
        return PdfConfig(
            filename_text_key=_text(node, "filenameTextResourceKey"), task_ids=_texts(node, "autoPdfTaskIds", "taskId")
        )

    @staticmethod
    def _subform_pdf(node: Any) -> SubformPdfConfig | None:
        if node is None:
            return None
        return SubformPdfConfig(
            filename_text_key=_text(node, "filenameTextResourceKey"),
            component_id=_text(node, "subformComponentId"),
            data_type=_text(node, "subformDataTypeId"),
        )

    def _e_formidling(self, node: Any, task: str) -> EFormidlingConfig | None:
        if node is None:
            return None
        names = (
            "disabled",
            "receiver",
            "process",
            "standard",
            "typeVersion",
            "type",
            "securityLevel",
            "dpfShipmentType",
        )
        lists: dict[str, tuple[str, ...]] = {}
        for each in node.findall(f"{_A}dataTypes"):
            kind = self._kind(each, task)
            if kind is not None:
                lists[kind] = tuple((inner.text or "").strip() for inner in each.findall(f"{_A}dataType"))
        return EFormidlingConfig(
            values={name: self._by_environment(node.findall(f"{_A}{name}"), task) for name in names},
            data_types=EnvironmentValues(lists),
        )

    def _by_environment(self, nodes: list[Any], task: str) -> EnvironmentValues:
        found: dict[str, tuple[str, ...]] = {}
        for node in nodes:
            kind = self._kind(node, task)
            if kind is not None and (text := (node.text or "").strip()):
                found[kind] = (*found.get(kind, ()), text)
        return EnvironmentValues(found)

    def _kind(self, node: Any, task: str) -> str | None:
        written = node.get("env") or node.get(f"{_A}env") or ""
        kind = environment_kind(written) if written else ""
        if kind is None:
            self._fault(
                "process.environment-unknown",
                f"There is no environment {written!r}.",
                self._place(node),
                task,
                "warning",
            )
        return kind

    def _flow(self, node: Any, own_id: str, place: Place) -> None:
        source, target = node.get("sourceRef"), node.get("targetRef")
        if not source or not target:
            self._fault("process.flow-end-missing", f"The flow {own_id!r} lacks sourceRef or targetRef.", place, own_id)
            return
        condition = None
        expression = node.find(f"{_B}conditionExpression")
        if expression is not None and (text := (expression.text or "").strip()):
            condition = self._condition(text, self._place(expression), own_id)
        self.flows[own_id] = Flow(
            id=own_id, source=source, target=target, condition=condition, line=place[0], column=place[1]
        )

    def _condition(self, text: str, place: Place, flow: str) -> expressions.Expression | None:
        try:
            return expressions.compile(json.loads(text))
        except json.JSONDecodeError as error:
            message = f"The condition is not JSON: {error.msg}."
        except (RecursionError, ValueError) as error:
            message = f"The condition cannot be used: {error}."
        self._fault("process.condition", message, place, flow)
        return None

    def _connect(self) -> None:
        """What must hold between the elements for the walk to work."""
        for flow in list(self.flows.values()):
            for end in (flow.source, flow.target):
                if end not in self.elements:
                    self._fault(
                        "process.flow-end-missing",
                        f"The flow {flow.id!r} names {end!r}, which is not there.",
                        (flow.line, flow.column),
                        flow.id,
                    )
                    self.flows.pop(flow.id, None)
        process = Process(id="", elements=self.elements, flows=self.flows)
        starts = [element for element in self.elements.values() if isinstance(element, StartEvent)]
        if len(starts) != 1:
            place = (starts[1].line, starts[1].column) if len(starts) > 1 else (0, 0)
            self._fault("process.start-count", f"The process has {len(starts)} start events; one is expected.", place)
        if not process.end_events:
            self._fault("process.end-missing", "The process has no end event.", (0, 0))
        reachable = process.reachable()
        for element in self.elements.values():
            self._outgoing(process, element)
            if starts and element.id not in reachable:
                self._fault(
                    "process.unreachable",
                    f"Nothing leads from the start to {element.id!r}.",
                    (element.line, element.column),
                    element.id,
                    "warning",
                )

    def _outgoing(self, process: Process, element: Element) -> None:
        flows = process.outgoing(element.id)
        if isinstance(element, EndEvent):
            if flows:
                self._fault(
                    "process.outgoing-count",
                    f"The end event {element.id!r} has an outgoing flow.",
                    (element.line, element.column),
                    element.id,
                )
        elif isinstance(element, ExclusiveGateway):
            if not flows:
                self._fault(
                    "process.outgoing-count",
                    f"The gateway {element.id!r} has no outgoing flow.",
                    (element.line, element.column),
                    element.id,
                )
            if element.default and all(flow.id != element.default for flow in flows):
                self._fault(
                    "process.gateway-default",
                    f"The gateway's default flow {element.default!r} does not leave it.",
                    (element.line, element.column),
                    element.id,
                )
        elif len(flows) != 1:
            self._fault(
                "process.outgoing-count",
                f"{element.id!r} has {len(flows)} outgoing flows; one is expected.",
                (element.line, element.column),
                element.id,
            )


def _text(parent: Any, name: str) -> str | None:
    node = parent.find(f"{_A}{name}")
    return (node.text or "").strip() or None if node is not None else None


def _texts(parent: Any, outer: str, inner: str) -> tuple[str, ...]:
    found = (node.text or "" for node in parent.findall(f"{_A}{outer}/{_A}{inner}"))
    return tuple(text.strip() for text in found if text.strip())
