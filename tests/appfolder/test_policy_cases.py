"""The cases beside a policy: run by the check, told where they are written, and bounded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from havn.appfolder import AppId, check
from havn.appfolder.policy_cases import findings

CASES = "App/config/authorization/policy.test.yaml"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALL_MET = """\
# Who fills in the form.
cases:
  - name: the manager
    given: {roles: [dagl], task: Task_1}
    allow: [read, write]
    deny: [confirm]
  - given: {roles: [medl], task: Task_1}
    deny: [read]
"""


def told(app: Any, text: str) -> list[tuple[int, int, str]]:
    app.set(CASES, text)
    found = check(app.write())
    assert {finding.file for finding in found} <= {CASES}
    return [(finding.line, finding.column, finding.message) for finding in found]


def test_cases_that_are_met_say_nothing(app: Any) -> None:
    assert told(app, ALL_MET) == []


def test_each_expectation_that_fails_is_told_where_it_is_written(app: Any) -> None:
    text = ALL_MET.replace("[confirm]", "[confirm,\n           write]").replace("deny: [read]", "allow:\n      - read")
    assert told(app, text) == [
        (7, 12, "Case 1 (the manager) fails: 'write' should be refused, but the decision is Permit by rule"
                " urn:small:1."),
        (10, 9, "Case 2 (role medl at Task_1) fails: 'read' should be permitted, but the decision is NotApplicable."),
    ]  # fmt: skip


def test_a_bare_list_of_cases_has_places_too(app: Any) -> None:
    text = "- given: {roles: [dagl]}\n  allow: [read]\n- given: {}\n  allow: [read]\n"
    assert [(line, column) for line, column, _ in told(app, text)] == [(4, 11)]


def test_the_placeholders_of_a_template_stand_for_the_app(app: Any, make_policy: Any) -> None:
    app.set(
        "App/config/authorization/policy.xml", make_policy("instantiate", "read", "write", org="[ORG]", app="[APP]")
    )
    assert told(app, "org: '[ORG]'\napp: '[APP]'\ncases: [{given: {roles: [dagl]}, allow: [read]}]\n") == []


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("cases:\n  - given: {roles: [dagl]\n    allow: [read]\n", 3, "not YAML"),
        ("cases:\n  - given: {}\n  - *a\n", 3, "aliases are not allowed"),
        ("cases:\n  - {given: {}, allow: [read]}\n  - given: {roles: [dagl]}\n", 3, "case 2 expects nothing"),
        ("cases:\n  - given: {at: 2026-11-01T12:00:00}\n    allow: [read]\n", 2, "needs a zone"),
        ("cases:\n  - given: {}\n    allow: read\n", 3, "a list is expected here, not a text"),
        ("cases:\n  - given: {}\n    alow: [read]\n", 2, "not known here: `alow`"),
        ("just words\n", 1, "This cannot be used"),
        ("", 1, "cannot be used"),
        ("cases: !!python/name:os.system x\n", 1, "not YAML"),
        ("cases: []\nx: " + "[" * 100, 2, "not YAML"),
        ("# " + "x" * 1024 * 1024, 0, "larger than 1024 KiB"),
        ("- given: {}\n  allow: [" + ", ".join(f"a{n}" for n in range(20_001)) + "]\n", 1, "at most 20000 actions"),
        ("- given: {}\n  allow: [" + "0, " * 210_000 + "]\n", 2, "too large or nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(app: Any, text: str, line: int, message: str) -> None:
    ((found, _, said),) = told(app, text)
    assert found == line, said
    assert message in said


def test_broken_cases_are_told_beside_a_broken_policy(app: Any) -> None:
    app.set("App/config/authorization/policy.xml", "<Policy")
    app.set(CASES, "cases: [")
    assert {finding.code for finding in check(app.write())} >= {"policy.invalid", "yaml.syntax"}


def test_a_case_without_a_time_is_decided_now(app: Any) -> None:
    policy = app.files["App/config/authorization/policy.xml"]
    until = """</xacml:Target>
      <xacml:Condition><xacml:Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:date-less-than">
        <xacml:Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:date-one-and-only">
          <xacml:AttributeDesignator AttributeId="urn:oasis:names:tc:xacml:1.0:environment:current-date"
            Category="urn:oasis:names:tc:xacml:3.0:attribute-category:environment"
            DataType="http://www.w3.org/2001/XMLSchema#date" MustBePresent="true"/></xacml:Apply>
        <xacml:AttributeValue DataType="http://www.w3.org/2001/XMLSchema#date">2026-12-01</xacml:AttributeValue>
      </xacml:Apply></xacml:Condition></xacml:Rule>"""
    before, _, after = policy.rpartition("</xacml:Target>\n  </xacml:Rule>")
    app.set("App/config/authorization/policy.xml", before + until + after)
    app.set(
        CASES,
        "- given: {roles: [dagl]}\n  allow: [read]\n"
        "- given: {roles: [dagl], at: 2027-01-01T00:00:00Z}\n  deny: [read]\n",
    )
    folder = app.write()
    assert check(folder, clock=lambda: NOW) == []
    assert [finding.code for finding in check(folder, clock=lambda: NOW.replace(year=2027))] == ["policy.case-failed"]


def test_a_release_is_asked_by_its_folder_alone(app: Any) -> None:
    own = AppId("ttd", "small")
    assert findings(app.write() / "App", own, NOW) == []
    app.set(CASES, ALL_MET.replace("deny: [read]", "allow: [read]"))
    folder = app.write() / "App"
    assert [(each.code, each.file, each.line) for each in findings(folder, own, NOW)] == [
        ("policy.case-failed", "config/authorization/policy.test.yaml", 8)
    ]
    app.set("App/config/authorization/policy.xml", "<Policy")
    assert [each.code for each in findings(app.write() / "App", own, NOW)] == ["policy.invalid"]
