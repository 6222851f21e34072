"""The process of an app: BPMN 2.0 with the Altinn extensions, read once, walked element by element. Pure.

    process = read(xml)                                       # ProcessError with every fault and its line
    process.next("Task_1", evaluate=...)                      # the task or end event that follows

Elements read: start event, task, service task, exclusive gateway, end event, sequence flow. The diagram is ignored.
"""

from havn.engines.process.errors import Fault, ProcessError, RoutingError
from havn.engines.process.model import (
    TASK_ACTIONS,
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
from havn.engines.process.reading import read

__all__ = [
    "TASK_ACTIONS",
    "Action",
    "EFormidlingConfig",
    "Element",
    "EndEvent",
    "EnvironmentValues",
    "ExclusiveGateway",
    "Fault",
    "Flow",
    "PaymentConfig",
    "PdfConfig",
    "Process",
    "ProcessError",
    "RoutingError",
    "SignatureConfig",
    "StartEvent",
    "SubformPdfConfig",
    "Task",
    "read",
]
