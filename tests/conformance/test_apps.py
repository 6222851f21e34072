"""Real app folders: each is checked without an error, and read whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from havn.appfolder import AppFolder, AppFolderError, AppId, check

APPS = ("template-v8", "component-library", "multiple-datamodels-test")
WARNINGS = {
    "template-v8": set(),
    "component-library": {
        "layout.child-missing",  # the accordion holds button-example, which no page has
        "layout.data-list-unknown",  # the list is given by C#
        "layout.mapping-path-unknown",  # the model has no Search
        "layout.reference-unknown",  # a table header names a component of no group
    },
    "multiple-datamodels-test": {"code.action-missing", "layout.options-unknown", "layout.data-list-unknown"},
}
"""What each app really lacks without its C#, or has wrong."""


def app_id(name: str) -> AppId | None:
    """What a template is made into."""
    return AppId("ttd", "first") if name.startswith("template") else None


@pytest.mark.parametrize("name", APPS)
def test_a_real_app_has_no_errors_and_only_true_warnings(cases: Path, name: str) -> None:
    findings = check(cases / "apps" / name, as_=app_id(name))
    assert [str(finding) for finding in findings if finding.severity == "error"] == []
    assert {finding.code for finding in findings} == WARNINGS[name]
    assert all(finding.line > 0 for finding in findings)
    assert all(finding.hint for finding in findings if finding.code.startswith("code."))


@pytest.mark.parametrize("name", APPS)
def test_a_real_app_is_read_whole(cases: Path, name: str) -> None:
    folder = AppFolder.read(cases / "apps" / name, as_=app_id(name))
    assert folder.org == "ttd"
    first = folder.process.first()
    layout_set = folder.layout_set_for_task(first.id)
    assert layout_set is not None
    assert layout_set.data_type in folder.schemas
    assert set(layout_set.order) <= set(layout_set.pages)
    assert b"[ORG]" not in folder.policy_xml
    assert folder.is_v9 == (name != "template-v8")


def test_every_app_of_the_cases_is_tried(cases: Path) -> None:
    assert {path.name for path in (cases / "apps").iterdir() if path.is_dir()} == set(APPS)


def test_a_template_is_not_read_without_a_name(cases: Path) -> None:
    with pytest.raises(AppFolderError) as failure:
        AppFolder.read(cases / "apps" / "template-v8")
    assert "--as ORG/APP" in failure.value.findings[0].hint
