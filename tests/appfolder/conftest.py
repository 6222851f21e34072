"""A small app that is right in every file, and a way to change one thing in it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

METADATA = {
    "id": "ttd/small",
    "org": "ttd",
    "title": {"nb": "Liten tjeneste", "en": "Small service"},
    "dataTypes": [
        {
            "id": "form",
            "allowedContentTypes": ["application/xml"],
            "appLogic": {"autoCreate": True, "classRef": "App.Models.Form"},
            "taskId": "Task_1",
            "maxCount": 1,
            "minCount": 1,
        },
        {"id": "papers", "taskId": "Task_1", "maxSize": 10, "maxCount": 3, "minCount": 0},
    ],
}
PROCESS = """<?xml version="1.0" encoding="utf-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:altinn="http://altinn.no/process">
  <bpmn:process id="Small">
    <bpmn:startEvent id="Start" />
    <bpmn:task id="Task_1" name="Fill in">
      <bpmn:extensionElements>
        <altinn:taskExtension>
          <altinn:taskType>data</altinn:taskType>
        </altinn:taskExtension>
      </bpmn:extensionElements>
    </bpmn:task>
    <bpmn:endEvent id="End" />
    <bpmn:sequenceFlow id="f1" sourceRef="Start" targetRef="Task_1" />
    <bpmn:sequenceFlow id="f2" sourceRef="Task_1" targetRef="End" />
  </bpmn:process>
</bpmn:definitions>
"""


def _match(category: str, attribute: str, value: str) -> str:
    text = "http://www.w3.org/2001/XMLSchema#string"
    return f"""
          <xacml:Match MatchId="urn:oasis:names:tc:xacml:1.0:function:string-equal">
            <xacml:AttributeValue DataType="{text}">{value}</xacml:AttributeValue>
            <xacml:AttributeDesignator AttributeId="{attribute}" Category="{category}" DataType="{text}"
                MustBePresent="false" />
          </xacml:Match>"""


def policy(*actions: str, org: str = "ttd", app: str = "small") -> str:
    """A policy that lets a role do `actions`."""
    resource = "urn:oasis:names:tc:xacml:3.0:attribute-category:resource"
    action = "urn:oasis:names:tc:xacml:3.0:attribute-category:action"
    subject = "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject"
    wanted = "".join(
        f"<xacml:AllOf>{_match(action, 'urn:oasis:names:tc:xacml:1.0:action:action-id', each)}</xacml:AllOf>"
        for each in actions
    )
    where = _match(resource, "urn:altinn:org", org) + _match(resource, "urn:altinn:app", app)
    return f"""<?xml version="1.0" encoding="utf-8"?>
<xacml:Policy xmlns:xacml="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="urn:small" Version="1.0"
    RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides">
  <xacml:Target />
  <xacml:Rule RuleId="urn:small:1" Effect="Permit">
    <xacml:Target>
      <xacml:AnyOf><xacml:AllOf>{_match(subject, "urn:altinn:rolecode", "dagl")}</xacml:AllOf></xacml:AnyOf>
      <xacml:AnyOf><xacml:AllOf>{where}</xacml:AllOf></xacml:AnyOf>
      <xacml:AnyOf>{wanted}</xacml:AnyOf>
    </xacml:Target>
  </xacml:Rule>
</xacml:Policy>
"""


SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "colour": {"type": "string"},
        "address": {"$ref": "#/$defs/Address"},
        "children": {"type": "array", "items": {"type": "object", "properties": {"age": {"type": "integer"}}}},
    },
    "$defs": {"Address": {"type": "object", "properties": {"street": {"type": "string"}}}},
}
PAGE = {
    "data": {
        "layout": [
            {
                "id": "name",
                "type": "Input",
                "dataModelBindings": {"simpleBinding": "name"},
                "textResourceBindings": {"title": "form.name"},
            },
            {
                "id": "colour",
                "type": "Dropdown",
                "optionsId": "colours",
                "dataModelBindings": {"simpleBinding": "colour"},
                "hidden": ["equals", ["component", "name"], None],
            },
            {
                "id": "children",
                "type": "RepeatingGroup",
                "dataModelBindings": {"group": "children"},
                "children": ["age"],
            },
            {"id": "age", "type": "Input", "dataModelBindings": {"simpleBinding": "children.age"}},
            {
                "id": "papers",
                "type": "FileUpload",
                "displayMode": "list",
                "maxFileSizeInMB": 10,
                "maxNumberOfAttachments": 3,
                "minNumberOfAttachments": 0,
            },
            {"id": "send", "type": "Button"},
        ]
    }
}


def right_files() -> dict[str, Any]:
    """Every file of the app; JSON as values."""
    return copy.deepcopy(
        {
            "App/config/applicationmetadata.json": METADATA,
            "App/config/process/process.bpmn": PROCESS,
            "App/config/authorization/policy.xml": policy("instantiate", "read", "write"),
            "App/config/texts/resource.nb.json": {
                "language": "nb",
                "resources": [{"id": "form.name", "value": "Navn"}],
            },
            "App/ui/layout-sets.json": {"sets": [{"id": "first", "dataType": "form", "tasks": ["Task_1"]}]},
            "App/ui/first/Settings.json": {"pages": {"order": ["page1"]}},
            "App/ui/first/layouts/page1.json": PAGE,
            "App/models/form.schema.json": SCHEMA,
            "App/options/colours.json": [{"value": "r", "label": "Rød"}, {"value": 2, "label": "Blå"}],
        }
    )


class AppMaker:
    """Writes the app into a folder, changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = right_files()

    def json(self, file: str) -> Any:
        """The value of a JSON file, to be changed."""
        return self.files[f"App/{file}"]

    def set(self, file: str, content: Any) -> None:
        """Another content; None removes the file."""
        self.files[file] = content

    def write(self) -> Path:
        """Write it, and give the folder."""
        for file, content in self.files.items():
            if content is None:
                continue
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                text = content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False)
                path.write_text(text, encoding="utf-8")
        return self.folder


@pytest.fixture
def app(tmp_path: Path) -> AppMaker:
    return AppMaker(tmp_path / "small")


@pytest.fixture
def make_policy() -> Callable[..., str]:
    return policy
