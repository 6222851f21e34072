"""App folders for tests: process, policy, schema and layout of a small form, changed before it is written."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

STRING = "http://www.w3.org/2001/XMLSchema#string"
CATEGORIES = {
    "urn:altinn:rolecode": "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject",
    "urn:altinn:org": "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject",
    "urn:oasis:names:tc:xacml:1.0:action:action-id": "urn:oasis:names:tc:xacml:3.0:attribute-category:action",
}
ACTIONS = ["instantiate", "read", "write", "delete", "confirm", "reject", "complete", "beregn", "hemmelig"]


def policy(rules: list[tuple[str, str, list[str]]], *, level: int = 0) -> str:
    """Rules of (subject attribute, value, actions)."""

    def any_of(attribute: str, values: list[str]) -> str:
        return "<AnyOf>" + "".join(
            '<AllOf><Match MatchId="urn:oasis:names:tc:xacml:1.0:function:string-equal">'
            f'<AttributeValue DataType="{STRING}">{value}</AttributeValue>'
            f'<AttributeDesignator AttributeId="{attribute}" Category="{CATEGORIES[attribute]}" DataType="{STRING}"'
            ' MustBePresent="false"/></Match></AllOf>'
            for value in values
        ) + "</AnyOf>"  # fmt: skip

    text = "".join(
        f'<Rule RuleId="r{number}" Effect="Permit"><Target>{any_of(attribute, [value])}'
        f"{any_of('urn:oasis:names:tc:xacml:1.0:action:action-id', actions)}</Target></Rule>"
        for number, (attribute, value, actions) in enumerate(rules)
    )
    obligation = (
        '<ObligationExpressions><ObligationExpression FulfillOn="Permit"'
        ' ObligationId="urn:altinn:obligation:authenticationLevel1">'
        '<AttributeAssignmentExpression AttributeId="urn:altinn:obligation1-assignment1"'
        ' Category="urn:altinn:minimum-authenticationlevel">'
        f'<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#integer">{level}</AttributeValue>'
        "</AttributeAssignmentExpression></ObligationExpression></ObligationExpressions>"
        if level
        else ""
    )
    return (
        '<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p" Version="1.0"'
        ' RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides">'
        f"<Target/>{text}{obligation}</Policy>"
    )


def bpmn(steps: list[tuple[str, str, list[str]]], *, service: frozenset[str] = frozenset()) -> str:
    """A process straight through tasks (id, type, actions); an action `x!` is a server action."""
    ids = ["Start", *(step[0] for step in steps), "End"]
    flows = "".join(
        f'<bpmn:sequenceFlow id="F{n}" sourceRef="{a}" targetRef="{b}"/>'
        for n, (a, b) in enumerate(itertools.pairwise(ids))
    )
    tasks = ""
    for task_id, kind, actions in steps:
        element = "serviceTask" if task_id in service else "task"
        declared = "".join(
            f'<altinn:action type="serverAction">{name[:-1]}</altinn:action>'
            if name.endswith("!")
            else f"<altinn:action>{name}</altinn:action>"
            for name in actions
        )
        tasks += (
            f'<bpmn:{element} id="{task_id}" name="{task_id}"><bpmn:extensionElements><altinn:taskExtension>'
            f"<altinn:taskType>{kind}</altinn:taskType><altinn:actions>{declared}</altinn:actions>"
            f"</altinn:taskExtension></bpmn:extensionElements></bpmn:{element}>"
        )
    return (
        '<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"'
        ' xmlns:altinn="http://altinn.no/process" id="d"><bpmn:process id="p">'
        f'<bpmn:startEvent id="Start"/>{tasks}<bpmn:endEvent id="End"/>{flows}</bpmn:process></bpmn:definitions>'
    )


SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "navn": {"type": "string", "maxLength": 20},
        "alder": {"type": "integer", "minimum": 0},
        "epost": {"type": "string"},
        "hemmelig": {"type": "string"},
        "sum": {"type": "number"},
        "barn": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"navn": {"type": "string", "maxLength": 10}, "alder": {"type": "integer"}},
            },
        },
    },
    "required": ["navn"],
}

LAYOUT: list[dict[str, Any]] = [
    {"id": "overskrift", "type": "Header", "size": "L", "textResourceBindings": {"title": "om.deg"}},
    {
        "id": "navn",
        "type": "Input",
        "required": True,
        "dataModelBindings": {"simpleBinding": "navn"},
        "textResourceBindings": {"title": "ditt.navn"},
    },
    {"id": "alder", "type": "Input", "dataModelBindings": {"simpleBinding": "alder"}},
    {
        "id": "hemmelig",
        "type": "Input",
        "required": True,
        "hidden": ["notEquals", ["dataModel", "navn"], "Agent"],
        "dataModelBindings": {"simpleBinding": "hemmelig"},
    },
    {
        "id": "barn",
        "type": "RepeatingGroup",
        "dataModelBindings": {"group": "barn"},
        "children": ["barn-navn", "barn-alder"],
        "textResourceBindings": {"title": "barn"},
    },
    {
        "id": "barn-navn",
        "type": "Input",
        "required": True,
        "dataModelBindings": {"simpleBinding": "barn.navn"},
        "textResourceBindings": {"title": "barnets.navn"},
    },
    {"id": "barn-alder", "type": "Input", "dataModelBindings": {"simpleBinding": "barn.alder"}},
    {
        "id": "vedlegg",
        "type": "FileUpload",
        "maxFileSizeInMB": 1,
        "maxNumberOfAttachments": 2,
        "minNumberOfAttachments": 0,
        "displayMode": "list",
    },
]


class Builder:
    """Writes an app folder of the older shape: one form, one attachment type; a test changes what it is about."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.metadata: dict[str, Any] = {
            "id": "ttd/prove",
            "org": "ttd",
            "title": {"nb": "Prøveskjema"},
            "dataTypes": [
                {
                    "id": "skjema",
                    "allowedContentTypes": ["application/xml"],
                    "appLogic": {"autoCreate": True, "classRef": "Skjema"},
                    "taskId": "Task_1",
                    "maxCount": 1,
                    "minCount": 1,
                },
                {
                    "id": "vedlegg",
                    "allowedContentTypes": ["application/pdf", "image/png"],
                    "taskId": "Task_1",
                    "maxSize": 1,
                    "maxCount": 2,
                    "minCount": 0,
                },
            ],
            "partyTypesAllowed": {"person": True, "organisation": True, "subUnit": False, "bankruptcyEstate": False},
            "presentationFields": [{"id": "navn", "path": "navn", "dataTypeId": "skjema"}],
            "dataFields": [{"id": "alder", "path": "alder", "dataTypeId": "skjema"}],
        }
        self.schema = json.loads(json.dumps(SCHEMA))
        self.layout = json.loads(json.dumps(LAYOUT))
        self.steps: list[tuple[str, str, list[str]]] = [("Task_1", "data", [])]
        self.service: frozenset[str] = frozenset()
        self.rules = [
            ("urn:altinn:rolecode", "priv", ACTIONS),
            ("urn:altinn:rolecode", "dagl", ACTIONS),
            ("urn:altinn:org", "ttd", ACTIONS),
        ]
        self.level = 0
        self.texts = {
            "om.deg": "Om deg",
            "ditt.navn": "Ditt navn",
            "barn": "Barn",
            "barnets.navn": "Barnets navn",
            "hilsen": "Hei, {0}!",
        }
        self.hooks = ""
        self.files: dict[str, Any] = {}
        self.settings: dict[str, Any] = {}

    def write(self) -> Path:
        app = self.root / "App"
        variables = [{"key": "navn", "dataSource": "dataModel.default", "defaultValue": "du"}]
        resources = [
            {"id": key, "value": value, **({"variables": variables} if "{0}" in value else {})}
            for key, value in self.texts.items()
        ]
        files: dict[str, Any] = {
            "config/applicationmetadata.json": self.metadata,
            "config/process/process.bpmn": bpmn(self.steps, service=self.service),
            "config/authorization/policy.xml": policy(self.rules, level=self.level),
            "config/texts/resource.nb.json": {"language": "nb", "resources": resources},
            "ui/layout-sets.json": {"sets": [{"id": "form", "dataType": "skjema", "tasks": ["Task_1"]}]},
            "ui/form/Settings.json": {"pages": {"order": ["side1"]}},
            "ui/form/layouts/side1.json": {"data": {"layout": self.layout}},
            "models/skjema.schema.json": self.schema,
            "appsettings.json": {"AppSettings": self.settings},
            **self.files,
        }
        if self.hooks:
            files["logic/hooks.py"] = self.hooks
        for name, content in files.items():
            path = app / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False))
        return self.root
