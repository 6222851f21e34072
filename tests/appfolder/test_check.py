"""Every code that a check can give: one change to a right app, and where the finding must point."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from havn.appfolder import AppId, Finding, check

META = "App/config/applicationmetadata.json"
BPMN = "App/config/process/process.bpmn"
POLICY = "App/config/authorization/policy.xml"
POLICY_CASES = "App/config/authorization/policy.test.yaml"
NB = "App/config/texts/resource.nb.json"
SETS = "App/ui/layout-sets.json"
SETTINGS = "App/ui/first/Settings.json"
PAGE = "App/ui/first/layouts/page1.json"
FOOTER = "App/ui/footer.json"
COLOURS = "App/options/colours.json"
SCHEMA = "App/models/form.schema.json"
VALUES = "deployment/values.yaml"
HOOKS = "App/logic/hooks.py"


class Case(NamedTuple):
    code: str
    change: Callable[[Any], None]
    file: str
    begins: str = ""
    """What stands in the file at the line and column; empty when the finding has no place."""
    severity: str = "error"


def put(file: str, content: Any) -> Callable[[Any], None]:
    return lambda app: app.set(file, content)


def edit(file: str, *path: Any, value: Any = None, remove: bool = False) -> Callable[[Any], None]:
    """Set (or remove) one value in a JSON file; an index one beyond the end appends."""

    def change(app: Any) -> None:
        here = app.files[file]
        for step in path[:-1]:
            here = here[step]
        if remove:
            del here[path[-1]]
        elif isinstance(here, list) and path[-1] == len(here):
            here.append(value)
        else:
            here[path[-1]] = value

    return change


def replace(file: str, old: str, new: str) -> Callable[[Any], None]:
    def change(app: Any) -> None:
        assert old in app.files[file]
        app.set(file, app.files[file].replace(old, new))

    return change


def both(*changes: Callable[[Any], None]) -> Callable[[Any], None]:
    def change(app: Any) -> None:
        for each in changes:
            each(app)

    return change


def component(raw: dict[str, Any]) -> Callable[[Any], None]:
    return edit(PAGE, "data", "layout", 6, value=raw)


def in_first(member: str, value: Any) -> Callable[[Any], None]:
    return edit(PAGE, "data", "layout", 0, member, value=value)


def data_type(index: int, member: str, value: Any) -> Callable[[Any], None]:
    return edit(META, "dataTypes", index, member, value=value)


def link_outside(app: Any) -> None:
    app.write()
    app.set(FOOTER, None)
    (app.folder / FOOTER).symlink_to("/etc/hostname")


def flow(text: str) -> Callable[[Any], None]:
    return replace(BPMN, '<bpmn:endEvent id="End" />', f'<bpmn:endEvent id="End" />\n    {text}')


GATEWAY = both(
    replace(BPMN, '<bpmn:endEvent id="End" />', '<bpmn:endEvent id="End" /><bpmn:exclusiveGateway id="G" />'),
    replace(BPMN, 'sourceRef="Task_1" targetRef="End" />', 'sourceRef="Task_1" targetRef="G" />'
            '<bpmn:sequenceFlow id="f3" sourceRef="G" targetRef="End" />'
            '<bpmn:sequenceFlow id="f4" sourceRef="G" targetRef="Task_1" />'),
)  # fmt: skip
TYPE = "<altinn:taskType>data</altinn:taskType>"
RULES = {"condition": ["equals", ["dataModel", ["argv", 0]], "x"], "message": "wrong"}
TEXT = {"id": "form.name", "value": "{0} {1}", "variables": [{"key": "name", "dataSource": "dataModel.form"}]}
TEXTS = {"language": "nb", "resources": [TEXT]}

CASES = [
    # The folder and its files
    Case("app.placeholder", edit(META, "id", value="[ORG]/[APP]"), META, "[ORG]", "warning"),
    Case("file.encoding", put(FOOTER, b'{"footer": [\xff]}'), FOOTER, "\ufffd"),
    Case("file.too-large", put(FOOTER, b" " * 6_000_000), FOOTER),
    Case("file.outside", link_outside, FOOTER),
    Case("json.syntax", put(FOOTER, '{"footer": [\n  {"type" "Link"}]}'), FOOTER, '"Link"'),
    Case("json.member-twice", put(FOOTER, '{"footer": [],\n "footer": []}'), FOOTER, '"footer"', "warning"),
    Case("yaml.syntax", put(VALUES, "deployment:\n  a: &x 1\n  b: *x\n"), VALUES, "*x"),
    Case("yaml.syntax", put(VALUES, "deployment: [1,\n"), VALUES),
    Case("settings.invalid", put("App/appsettings.json", "[]"), "App/appsettings.json", "["),
    Case("deployment.invalid", put(VALUES, "[]"), VALUES, "["),
    Case("deployment.ignored", put(VALUES, "deployment:\n  volumes:\n    - a\n"), VALUES, "volumes", "warning"),
    Case("deployment.value", put(VALUES, "autoscaling:\n  replicas:\n    max: many\n"), VALUES, "max"),
    Case("deployment.api", put("deployment/api.yaml", "api: []\n"), "deployment/api.yaml", "api"),
    Case("deployment.egress", put("deployment/egress.yaml", "hosts: []\n"), "deployment/egress.yaml", "hosts"),
    Case("footer.invalid", put(FOOTER, {"footer": [{"type": "Link", "title": "x"}]}), FOOTER, "{"),
    Case("code.python", put(HOOKS, "def f(:\n"), HOOKS, ":"),
    Case("code.csharp", put("App/logic/A.cs", "namespace A;\npublic class A : IDataProcessor {}"), "App/logic/A.cs",
         "public", "warning"),
    # Metadata
    Case("metadata.missing", put(META, None), META),
    Case("metadata.invalid", data_type(1, "maxCount", "three"), META, '"three"'),
    Case("metadata.id", edit(META, "id", value="ttd/ttd"), META, '"ttd/ttd"'),
    Case("metadata.org-mismatch", edit(META, "org", value="brg"), META, '"brg"'),
    Case("metadata.title-missing", edit(META, "title", value={}), META, "{"),
    Case("metadata.data-type-id", data_type(1, "id", "../x"), META, '"../x"'),
    Case("metadata.data-type-twice", data_type(1, "id", "form"), META, '"form"'),
    Case("metadata.data-type-unknown", edit(META, "presentationFields", value=[
        {"id": "a", "path": "name", "dataTypeId": "other"}]), META, '"other"'),
    Case("metadata.field-path-unknown", edit(META, "dataFields", value=[
        {"id": "a", "path": "nam", "dataTypeId": "form"}]), META, '"nam"'),
    Case("metadata.task-unknown", data_type(1, "taskId", "Task_9"), META, '"Task_9"'),
    Case("metadata.count-order", data_type(1, "minCount", 4), META, "4"),
    Case("metadata.on-entry-unknown", edit(META, "onEntry", value={"show": "other"}), META, '"other"'),
    Case("metadata.e-formidling", edit(META, "eFormidling", value={"serviceId": "DPF"}), META, '"eFormidling"',
         "warning"),
    Case("code.file-hook-missing", data_type(1, "enabledFileAnalysers", ["mime"]), META, '"mime"', "warning"),
    # Process
    Case("process.missing", put(BPMN, None), BPMN),
    Case("process.syntax", put(BPMN, "<a>\n<b>"), BPMN),
    Case("process.syntax", put(BPMN, '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), BPMN, "<"),
    Case("process.count", replace(BPMN, "</bpmn:process>", '</bpmn:process><bpmn:process id="B" />'), BPMN,
         '<bpmn:process id="B"'),
    Case("process.id-missing", flow("<bpmn:endEvent />"), BPMN, "<bpmn:endEvent />"),
    Case("process.id-twice", flow('<bpmn:endEvent id="End" />'), BPMN, '<bpmn:endEvent id="End"'),
    Case("process.element-unsupported", flow('<bpmn:parallelGateway id="p" />'), BPMN, "<bpmn:parallelGateway"),
    Case("process.start-count", flow('<bpmn:startEvent id="s2" />'), BPMN, '<bpmn:startEvent id="s2"'),
    Case("process.end-missing", replace(BPMN, '<bpmn:endEvent id="End" />', ""), BPMN),
    Case("process.flow-end-missing", flow('<bpmn:sequenceFlow id="f3" sourceRef="Task_1" targetRef="X" />'), BPMN,
         '<bpmn:sequenceFlow id="f3"'),
    Case("process.outgoing-count", flow('<bpmn:sequenceFlow id="f3" sourceRef="Task_1" targetRef="End" />'), BPMN,
         '<bpmn:task id="Task_1"'),
    Case("process.unreachable", flow('<bpmn:endEvent id="End2" />'), BPMN, '<bpmn:endEvent id="End2"', "warning"),
    Case("process.task-type-missing", replace(BPMN, TYPE, ""), BPMN, "<bpmn:task"),
    Case("process.task-type-unknown", replace(BPMN, TYPE, TYPE.replace("data", "own")), BPMN, "<bpmn:task", "warning"),
    Case("process.service-task", replace(BPMN, TYPE, TYPE.replace("data", "pdf")), BPMN, "<bpmn:task"),
    Case("process.action-invalid", replace(BPMN, TYPE, TYPE + "<altinn:actions><altinn:action type='x'>a"
         "</altinn:action></altinn:actions>"), BPMN, "<altinn:action type"),
    Case("process.signature-config", replace(BPMN, TYPE, TYPE.replace("data", "signing")), BPMN, "<bpmn:task"),
    Case("process.payment-config", replace(BPMN, TYPE, TYPE.replace("data", "payment") + "<altinn:paymentConfig />"),
         BPMN, "<altinn:paymentConfig"),
    Case("process.data-type-unknown", replace(BPMN, TYPE, TYPE + "<altinn:subformPdfConfig><altinn:subformDataTypeId>"
         "other</altinn:subformDataTypeId></altinn:subformPdfConfig>"), BPMN, "<bpmn:task"),
    Case("process.task-unknown", replace(BPMN, TYPE, TYPE + "<altinn:pdfConfig><altinn:autoPdfTaskIds><altinn:taskId>T"
         "</altinn:taskId></altinn:autoPdfTaskIds></altinn:pdfConfig>"), BPMN, "<bpmn:task"),
    Case("process.environment-unknown", replace(BPMN, TYPE, TYPE + "<altinn:eFormidlingConfig><altinn:receiver env='x'>"
         "1</altinn:receiver></altinn:eFormidlingConfig>"), BPMN, "<altinn:receiver", "warning"),
    Case("process.gateway-default", both(GATEWAY, replace(BPMN, 'Gateway id="G"', 'Gateway id="G" default="f1"')), BPMN,
         "<bpmn:exclusiveGateway"),
    Case("process.gateway-undecided", GATEWAY, BPMN, "<bpmn:exclusiveGateway", "warning"),
    Case("process.condition", both(GATEWAY, replace(BPMN, 'id="f4" sourceRef="G" targetRef="Task_1" />',
         'id="f4" sourceRef="G" targetRef="Task_1"><bpmn:conditionExpression>["equals"]</bpmn:conditionExpression>'
         "</bpmn:sequenceFlow>")), BPMN, "<bpmn:conditionExpression"),
    Case("process.layout-set-missing", edit(SETS, "sets", 0, "tasks", value=[]), BPMN, "<bpmn:task"),
    Case("process.action-not-permitted", replace(POLICY, ">write<", ">other<"), BPMN, "<bpmn:task", "warning"),
    Case("code.action-missing", replace(BPMN, TYPE, TYPE + "<altinn:actions><altinn:action type='serverAction'>a"
         "</altinn:action></altinn:actions>"), BPMN, "<bpmn:task", "warning"),
    # Policy
    Case("policy.missing", put(POLICY, None), POLICY),
    Case("policy.invalid", replace(POLICY, "deny-overrides", "no-such"), POLICY, "<xacml:Policy"),
    Case("policy.app-mismatch", replace(POLICY, ">small<", ">large<"), POLICY, "<xacml:AttributeValue"),
    Case("policy.case-failed", put(POLICY_CASES, "- given: {roles: [dagl]}\n  deny: [write]\n"), POLICY_CASES, "write"),
    Case("policy.cases", put(POLICY_CASES, "cases: [{given: {rolls: [dagl]}, allow: [read]}]\n"), POLICY_CASES,
         "given"),
    Case("policy.cases", put(POLICY_CASES, "- given: {task: a, end: b}\n  allow: [read]\n"), POLICY_CASES, "end"),
    Case("policy.cases-name", put(POLICY_CASES.replace("test.yaml", "tests.yml"), "[]"),
         POLICY_CASES.replace("test.yaml", "tests.yml"), "", "warning"),
    Case("yaml.syntax", put(POLICY_CASES, "- given: {}\n  allow: [read]\n  allow: [write]\n"), POLICY_CASES, "allow"),
    Case("policy.action-missing", replace(POLICY, ">instantiate<", ">start<"), POLICY, "<xacml:Policy", "warning"),
    # Texts
    Case("texts.missing", put(NB, None), NB),
    Case("texts.invalid", put(NB, {"language": "nb", "resources": [{"id": 1, "value": "x"}]}), NB, "1"),
    Case("texts.language", edit(NB, "language", value="en"), NB, '"en"'),
    Case("texts.bokmal-missing", both(put(NB, None), put("App/config/texts/resource.en.json", {
        "language": "en", "resources": [{"id": "form.name", "value": "Name"}]})), "App/config/texts/", "", "warning"),
    Case("texts.key-twice", edit(NB, "resources", 1, value={"id": "form.name", "value": "x"}), NB, '"form.name"',
         "warning"),
    Case("texts.key-unknown", in_first("textResourceBindings", {"title": "form.other"}), PAGE, '"form.other"',
         "warning"),
    Case("texts.untranslated", put("App/config/texts/resource.en.json", {"language": "en", "resources": []}),
         "App/config/texts/resource.en.json", "[]", "warning"),
    Case("texts.variable-missing", put(NB, TEXTS), NB, '"{0} {1}"', "warning"),
    Case("texts.variable-path", put(NB, {"language": "nb", "resources": [
        {**TEXT, "variables": [{"key": "nam", "dataSource": "dataModel.default"}]}]}), NB, '"nam"', "warning"),
    Case("texts.variable-source", put(NB, {"language": "nb", "resources": [
        {**TEXT, "variables": [{"key": "name", "dataSource": "model"}]}]}), NB, '"model"', "warning"),
    # Layout sets and settings
    Case("layout.sets-missing", both(put(SETS, None), put(SETTINGS, None), put(PAGE, None)), SETS),
    Case("layout.sets-invalid", put(SETS, {"sets": {}}), SETS, "{}"),
    Case("layout.set-id", edit(SETS, "sets", 0, "id", value="../x"), SETS, "{"),
    Case("layout.set-twice", edit(SETS, "sets", 1, value={"id": "first", "tasks": []}), SETS, '"first"'),
    Case("layout.set-task-unknown", edit(SETS, "sets", 0, "tasks", 1, value="Task_2"), SETS, '"Task_2"'),
    Case("layout.task-in-two-sets", both(edit(SETS, "sets", 1, value={"id": "second", "tasks": ["Task_1"]}),
         put("App/ui/second/layouts/a.json", {"data": {"layout": []}})), SETS, '"Task_1"'),
    Case("layout.set-data-type-unknown", edit(SETS, "sets", 0, "dataType", value="papers"), SETS, '"papers"'),
    Case("layout.set-without-task", edit(SETS, "sets", 0, "tasks", value=[]), SETS, "{", "warning"),
    Case("layout.set-empty", put(PAGE, None), "App/ui/first/layouts"),
    Case("layout.settings-missing", put(SETTINGS, None), SETTINGS, "", "warning"),
    Case("layout.order-missing", put(SETTINGS, {"pages": {}}), SETTINGS, "{}", "warning"),
    Case("layout.order-twice", edit(SETTINGS, "pages", "groups", value=[]), SETTINGS, '"groups"'),
    Case("layout.order-page-missing", edit(SETTINGS, "pages", "order", 1, value="page2"), SETTINGS, '"page2"'),
    Case("layout.order-page-twice", edit(SETTINGS, "pages", "order", 1, value="page1"), SETTINGS, '"page1"'),
    Case("layout.page-unreachable", put("App/ui/first/layouts/b.json", {"data": {"layout": []}}),
         "App/ui/first/layouts/b.json", "{", "warning"),
    Case("layout.pdf-page-missing", edit(SETTINGS, "pages", "pdfLayoutName", value="pdf"), SETTINGS, '"pdf"'),
    Case("layout.excluded-unknown", edit(SETTINGS, "components", value={"excludeFromPdf": ["x"]}), SETTINGS, '"x"',
         "warning"),
    Case("layout.page-invalid", put(PAGE, {"data": {"layout": {}}}), PAGE, "{"),
    Case("layout.old-dynamics", put("App/ui/first/RuleConfiguration.json", {"data": {"ruleConnection": {"a": {}}}}),
         "App/ui/first/RuleConfiguration.json", '"ruleConnection"', "warning"),
    # Components
    Case("layout.component-invalid", component("x"), PAGE, '"x"'),  # type: ignore[arg-type]
    Case("layout.component-id", component({"id": "a_b", "type": "Divider"}), PAGE, '"a_b"'),
    Case("layout.component-type", component({"id": "a", "type": "Inputt"}), PAGE, '"Inputt"'),
    Case("layout.component-id-twice", component({"id": "name", "type": "Divider"}), PAGE, '"name"'),
    Case("layout.child-missing", edit(PAGE, "data", "layout", 2, "children", 1, value="ages"), PAGE, '"ages"',
         "warning"),
    Case("layout.child-twice", component({"id": "g", "type": "Group", "children": ["age"]}), PAGE, '"age"'),
    Case("layout.child-circle", component({"id": "g", "type": "Group", "children": ["g"]}), PAGE, "{"),
    Case("layout.member-missing", component({"id": "h", "type": "Header"}), PAGE, "{"),
    Case("layout.value-unknown", component({"id": "h", "type": "Header", "size": "XXL"}), PAGE, '"XXL"'),
    Case("layout.binding-missing", in_first("dataModelBindings", {}), PAGE, "{"),
    Case("layout.binding-unknown", in_first("dataModelBindings", {"simpleBinding": "name", "simple": "x"}), PAGE,
         '"simple"', "warning"),
    Case("layout.binding-invalid", in_first("dataModelBindings", {"simpleBinding": 1}), PAGE, "1"),
    Case("layout.binding-data-type", in_first("dataModelBindings", {"simpleBinding": {"dataType": "x", "field": "a"}}),
         PAGE, '"x"'),
    Case("layout.binding-path-unknown", in_first("dataModelBindings", {"simpleBinding": "address.stret"}), PAGE,
         '"address.stret"'),
    Case("layout.binding-shape", in_first("dataModelBindings", {"simpleBinding": "address"}), PAGE, '"address"'),
    Case("layout.binding-outside-rows", in_first("dataModelBindings", {"simpleBinding": "children.age"}), PAGE,
         '"children.age"'),
    Case("layout.options-missing", edit(PAGE, "data", "layout", 1, "optionsId", remove=True), PAGE, "{"),
    Case("layout.options-unknown", edit(PAGE, "data", "layout", 1, "optionsId", value="colour"), PAGE, '"colour"',
         "warning"),
    Case("layout.data-list-unknown", component({"id": "l", "type": "List", "dataListId": "people", "tableHeaders": {}}),
         PAGE, '"people"', "warning"),
    Case("layout.mapping-path-unknown", edit(PAGE, "data", "layout", 1, "mapping", value={"nam": "q"}), PAGE, '"nam"',
         "warning"),
    Case("layout.upload-data-type", edit(PAGE, "data", "layout", 4, "id", value="files"), PAGE, '"files"'),
    Case("layout.subform-set", component({"id": "s", "type": "Subform", "layoutSet": "first", "tableColumns": []}),
         PAGE, '"first"'),
    Case("layout.reference-unknown", component({"id": "s", "type": "Summary", "componentRef": "nam"}), PAGE, '"nam"',
         "warning"),
    # Expressions
    Case("expression.syntax", in_first("hidden", [["equals", 1, 2]]), PAGE, "["),
    Case("expression.function-unknown", in_first("hidden", ["equal", 1, 2]), PAGE, '"equal"'),
    Case("expression.arguments", in_first("hidden", ["equals", 1]), PAGE, "["),
    Case("expression.component-unknown", in_first("hidden", ["equals", ["component", "colou"], "r"]), PAGE, '"colou"'),
    Case("expression.page-unknown", in_first("textResourceBindings", {"title": ["linkToPage", "a", "b"]}), PAGE, '"b"'),
    Case("expression.path-unknown", in_first("hidden", ["equals", ["dataModel", "nme"], "r"]), PAGE, '"nme"'),
    Case("expression.data-type-unknown", in_first("hidden", ["equals", ["dataModel", "name", "x"], "r"]), PAGE, '"x"'),
    # Options and models
    Case("options.invalid", put(COLOURS, [{"value": "a"}]), COLOURS, "{"),
    Case("options.invalid", put(COLOURS, [{"value": "a", "label": "b", "lable": "c"}]), COLOURS, '"lable"'),
    Case("options.value-twice", put(COLOURS, [{"value": "a", "label": "b"}] * 2), COLOURS, '"a"', "warning"),
    Case("model.schema-missing", put(SCHEMA, None), SCHEMA),
    Case("model.schema-invalid", edit(SCHEMA, "properties", "name", value={"type": "strng"}), SCHEMA, '"strng"'),
    Case("model.schema-reference", edit(SCHEMA, "properties", "address", value={"$ref": "#/$defs/Adress"}), SCHEMA,
         '"#/$defs/Adress"'),
    Case("model.orphan", put("App/models/old.validation.json", {}), "App/models/old.validation.json", "{", "warning"),
    Case("model.prefill-invalid", put("App/models/form.prefill.json", {"Profile": {}}), "App/models/form.prefill.json",
         '"Profile"'),
    Case("model.prefill-path", put("App/models/form.prefill.json", {"ER": {"Name": "nme"}}),
         "App/models/form.prefill.json", '"nme"'),
    Case("model.validation-path", put("App/models/form.validation.json", {"validations": {"nme": [RULES]}}),
         "App/models/form.validation.json", '"nme"'),
    Case("model.validation-invalid", put("App/models/form.validation.json", {"validations": {"name": [
        {**RULES, "severity": "fatal"}]}}), "App/models/form.validation.json", '"fatal"'),
    Case("model.validation-reference", put("App/models/form.validation.json", {"validations": {"name": ["x"]}}),
         "App/models/form.validation.json", '"x"'),
    Case("model.calculation-invalid", put("App/models/form.calculation.json", {"calculations": {"name": {}}}),
         "App/models/form.calculation.json", "{"),
    Case("model.calculation-path", put("App/models/form.calculation.json", {"calculations": {"nme": {
        "expression": ["concat", "a"]}}}), "App/models/form.calculation.json", '"nme"'),
]  # fmt: skip


def test_an_app_that_is_right_has_no_findings(app: Any) -> None:
    assert check(app.write()) == []


@pytest.mark.parametrize("case", CASES, ids=[f"{number}-{case.code}" for number, case in enumerate(CASES)])
def test_a_fault_is_found_where_it_is(app: Any, case: Case) -> None:
    case.change(app)
    folder = app.write()
    findings = check(folder)
    found = [finding for finding in findings if finding.code == case.code and finding.file == case.file]
    assert found, f"not among {[str(finding) for finding in findings]}"
    assert case.severity in {finding.severity for finding in found}
    if not case.begins:
        return
    lines = (folder / case.file).read_bytes().decode("utf-8-sig", "replace").splitlines()
    there = [lines[finding.line - 1][finding.column - 1 :] for finding in found]
    assert any(text.startswith(case.begins) for text in there), there


UNTRIED = {"file.unreadable", "folder.too-large"}
"""Codes that need a disk that fails or 64 MiB of files."""


def codes_in_source() -> set[str]:
    source = Path(__file__).resolve().parents[2] / "src/havn"
    files = [*(source / "appfolder").rglob("*.py"), *(source / "engines/process").rglob("*.py")]
    areas = (
        "app|code|deployment|expression|file|folder|footer|json|layout|metadata|model|options|policy|process|settings"
    )
    pattern = re.compile(rf'"((?:{areas}|texts|yaml)\.[a-z-]+)"')
    return {code for file in files for code in pattern.findall(file.read_text()) if not code.endswith(".json")}


def test_every_code_is_tried() -> None:
    assert {case.code for case in CASES} | UNTRIED == codes_in_source()


def test_every_code_has_a_heading_in_the_reference() -> None:
    page = Path(__file__).resolve().parents[2] / "docs/reference/check-codes.md"
    headings = re.findall(r"^### `([a-z.-]+)`$", page.read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(codes_in_source())
    assert len(headings) == len(set(headings))


def test_all_faults_of_all_files_are_reported_at_once(app: Any) -> None:
    for case in CASES:
        if case.code in ("metadata.count-order", "layout.order-page-missing", "options.value-twice", "code.python"):
            case.change(app)
    found = {finding.code for finding in check(app.write())}
    assert {"metadata.count-order", "layout.order-page-missing", "options.value-twice", "code.python"} <= found


def test_several_mistakes_in_the_metadata_are_all_found(app: Any) -> None:
    app.json("config/applicationmetadata.json")["dataTypes"][0]["maxCount"] = "one"
    app.json("config/applicationmetadata.json")["dataTypes"][1]["maxSize"] = "big"
    app.json("config/applicationmetadata.json")["autoDeleteOnProcessEnd"] = "yes"
    found = [finding for finding in check(app.write()) if finding.code == "metadata.invalid"]
    assert len(found) == 3
    assert len({finding.line for finding in found}) == 3


def test_a_hint_names_what_was_probably_meant(app: Any) -> None:
    app.json("ui/first/layouts/page1.json")["data"]["layout"][0]["dataModelBindings"] = {"simpleBinding": "nmae"}
    [finding] = check(app.write())
    assert finding.hint == "Did you mean 'name'?"


def test_the_placeholders_of_a_template_are_filled(app: Any, make_policy: Callable[..., str]) -> None:
    app.json("config/applicationmetadata.json").update({"id": "[ORG]/[APP]", "org": "[ORG]"})
    app.set(POLICY, make_policy("instantiate", "read", "write", org="[ORG]", app="[APP]"))
    folder = app.write()
    assert check(folder, as_=AppId("ttd", "first")) == []
    assert {finding.code for finding in check(folder)} == {"app.placeholder"}


def test_either_folder_can_be_named(app: Any) -> None:
    folder = app.write()
    app.set(FOOTER, {"footer": 1})
    app.write()
    assert [finding.file for finding in check(folder)] == ["App/ui/footer.json"]
    assert [finding.file for finding in check(folder / "App")] == ["ui/footer.json"]


def test_code_silences_what_only_code_can_give(app: Any) -> None:
    app.json("ui/first/layouts/page1.json")["data"]["layout"][1]["optionsId"] = "towns"
    app.set(HOOKS, "from havn.runtime.hooks import options\n\n@options('towns')\ndef towns(ctx):\n    return []\n")
    assert check(app.write()) == []


def test_the_newer_folder_shape_is_checked_too(app: Any) -> None:
    app.set(SETS, None)
    app.set("App/ui/Task_1/layouts/page1.json", app.files.pop(PAGE))
    app.set("App/ui/Task_1/Settings.json", {"pages": {"order": ["page1"]}, "defaultDataType": "form"})
    app.set(SETTINGS, None)
    assert check(app.write()) == []
    app.set("App/ui/Task_2/Settings.json", {"pages": {"order": ["a"]}})
    app.set("App/ui/Task_2/layouts/a.json", {"data": {"layout": []}})
    assert [finding.code for finding in check(app.write())] == ["layout.set-without-task"]


# What a hostile folder may hold ------------------------------------------------------------------------------------


def test_deep_json_is_a_finding(app: Any) -> None:
    app.set(FOOTER, "[" * 100_000)
    app.set(PAGE, '{"data": ' * 5_000 + "1" + "}" * 5_000)
    found: list[Finding] = check(app.write())
    assert {finding.file for finding in found if finding.code == "json.syntax"} == {FOOTER, PAGE}


def test_a_deep_expression_is_a_finding(app: Any) -> None:
    deep: Any = True
    for _ in range(80):
        deep = ["not", deep]
    app.json("ui/first/layouts/page1.json")["data"]["layout"][0]["hidden"] = deep
    assert "expression.syntax" in {finding.code for finding in check(app.write())}


@pytest.mark.parametrize("file", [BPMN, POLICY])
def test_an_xml_bomb_is_refused(app: Any, file: str) -> None:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    app.set(file, f'<!DOCTYPE x [<!ENTITY a0 "boom">{entities}]><x>&a11;</x>')
    assert {"process.syntax", "policy.invalid"} & {finding.code for finding in check(app.write())}


def test_pipes_and_folders_in_place_of_files_do_no_harm(app: Any) -> None:
    folder = app.write()
    os.mkfifo(folder / FOOTER)
    (folder / "App/options/folder.json").mkdir()
    (folder / "App/ui/first/layouts/loop").symlink_to(folder / "App/ui/first/layouts")
    assert [finding for finding in check(folder) if finding.severity == "error"] == []


@pytest.mark.parametrize("content", ["", "null", "[]", '"x"', "1", "{}", "\x00", '{"a": 1e999}', "\ufeff{}"])
def test_any_json_in_any_place_is_survived(app: Any, content: str) -> None:
    for file in [name for name in app.files if name.endswith(".json")]:
        app.set(file, content)
    for name in ("prefill", "validation", "calculation"):
        app.set(f"App/models/form.{name}.json", content)
    app.set("App/appsettings.json", content)
    app.set(FOOTER, content)
    assert check(app.write())


def test_what_is_no_folder_is_a_finding(tmp_path: Path) -> None:
    assert [finding.code for finding in check(tmp_path / "nowhere")] == ["metadata.missing"]
    assert [finding.code for finding in check(tmp_path)] == ["metadata.missing"]


def test_the_volumes_of_every_altinn_app_pass_without_a_word(app: Any) -> None:
    app.set("App/deployment/values.yaml", "deployment:\n  volumes:\n    - name: datakeys\n    - name: accesstoken\n")
    assert check(app.write()) == []
    app.set("App/deployment/values.yaml", "deployment:\n  volumes:\n    - name: datakeys\n    - name: own\n")
    assert [finding.file for finding in check(app.write())] == ["App/deployment/values.yaml"]


@pytest.mark.parametrize(
    "value",
    [
        "customIngressRoutes:\n    - name: mine\n      routes: [{match: Host(`x`), kind: Rule}]\n",
        "middlewares:\n    - name: mine\n",
        "volumes:\n    - name: own\n      persistentVolumeClaim: {claimName: own}\n",
        "volumeMounts:\n    - {name: own, mountPath: /own}\n",
    ],
)
def test_what_a_deployment_asks_for_and_does_not_get_is_a_warning_at_its_line(app: Any, value: str) -> None:
    app.set("App/deployment/values.yaml", f"deployment:\n  replicaCount: 2\n  {value}")
    [finding] = check(app.write())
    assert (finding.severity, finding.code, finding.line) == ("warning", "deployment.ignored", 3)
    assert finding.message == f"{value.partition(':')[0]} is not honoured."
    assert finding.hint


def test_a_form_without_instances_needs_no_layout_for_its_task(app: Any) -> None:
    app.json("ui/layout-sets.json")["sets"][0]["tasks"] = []
    app.json("config/applicationmetadata.json")["onEntry"] = {"show": "first"}
    assert check(app.write()) == []
