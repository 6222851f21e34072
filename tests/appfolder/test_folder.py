"""Reading an app folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from havn.appfolder import AppFolder, AppFolderError, AppId, check
from havn.appfolder.ids import is_file_id


def test_an_app_is_read_from_the_folder_or_the_one_above(app: Any) -> None:
    folder = app.write()
    assert AppFolder.read(folder).id == AppFolder.read(folder / "App").id == "ttd/small"
    assert AppFolder.read(folder).root == folder / "App"


def test_metadata_keeps_what_is_unknown_and_gains_the_pdf_type(app: Any) -> None:
    app.json("config/applicationmetadata.json")["something"] = {"new": 1}
    found = AppFolder.read(app.write())
    assert found.metadata_raw["something"] == {"new": 1}
    pdf = found.data_type("ref-data-as-pdf")
    assert pdf is not None
    assert pdf.allowed_content_types == ["application/pdf"]


def test_the_name_given_wins_over_the_file(app: Any) -> None:
    found = AppFolder.read(app.write(), as_=AppId("brg", "other"))
    assert (found.id, found.metadata.id, found.metadata.org, found.metadata_raw["id"]) == (
        "brg/other", "brg/other", "brg", "brg/other",
    )  # fmt: skip
    assert found.texts["nb"].id == "brg-other-nb"


def test_settings_of_the_environment_are_merged_over_the_common_ones(app: Any) -> None:
    app.set("App/appsettings.json", {
        "AppSettings": {"RemoveHiddenData": False, "RequiredValidation": True},
        "FrontEndSettings": {"MyKey": "a", "Other": "b"},
    })  # fmt: skip
    app.set("App/appsettings.Staging.json", {"appSettings": {"removeHiddenData": "true"}})
    app.set("App/appsettings.Production.json", {"FrontEndSettings": {"MyKey": "p"}})
    folder = app.write()
    staging = AppFolder.read(folder, environment="tt02").settings
    assert staging.remove_hidden_data
    assert staging.required_validation
    production = AppFolder.read(folder, environment="production").settings
    assert not production.remove_hidden_data
    assert production.front_end == {"MyKey": "p", "Other": "b"}
    assert not AppFolder.read(folder).settings.remove_hidden_data


def test_comments_and_trailing_commas_are_read(app: Any) -> None:
    app.set(
        "App/ui/layout-sets.json", '{ // sets\n "sets": [{"id": "first", "dataType": "form", "tasks": ["Task_1",],}],}'
    )
    assert AppFolder.read(app.write()).layout_sets["first"].tasks == ("Task_1",)


def test_a_set_of_the_newer_shape_is_named_like_its_task(app: Any) -> None:
    page = app.files.pop("App/ui/first/layouts/page1.json")
    app.set("App/ui/layout-sets.json", None)
    app.set("App/ui/first/Settings.json", None)
    page["data"]["layout"].append({"id": "sub", "type": "Subform", "layoutSet": "parts", "tableColumns": []})
    app.set("App/ui/Task_1/layouts/page1.json", page)
    app.set("App/ui/Task_1/Settings.json", {"pages": {"order": ["page1"]}, "defaultDataType": "form"})
    app.set("App/ui/parts/Settings.json", {"pages": {"groups": [{"name": "g", "order": ["b", "a"]}]}})
    app.set("App/ui/parts/layouts/a.json", {"data": {"layout": []}})
    app.set("App/ui/parts/layouts/b.json", {"data": {"layout": []}})
    app.set("App/ui/Settings.json", {"showProgress": True})
    found = AppFolder.read(app.write())
    task = found.layout_set_for_task("Task_1")
    assert found.is_v9
    assert task is not None
    assert (task.id, task.data_type, task.settings.show_progress) == ("Task_1", "form", True)
    assert (found.layout_sets["parts"].kind, found.layout_sets["parts"].tasks) == ("subform", ())
    assert found.layout_sets["parts"].order == ("b", "a")


def test_components_know_their_children_and_bindings(app: Any) -> None:
    layout = app.json("ui/first/layouts/page1.json")["data"]["layout"]
    layout[2]["edit"] = {"multiPage": True}
    layout[2]["children"] = ["0:age"]
    layout[2]["rowsAfter"] = [{"cells": [{"component": "total"}, {"text": "x"}, None]}]
    layout += [
        {"id": "total", "type": "Text", "value": "1"},
        {"id": "tabs", "type": "Tabs", "tabs": [{"id": "t", "title": "T", "children": ["note"]}]},
        {"id": "note", "type": "Paragraph"},
    ]
    found = AppFolder.read(app.write()).layout_sets["first"]
    group = found.component("children")
    assert group is not None
    assert (group.children, group.outer_children) == (("age",), ("total",))
    assert group.rows is not None
    assert group.rows.field == "children"
    assert [each.id for each in found.pages["page1"].top][-1] == "tabs"


def test_rules_beside_a_model_are_read_with_what_they_inherit(app: Any) -> None:
    app.set("App/models/form.validation.json", {
        "definitions": {"short": {"message": "too short", "severity": "warning", "condition": ["argv", 0]}},
        "validations": {"name": ["short", {"ref": "short", "severity": "error"}], "colour": [{"ref": "circle"}]},
    })  # fmt: skip
    app.set("App/models/form.calculation.json", {"calculations": {"name": {"expression": ["concat", "a", "b"]}}})
    app.set("App/models/form.prefill.json", {"allowOverwrite": True, "UserProfile": {"Party.Name": "name"}})
    found = AppFolder.read(app.write())
    assert [(rule.message, rule.severity) for rule in found.validation("form")] == [
        ("too short", "warning"), ("too short", "error"),
    ]  # fmt: skip
    assert [each.field for each in found.calculation("form")] == ["name"]
    prefill = found.prefill("form")
    assert prefill is not None
    assert (prefill.allow_overwrite, prefill.user_profile) == (True, {"Party.Name": "name"})


def test_options_are_found_in_any_case_and_keep_their_kind_of_value(app: Any) -> None:
    found = AppFolder.read(app.write()).options("COLOURS")
    assert found is not None
    assert [each.value for each in found] == ["r", 2]
    assert AppFolder.read(app.write()).options("other") is None


def test_helm_values_and_outbound_rules_are_read(app: Any) -> None:
    app.set("deployment/values.yaml", "deployment:\n  replicaCount: 2\n  autoscaling:\n    enabled: true\n")
    app.set("deployment/egress.yaml", "allow:\n  - host: data.example.no\n")
    found = AppFolder.read(app.write())
    assert found.values.deployment["replicaCount"] == 2
    assert found.egress is not None
    assert [rule.host for rule in found.egress.allow] == ["data.example.no"]


def test_the_hooks_module_is_found(app: Any) -> None:
    assert AppFolder.read(app.write()).hooks_module is None
    app.set("App/logic/hooks.py", "")
    assert AppFolder.read(app.write()).hooks_module == app.folder / "App/logic/hooks.py"


def test_a_folder_that_cannot_be_used_says_everything_at_once(app: Any) -> None:
    app.set("App/config/process/process.bpmn", "<x/>")
    app.set("App/config/authorization/policy.xml", None)
    app.set("App/ui/first/Settings.json", "{")
    with pytest.raises(AppFolderError) as failure:
        AppFolder.read(app.write())
    assert {finding.code for finding in failure.value.findings} == {"process.syntax", "policy.missing", "json.syntax"}


def test_a_file_that_leads_out_of_the_folder_is_not_read(app: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"footer": []}')
    folder = app.write()
    (folder / "App/ui/footer.json").symlink_to(secret)
    with pytest.raises(AppFolderError) as failure:
        AppFolder.read(folder)
    assert [finding.code for finding in failure.value.findings] == ["file.outside"]


@pytest.mark.parametrize(
    "text", ["ttd", "TTD/app", "ttd/havn-x", "ttd/App", "ttd/-a", "ttd/a-", "ttd/ttd", "a/b/c", "/a", "ttd/", "t t/a"]
)
def test_an_app_is_named_by_org_and_app(text: str) -> None:
    with pytest.raises(ValueError):
        AppId.parse(text)


@pytest.mark.parametrize("text", ["..", ".", "a/b", "a\\b", "", "_a", ".a", "a.", "a..b", "x" * 200, "a\n", "a\0"])
def test_ids_with_a_way_out_are_no_file_ids(text: str) -> None:
    assert not is_file_id(text)


@pytest.mark.parametrize("text", ["model", "Side 1", "skjema-2", "Næring", "a.b", "1"])
def test_everyday_ids_are_file_ids(text: str) -> None:
    assert is_file_id(text)


def test_placeholders_left_in_the_policy_mean_the_app_itself(app: Any, make_policy: Any) -> None:
    app.set(
        "App/config/authorization/policy.xml", make_policy("instantiate", "read", "write", org="[ORG]", app="[APP]")
    )
    found = AppFolder.read(app.write())
    assert b">ttd<" in found.policy_xml
    assert b"[ORG]" not in found.policy_xml
    assert check(app.folder) == []
