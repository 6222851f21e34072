"""Reading BPMN."""

from __future__ import annotations

import pytest

from havn.engines.process import Action, ProcessError, Task, read
from havn.engines.process.reading import environment_kind, examine

HEAD = (
    '<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" '
    'xmlns:altinn="http://altinn.no/process"><bpmn:process id="P">\n'
)
TAIL = "</bpmn:process></bpmn:definitions>"


def document(extension: str, kind: str = "task") -> bytes:
    return (
        f'{HEAD}<bpmn:startEvent id="S"/>\n'
        f'<bpmn:{kind} id="T" name="Do it"><bpmn:extensionElements><altinn:taskExtension>{extension}'
        f'</altinn:taskExtension></bpmn:extensionElements></bpmn:{kind}>\n<bpmn:endEvent id="E"/>\n'
        '<bpmn:sequenceFlow id="a" sourceRef="S" targetRef="T"/>\n'
        '<bpmn:sequenceFlow id="b" sourceRef="T" targetRef="E"/>\n'
        f"{TAIL}"
    ).encode()


def only_task(extension: str, kind: str = "task") -> Task:
    [task] = read(document(extension, kind)).tasks
    return task


def test_a_task_has_type_name_and_actions() -> None:
    task = only_task(
        "<altinn:taskType>data</altinn:taskType><altinn:actions><altinn:action>reject</altinn:action>"
        '<altinn:action type="serverAction">look</altinn:action></altinn:actions>'
    )
    assert (task.id, task.name, task.task_type, task.service) == ("T", "Do it", "data", False)
    assert task.actions == (Action("reject"), Action("look", "serverAction"))
    assert task.action("look") == Action("look", "serverAction")
    assert task.next_actions == ("write",)


def test_a_signing_task_says_what_is_signed_by_environment() -> None:
    task = only_task(
        "<altinn:taskType>signing</altinn:taskType><altinn:signatureConfig><altinn:dataTypesToSign>"
        "<altinn:dataType>form</altinn:dataType><altinn:dataType>papers</altinn:dataType></altinn:dataTypesToSign>"
        "<altinn:signatureDataType>signatures</altinn:signatureDataType>"
        "<altinn:correspondenceResource>all</altinn:correspondenceResource>"
        '<altinn:correspondenceResource env="tt02">test</altinn:correspondenceResource>'
        "<altinn:runDefaultValidator>true</altinn:runDefaultValidator></altinn:signatureConfig>"
    )
    config = task.signature
    assert config is not None
    assert config.data_types_to_sign == ("form", "papers")
    assert config.signature_data_type == "signatures"
    assert config.run_default_validator
    assert config.correspondence_resource.one("staging") == "test"
    assert config.correspondence_resource.one("production") == "all"


def test_a_pdf_task_names_the_tasks_it_prints() -> None:
    task = only_task(
        "<altinn:taskType>pdf</altinn:taskType><altinn:pdfConfig><altinn:filenameTextResourceKey>file"
        "</altinn:filenameTextResourceKey><altinn:autoPdfTaskIds><altinn:taskId>T</altinn:taskId></altinn:autoPdfTaskIds>"
        "</altinn:pdfConfig>",
        "serviceTask",
    )
    assert task.service
    assert task.pdf is not None
    assert (task.pdf.filename_text_key, task.pdf.task_ids) == ("file", ("T",))


def test_a_shipment_differs_by_environment() -> None:
    task = only_task(
        "<altinn:taskType>eFormidling</altinn:taskType><altinn:eFormidlingConfig>"
        "<altinn:receiver>1</altinn:receiver><altinn:receiver env='production'>2</altinn:receiver>"
        "<altinn:dataTypes env='at22'><altinn:dataType>a</altinn:dataType></altinn:dataTypes>"
        "</altinn:eFormidlingConfig>",
        "serviceTask",
    )
    config = task.e_formidling
    assert config is not None
    assert (config.values["receiver"].one("production"), config.values["receiver"].one("staging")) == ("2", "1")
    assert config.data_types.all("staging") == ("a",)
    assert config.data_types.all("production") == ()


def test_every_fault_is_told_with_its_place() -> None:
    xml = (
        f'{HEAD}<bpmn:startEvent id="S"/>\n<bpmn:task\n   id="T"/>\n<bpmn:task id="T"/>\n'
        f'  <bpmn:sequenceFlow id="a" sourceRef="S" targetRef="X"/>{TAIL}'
    )
    with pytest.raises(ProcessError) as failure:
        read(xml.encode())
    found = {(fault.code, fault.line, fault.column) for fault in failure.value.faults}
    assert ("process.task-type-missing", 3, 1) in found
    assert ("process.id-twice", 5, 1) in found
    assert ("process.flow-end-missing", 6, 3) in found
    assert ("process.end-missing", 0, 0) in found


def test_a_condition_that_is_wrong_is_a_fault_of_its_line() -> None:
    broken = document("<altinn:taskType>data</altinn:taskType>").replace(
        b'sourceRef="T" targetRef="E"/>',
        b'sourceRef="T" targetRef="E">\n<bpmn:conditionExpression>["equal", 1]</bpmn:conditionExpression>'
        b"</bpmn:sequenceFlow>",
    )
    _, faults = examine(broken)
    assert [(fault.code, fault.line) for fault in faults] == [("process.condition", 7)]


@pytest.mark.parametrize(
    "xml",
    [
        b"",
        b"<a",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b'<?xml version="1.0"?><!DOCTYPE bpmn:definitions SYSTEM "http://example.com/x.dtd"><bpmn:definitions '
        b'xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"><bpmn:process id="p"/></bpmn:definitions>',
        b"<a>" * 10_000,
        b"\xff\xfe\x00",
        HEAD.encode() + TAIL.encode() + b" " * 6_000_000,
    ],
    ids=range(8),
)
def test_what_is_no_process_is_refused(xml: bytes) -> None:
    with pytest.raises(ProcessError):
        read(xml)


@pytest.mark.parametrize(
    ("written", "kind"),
    [("tt02", "staging"), ("YT01", "staging"), ("at23", "staging"), ("prod", "production"), ("dev", "development"),
     ("att", None), ("", None), ("x", None)],
)  # fmt: skip
def test_environments_are_of_three_kinds(written: str, kind: str | None) -> None:
    assert environment_kind(written) == kind
