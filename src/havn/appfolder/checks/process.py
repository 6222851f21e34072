"""The process against the rest: data types, layout sets, actions in the policy, tasks that need code."""

from __future__ import annotations

from collections.abc import Iterable

from havn.appfolder.checks.expressions import Scope
from havn.appfolder.checks.schema import names_of
from havn.appfolder.checks.subject import Subject
from havn.engines import expressions
from havn.engines.process import ExclusiveGateway, Flow, Task

_KNOWN = frozenset(
    {"data", "confirmation", "feedback", "signing", "payment", "pdf", "subformPdf", "eFormidling", "fiksArkiv"}
)
_SERVICE = frozenset({"pdf", "subformPdf", "eFormidling", "fiksArkiv"})


def check(subject: Subject, permitted: frozenset[str] | None) -> None:
    """Report what does not fit. `permitted`: the actions that some rule of the policy permits; None when unknown."""
    process = subject.process
    if process is None:
        return
    drawn = {task for found in subject.sets.values() for task in found.tasks}
    entry = subject.metadata.on_entry
    stateless = entry is not None and entry.show in subject.sets
    for task in process.tasks:
        # A form without instances needs a process by the format, but never enters it.
        wanted = task.task_type in ("data", "signing", "payment") and not (stateless and not drawn)
        if wanted and task.id not in drawn:
            severity = "error" if task.task_type == "data" and not stateless else "warning"
            subject.files.report(
                severity,  # type: ignore[arg-type]
                "process.layout-set-missing",
                f"No layout set draws the task {task.id!r}.",
                subject.process_file,
                (task.line, task.column),
                "Name the task in ui/layout-sets.json." if subject.is_v8 else f"Make the folder ui/{task.id}/.",
            )
        _type(subject, task)
        _references(subject, task)
        if permitted is not None and task.task_type:
            _actions(subject, task, permitted)
        for action in task.actions:
            if action.type == "serverAction" and action.id.lower() not in subject.hook_keys("action"):
                _report(
                    subject,
                    "code.action-missing",
                    f"There is no code for the action {action.id!r}.",
                    task,
                    f'Write a function with @action("{action.id}") in logic/hooks.py.',
                    warning=True,
                )
    for gateway in process.gateways:
        if gateway.connected_data_type and gateway.connected_data_type not in subject.form_types:
            _report(
                subject,
                "process.data-type-unknown",
                f"There is no form data type {gateway.connected_data_type!r} for the gateway to read.",
                gateway,
            )
        flows = process.outgoing(gateway.id)
        undecided = len(flows) > 1 and not gateway.default and all(flow.condition is None for flow in flows)
        if undecided and gateway.id.lower() not in subject.hook_keys("gateway"):
            _report(
                subject,
                "process.gateway-undecided",
                f"Nothing decides at the gateway {gateway.id!r}: it has no condition, no default flow and no code.",
                gateway,
                f'Give the flows conditions, or write a function with @gateway("{gateway.id}") in logic/hooks.py.',
                warning=True,
            )
    _conditions(subject)


def _report(
    subject: Subject,
    code: str,
    message: str,
    at: Task | ExclusiveGateway | Flow,
    hint: str = "",
    *,
    warning: bool = False,
) -> None:
    severity = "warning" if warning else "error"
    subject.files.report(severity, code, message, subject.process_file, (at.line, at.column), hint)  # type: ignore[arg-type]


def _type(subject: Subject, task: Task) -> None:
    if task.task_type in _SERVICE and not task.service:
        _report(
            subject,
            "process.service-task",
            f"The task {task.id!r} is of type {task.task_type}, so it must be a serviceTask.",
            task,
        )
    if task.task_type and task.task_type not in _KNOWN:
        kind = "service_task" if task.service else "task_start"
        argument = task.task_type if task.service else task.id
        if argument.lower() in subject.hook_keys(kind):
            return
        _report(
            subject,
            "process.task-type-unknown",
            f"{task.task_type!r} is not a type of task that Havn knows, so the task {task.id!r} needs code.",
            task,
            f'Write a function with @{kind}("{argument}") in logic/hooks.py.',
            warning=True,
        )


def _references(subject: Subject, task: Task) -> None:
    named: list[tuple[str, str | None]] = []
    if task.task_type == "signing":
        config = task.signature
        if config is None or not config.signature_data_type or not config.data_types_to_sign:
            _report(
                subject,
                "process.signature-config",
                f"The signing task {task.id!r} does not say what is signed (dataTypesToSign) and where signatures go "
                "(signatureDataType).",
                task,
            )
    if task.signature is not None:
        named += [("dataTypesToSign", name) for name in task.signature.data_types_to_sign]
        named += [("uniqueFromSignaturesInDataTypes", name) for name in task.signature.unique_from]
        named += [
            ("signatureDataType", task.signature.signature_data_type),
            ("signeeStatesDataTypeId", task.signature.signee_states_data_type),
            ("signingPdfDataType", task.signature.signing_pdf_data_type),
        ]
    if task.task_type == "payment" and task.payment is None:
        _report(subject, "process.payment-config", f"The payment task {task.id!r} has no paymentConfig.", task)
    if task.payment is not None:
        named += [
            ("paymentDataType", task.payment.data_type),
            ("paymentReceiptPdfDataType", task.payment.receipt_pdf_data_type),
        ]
    if task.subform_pdf is not None:
        named.append(("subformDataTypeId", task.subform_pdf.data_type))
    for member, name in named:
        if name and name not in subject.data_types and subject.has_metadata:
            _report(
                subject,
                "process.data-type-unknown",
                f"{member} of the task {task.id!r} names the data type {name!r}, which is not in the application "
                "metadata.",
                task,
            )
    for other in task.pdf.task_ids if task.pdf else ():
        if other not in subject.task_ids:
            _report(
                subject,
                "process.task-unknown",
                f"The PDF of {task.id!r} is of {other!r}, which is no task.",
                task,
            )


def _actions(subject: Subject, task: Task, permitted: frozenset[str]) -> None:
    needed: Iterable[tuple[tuple[str, ...], str]] = [
        (task.next_actions, "moving on from"),
        *(((action.id,), f"the action {action.id!r} of") for action in task.actions),
    ]
    for actions, what in needed:
        if task.service and what == "moving on from":
            continue
        if not permitted.intersection(actions):
            _report(
                subject,
                "process.action-not-permitted",
                f"No rule of the policy permits {' or '.join(map(repr, actions))}, which {what} the task {task.id!r} "
                "needs.",
                task,
                "Add the action to a rule in config/authorization/policy.xml.",
                warning=True,
            )


def _conditions(subject: Subject) -> None:
    process = subject.process
    assert process is not None
    for flow in process.flows.values():
        if flow.condition is None:
            continue
        gateway = next((found for found in process.gateways if found.id == flow.source), None)
        scope = Scope(data_type=gateway.connected_data_type if gateway else None)
        if gateway is None:
            _report(
                subject,
                "process.condition",
                f"The flow {flow.id!r} has a condition, but does not leave a gateway, so it is never asked.",
                flow,
                warning=True,
            )
        for _, name, arguments in expressions.calls(flow.condition.source):
            if name == "dataModel" and arguments and isinstance(arguments[0], str):
                _path(subject, flow, arguments, scope)


def _path(subject: Subject, flow: Flow, arguments: list[object], scope: Scope) -> None:
    data_type = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], str) else scope.data_type
    schema = subject.schemas.get(data_type) if data_type else None
    if schema is None:
        return
    found = schema.find(names_of(str(arguments[0])))
    if not found.exists:
        _report(
            subject,
            "expression.path-unknown",
            f"The model {data_type!r} has no {arguments[0]!r}.",
            flow,
            f"Did you mean {found.near!r}?" if found.near else "",
        )
