"""Explanations, lint, tables, differences, and the cache of compiled policies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from havn.engines import xacml
from havn.engines.xacml import names

ROLE, ORG, APP, TASK, END = (f"urn:altinn:{n}" for n in ("rolecode", "org", "app", "task", "end-event"))
IGNORE_CASE = "urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case"
LEVEL = "urn:altinn:minimum-authenticationlevel"


def app_rule(
    x: Any,
    name: str,
    roles: list[str],
    actions: list[str],
    *,
    task: str | None = None,
    end: str | None = None,
    effect: str = "Permit",
    org: str = "ttd",
    app: str = "skatt",
    **more: Any,
) -> str:
    place = [x.match(org, ORG, names.RESOURCE), x.match(app, APP, names.RESOURCE)]
    place += [x.match(task, TASK, names.RESOURCE)] if task else []
    place += [x.match(end, END, names.RESOURCE)] if end else []
    target = x.target(
        [[x.match(r, ROLE, function=IGNORE_CASE)] for r in roles],
        [place],
        [[x.match(a, names.ACTION_ID, names.ACTION, function=IGNORE_CASE)] for a in actions],
    )
    return str(x.rule(name, effect, target, **more))


def owner_rule(x: Any) -> str:
    target = x.target(
        [[x.match("ttd", ORG)]],
        [[x.match("ttd", ORG, names.RESOURCE), x.match("skatt", APP, names.RESOURCE)]],
        [[x.match(a, names.ACTION_ID, names.ACTION)] for a in ("read", "complete")],
    )
    return str(x.rule("owner", "Permit", target))


def level(x: Any, value: str, suffix: str = "") -> str:
    text = x.duty(f"level{suffix}", "Permit", x.value(value, names.INTEGER))
    return str(text).replace('AttributeId="a0"', f'AttributeId="a0" Category="{LEVEL}{suffix}"')


def asked(x: Any, role: str, action: str, task: str | None = "Task_1") -> xacml.Request:
    resource = {ORG: "ttd", APP: "skatt"} | ({TASK: task} if task else {})
    attributes = [x.subject(ROLE, role), xacml.Attribute(category=names.ACTION, id=names.ACTION_ID, values=(action,))]
    attributes += [xacml.Attribute(category=names.RESOURCE, id=k, values=(v,)) for k, v in resource.items()]
    return xacml.Request.of(attributes)


def test_a_permit_is_explained_by_rule_match_and_obligation(x: Any) -> None:
    policy = x.compiled(x.policy(app_rule(x, "r1", ["regna", "dagl"], ["read"]), level(x, "3")))
    explained = policy.explain(asked(x, "DAGL", "read"))
    assert explained.decided_by is not None
    assert (explained.decided_by.rule_id, explained.decided_by.via) == ("r1", "role")
    assert explained.sentences == [
        "Permitted by rule r1 of policy p.",
        "What it asks for and the request has: role dagl, owner of the app ttd, app skatt, action read.",
        "The user must be signed in at level 3 or higher.",
    ]


def test_a_refusal_names_what_comes_nearest(x: Any) -> None:
    policy = x.compiled(
        x.policy(
            app_rule(x, "r1", ["regna"], ["read"], task="Task_1"), app_rule(x, "r2", ["dagl"], ["sign"], task="Task_2")
        )
    )
    explained = policy.explain(asked(x, "dagl", "read"))
    assert explained.sentences == [
        "Not permitted: no rule of policy p applies to this request.",
        "Rule r1 would permit it, but needs role regna.",
    ]
    assert explained.rules[0].first_failing_match is not None
    assert explained.rules[0].first_failing_match.actual == ["dagl"]
    assert explained.rules[0].target == {"subject": False, "resource": True, "action": True}


def test_a_missing_attribute_is_explained(x: Any) -> None:
    policy = x.compiled(x.policy(x.rule("r", "Permit", x.target([[x.match("a", ROLE, required=True)]]))))
    explained = policy.explain(x.request())
    assert explained.decision == "Indeterminate{P}"
    assert explained.missing == [xacml.MissingAttribute(names.ACCESS_SUBJECT, ROLE, names.STRING)]
    assert "The request lacks the attribute urn:altinn:rolecode (role) of its subject." in explained.sentences


def test_an_explanation_is_json_and_hides_person_numbers(x: Any) -> None:
    person = "17895098765"
    text = x.policy(
        x.rule("r", "Permit", x.target([[x.match(person, "urn:altinn:person:identifier-no")]])),
        x.duty("o", "Permit", x.designator("urn:altinn:person:identifier-no")),
    )
    request = x.request(x.subject("urn:altinn:person:identifier-no", person))
    explained = x.compiled(text).explain(request)
    written = json.dumps(explained.to_json())
    assert person not in written
    assert explained.decision == "Permit"
    assert set(msgspec.json.decode(written)) >= {
        "decision",
        "decidedBy",
        "policyId",
        "rules",
        "missing",
        "nearest",
        "sentences",
    }


def test_an_unreadable_request_is_explained(x: Any) -> None:
    request = xacml.Request({}, error=xacml.Status(names.SYNTAX_ERROR, "'x' is not a valid integer"))
    assert x.compiled(x.policy()).explain(request).sentences == ["No decision: 'x' is not a valid integer."]


KNOWN = xacml.Surroundings(
    org="ttd",
    app="skatt",
    tasks=["Task_1"],
    end_events=["End"],
    sign_tasks=["Task_1"],
    actions=["read", "write", "complete"],
    roles=["dagl", "regna"],
)


def codes(x: Any, *parts: str, known: xacml.Surroundings = KNOWN, **options: Any) -> set[tuple[str, str | None]]:
    return {(f.code, f.rule_id) for f in xacml.lint(x.load(x.policy(*parts, **options)), known)}


def test_a_sound_policy_has_no_findings(x: Any) -> None:
    sign = app_rule(x, "sign", ["dagl"], ["sign"], task="Task_1")
    known = msgspec.structs.replace(KNOWN, actions=["read", "write", "complete", "sign"])
    found = codes(x, app_rule(x, "r", ["DAGL"], ["read", "write"]), sign, owner_rule(x), level(x, "3"), known=known)
    assert found == set()


FALSE = f'<AttributeValue DataType="{names.BOOLEAN}">false</AttributeValue>'


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("unknown-role", {"roles": ["nobody"], "actions": ["read"]}),
        ("unused-action", {"roles": ["dagl"], "actions": ["dance"]}),
        ("unknown-task", {"roles": ["dagl"], "actions": ["read"], "task": "Task_9"}),
        ("unknown-end-event", {"roles": ["dagl"], "actions": ["read"], "end": "Other"}),
        ("dead-rule", {"roles": ["dagl"], "actions": ["read"], "task": "Task_1", "end": "End"}),
        ("other-app", {"roles": ["dagl"], "actions": ["read"], "app": "annen"}),
        ("placeholder", {"roles": ["dagl"], "actions": ["read"], "app": "[APP]"}),
        ("deny-rule", {"roles": ["dagl"], "actions": ["read"], "effect": "Deny"}),
        ("write-without-read", {"roles": ["dagl"], "actions": ["write"]}),
        ("dead-rule", {"roles": ["dagl"], "actions": ["read"], "condition": FALSE}),
    ],
)  # fmt: skip
def test_lint_finds_it_in_a_rule(x: Any, code: str, arguments: dict[str, Any]) -> None:
    assert (code, "r") in codes(x, app_rule(x, "r", **arguments))


def test_lint_finds_rules_that_change_nothing(x: Any) -> None:
    wide, narrow = (
        app_rule(x, "wide", ["dagl", "regna"], ["read", "write"]),
        app_rule(x, "narrow", ["DAGL"], ["read"], task="Task_1"),
    )
    assert ("shadowed-rule", "narrow") in codes(x, narrow, wide)
    assert ("shadowed-rule", "wide") not in codes(x, narrow, wide)
    assert ("duplicate-rule", "again") in codes(x, wide, wide.replace('"wide"', '"again"'))
    deny = app_rule(x, "no", ["dagl"], ["read", "write"], effect="Deny")
    assert ("shadowed-rule", "narrow") in codes(x, narrow, deny)
    assert ("shadowed-rule", "no") not in codes(
        x, app_rule(x, "narrow", ["dagl"], ["read"]), deny, combining="permit-overrides"
    )
    assert ("shadowed-rule", "narrow") in codes(x, wide, narrow.replace("Permit", "Deny"), combining="first-applicable")
    assert ("shadowed-rule", "narrow") not in codes(
        x, narrow.replace("Permit", "Deny"), wide, combining="first-applicable"
    )


def test_lint_finds_contradictions_and_old_readings(x: Any) -> None:
    place = [[x.match("ttd", ORG, names.RESOURCE), x.match("skatt", APP, names.RESOURCE)]]
    both = x.rule(
        "both",
        "Permit",
        x.target(place, [[x.match("A", TASK, names.RESOURCE)]], [[x.match("B", TASK, names.RESOURCE)]]),
    )
    found = codes(x, both)
    assert {("dead-rule", "both"), ("legacy-difference", "both")} <= found
    pairs = [
        [x.match(role, ROLE), x.match(action, names.ACTION_ID, names.ACTION)]
        for role, action in (("dagl", "read"), ("regna", "write"))
    ]
    mixed = x.rule("mixed", "Permit", x.target(pairs))
    assert ("legacy-difference", "mixed") in codes(x, mixed)
    assert ("no-app", "mixed") in codes(x, mixed)


def test_lint_takes_the_resource_id_for_the_app(x: Any) -> None:
    def by_id(id_: str) -> set[tuple[str, str | None]]:
        where = x.match(id_, "urn:altinn:resource", names.RESOURCE)
        read = x.match("read", names.ACTION_ID, names.ACTION)
        return codes(x, str(x.rule("r", "Permit", x.target([[x.match("dagl", ROLE)]], [[where]], [[read]]))))

    about_place = {"no-app", "other-app", "other-resource", "placeholder"}
    assert not {code for code, _ in by_id("app_ttd_skatt")} & about_place
    assert {code for code, _ in by_id("app_ttd_moms")} & about_place == {"other-app"}
    assert {code for code, _ in by_id("nav_tiltak")} & about_place == {"other-resource"}
    assert {code for code, _ in by_id("app_[ORG]_[APP]")} & about_place == {"placeholder"}


def test_lint_finds_what_concerns_the_whole_policy(x: Any) -> None:
    read = app_rule(x, "r", ["dagl"], ["read"])
    assert ("level-org-only", None) in codes(x, read, level(x, "3", "-org"))
    assert ("level-too-high", None) in codes(x, read, level(x, "5"))
    assert {("no-complete", None), ("no-sign-rule", None)} <= codes(x, read)
    assert ("no-rules", None) in codes(x)
    legacy = "urn:oasis:names:tc:xacml:1.0:rule-combining-algorithm:deny-overrides"
    assert ("legacy-algorithm", None) in codes(x, read, combining=legacy)
    assert ("policy-issuer", None) in codes(x, read, head="<PolicyIssuer/><Target/>")
    unused = f'<VariableDefinition VariableId="v">{x.value("a")}</VariableDefinition>'
    assert ("unused-variable", None) in codes(x, unused, read)


def test_a_table_shows_who_may_do_what_where(x: Any) -> None:
    policy = x.compiled(
        x.policy(
            app_rule(x, "r1", ["dagl"], ["read", "write"], task="Task_1"),
            app_rule(x, "r2", ["regna"], ["read"]),
            owner_rule(x),
        )
    )
    table = xacml.table(policy, tasks=["Task_2"], end_events=["End"])
    assert table.everywhere == "app skatt, owner of the app ttd"
    assert table.actions == ["complete", "read", "write"]
    cells = {(row.subject, row.place): row.permitted for row in table.rows}
    assert cells["role dagl", "task Task_1"] == ["read", "write"]
    assert cells["role dagl", "task Task_2"] == []
    assert cells["role regna", "end event End"] == ["read"]
    assert cells["service owner ttd", "outside any task"] == ["complete", "read"]


def test_a_difference_names_what_is_gained_and_lost(x: Any) -> None:
    before = x.compiled(x.policy(app_rule(x, "r1", ["dagl"], ["read", "write"]), level(x, "2")))
    after = x.compiled(x.policy(app_rule(x, "r1", ["dagl", "regna"], ["read"], task="Task_1"), level(x, "3")))
    changes = xacml.diff(before, after)
    assert [(c.subject, c.place, c.action, c.becomes) for c in changes.gained] == [
        ("role regna", "task Task_1", "read", "Permit (level 3)")
    ]
    assert {(c.place, c.action) for c in changes.lost} == {
        ("outside any task", "read"), ("outside any task", "write"), ("task Task_1", "write"),
    }  # fmt: skip
    assert [(c.was, c.becomes) for c in changes.other] == [("Permit (level 2)", "Permit (level 3)")]
    assert xacml.diff(before, before).same


def test_a_difference_says_what_it_does_not_vary(x: Any) -> None:
    condition = x.apply("string-equal", x.value("a"), x.apply("string-one-and-only", x.designator("z")))
    policy = x.compiled(x.policy(app_rule(x, "r1", ["dagl"], ["read"], condition=condition)))
    assert xacml.diff(policy, policy).notes == ["rule r1 has a condition, whose attributes are not varied"]


def test_a_policy_with_too_many_combinations_is_not_tabulated(x: Any) -> None:
    rules = [app_rule(x, f"r{n}", [f"role{n}"], [f"action{n}"], task=f"Task_{n}") for n in range(80)]
    with pytest.raises(ValueError, match="combinations"):
        xacml.table(x.compiled(x.policy(*rules)))


def test_the_policies_that_altinn_studio_writes_are_read(cases: Path, x: Any) -> None:
    files = sorted(cases.glob("apps/*/App/config/authorization/policy.xml"))
    assert files
    for file in files:
        text = file.read_text("utf-8-sig")
        for placeholder, value in (("[ORG]", "ttd"), ("[org]", "ttd"), ("[APP]", "skatt"), ("[app]", "skatt")):
            text = text.replace(placeholder, value)
        policy = x.compiled(text)
        table = xacml.table(policy)
        assert any("read" in row.permitted for row in table.rows)
        owners = [row for row in table.rows if row.subject == "service owner ttd"]
        assert any("complete" in row.permitted for row in owners)


def test_the_cache_holds_what_was_used_last(x: Any) -> None:
    made: list[str] = []

    def make(name: str) -> Any:
        def compile_it() -> xacml.CompiledPolicy:
            made.append(name)
            found: xacml.CompiledPolicy = x.compiled(x.policy(*[x.rule(f"r{n}") for n in range(9)], identifier=name))
            return found

        return compile_it

    cache = xacml.PolicyCache(policies=3, rules=1000)
    for name in ("a", "b", "c", "a", "d", "a"):
        assert cache.get(name, make(name)).root.id == name
    assert made == ["a", "b", "c", "d"]
    assert len(cache) == 3
    cache.get("b", make("b"))
    assert made[-1] == "b"
    small = xacml.PolicyCache(policies=100, rules=25)
    for name in ("a", "b", "c"):
        small.get(name, make(name))
    assert len(small) == 2
    small.drop("c")
    assert len(small) == 1
