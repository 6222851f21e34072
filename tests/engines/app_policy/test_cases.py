"""Cases beside a policy: read strictly, decided by the engine, levels included; recorded requests compared."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from havn.engines.app_policy import cases, replay
from havn.engines.app_policy.reading import levels, rules
from havn.engines.xacml import compile_policy, load_policy

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
STRING = "http://www.w3.org/2001/XMLSchema#string"
S = "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject"
R = "urn:oasis:names:tc:xacml:3.0:attribute-category:resource"
A = "urn:oasis:names:tc:xacml:3.0:attribute-category:action"
ACTION = "urn:oasis:names:tc:xacml:1.0:action:action-id"


def match(category: str, attribute: str, value: str) -> str:
    return (
        '<Match MatchId="urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case"><AttributeValue'
        f' DataType="{STRING}">{value}</AttributeValue><AttributeDesignator AttributeId="{attribute}"'
        f' Category="{category}" DataType="{STRING}" MustBePresent="false"/></Match>'
    )


def rule(id_: str, who: list[tuple[str, str]], actions: list[str], task: str | None = None) -> str:
    subjects = "".join(f"<AllOf>{match(S, *pair)}</AllOf>" for pair in who)
    place = match(R, "urn:altinn:org", "ttd") + match(R, "urn:altinn:app", "permit")
    place += match(R, "urn:altinn:task", task) if task else ""
    doings = "".join(f"<AllOf>{match(A, ACTION, action)}</AllOf>" for action in actions)
    return (
        f'<Rule RuleId="{id_}" Effect="Permit"><Target><AnyOf>{subjects}</AnyOf><AnyOf><AllOf>{place}</AllOf></AnyOf>'
        f"<AnyOf>{doings}</AnyOf></Target></Rule>"
    )


LEVELS = "".join(
    f'<ObligationExpression ObligationId="l{number}" FulfillOn="Permit"><AttributeAssignmentExpression'
    f' AttributeId="a" Category="urn:altinn:minimum-authenticationlevel{suffix}"><AttributeValue'
    f' DataType="http://www.w3.org/2001/XMLSchema#integer">{number}</AttributeValue></AttributeAssignmentExpression>'
    "</ObligationExpression>"
    for number, suffix in ((3, ""), (2, "-org"))
)
POLICY = load_policy(
    (
        '<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p" Version="1.0" RuleCombiningAlgId='
        '"urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides"><Target/>'
        + rule(
            "leaders", [("urn:altinn:rolecode", "DAGL"), ("urn:altinn:accesspackage", "skatt")], ["read", "write"], "T1"
        )
        + rule("owner", [("urn:altinn:org", "ttd")], ["complete"])
        + f"<ObligationExpressions>{LEVELS}</ObligationExpressions></Policy>"
    ).encode(),
    source="policy.xml",
)
COMPILED = compile_policy(POLICY)


def outcomes(*given: dict) -> list[tuple[str, str, bool]]:
    file = cases.read(list(given))
    found = cases.run(COMPILED, file, org="ttd", app="permit", now=NOW)
    return [(outcome.action, outcome.decision, outcome.passed) for outcome in found]


def test_what_is_allowed_and_denied_is_decided_by_the_policy() -> None:
    assert outcomes(
        {"given": {"roles": ["dagl"], "task": "T1"}, "allow": ["read", "write"], "deny": ["complete"]},
        {"given": {"roles": ["dagl"], "end": "End"}, "allow": ["read"]},
        {"given": {"packages": ["skatt"], "task": "T1"}, "deny": ["write"]},
    ) == [
        ("read", "Permit", True),
        ("write", "Permit", True),
        ("complete", "NotApplicable", True),
        ("read", "NotApplicable", False),
        ("write", "Permit", False),
    ]


def test_a_level_counts_where_the_case_says_one() -> None:
    assert outcomes(
        {"given": {"roles": ["dagl"], "task": "T1", "level": 2}, "allow": ["read"]},
        {"given": {"roles": ["dagl"], "task": "T1", "level": 3}, "allow": ["read"]},
        {"given": {"org": "ttd", "level": 2}, "allow": ["complete"]},
        {"given": {"org": "ttd", "level": 1}, "deny": ["complete"]},
    ) == [
        ("read", "Permit (level 3 needed)", False),
        ("read", "Permit", True),
        ("complete", "Permit", True),
        ("complete", "Permit (level 2 needed)", True),
    ]


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        {"cases": 3},
        [{"given": {}}],
        [{"given": {"rolls": ["dagl"]}, "allow": ["read"]}],
        [{"given": {"task": "a", "end": "b"}, "allow": ["read"]}],
        [{"given": {"at": "2026-11-01T12:00:00"}, "allow": ["read"]}],
        [{"given": {}, "allow": ["read"]}] * 5001,
    ],
)
def test_cases_that_say_nothing_sensible_are_refused(value) -> None:
    with pytest.raises(cases.CasesError):
        cases.read(value)


def test_a_rule_is_taken_apart_into_grants() -> None:
    first, second = rules(POLICY)
    assert {(grant.subject[0].value, grant.action.value) for grant in first.grants if grant.action} == {
        ("DAGL", "read"),
        ("DAGL", "write"),
        ("skatt", "read"),
        ("skatt", "write"),
    }
    assert all(grant.plain for grant in first.grants)
    assert [pair.value for pair in second.grants[0].resource] == ["permit", "ttd"]
    assert levels(POLICY) == {
        "urn:altinn:minimum-authenticationlevel": [3],
        "urn:altinn:minimum-authenticationlevel-org": [2],
    }


def test_a_rule_with_too_many_combinations_is_cut_and_says_so() -> None:
    roles = [("urn:altinn:rolecode", f"r{number}") for number in range(200)]
    actions = [f"a{number}" for number in range(200)]
    text = (
        '<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p" Version="1.0" RuleCombiningAlgId='
        '"urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides"><Target/>'
        + rule("many", roles, actions)
        + "</Policy>"
    )
    view = rules(load_policy(text.encode(), source="p"))[0]
    assert view.cut
    assert len(view.grants) == 20_000


def test_recorded_requests_are_compared_in_order() -> None:
    other = compile_policy(
        load_policy(
            (
                '<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p" Version="1.0"'
                ' RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides"><Target/>'
                + rule("readers", [("urn:altinn:rolecode", "dagl")], ["read"])
                + "</Policy>"
            ).encode(),
            source="p",
        )
    )
    place = (("r:urn:altinn:org", "ttd"), ("r:urn:altinn:app", "permit"), ("r:urn:altinn:task", "T1"))
    recorded = [replay.Recorded(action, (*place, ("s:urn:altinn:rolecode", "dagl"))) for action in ("read", "write")]
    found = replay.compare(COMPILED, other, recorded, now=NOW)
    assert [(outcome.was, outcome.becomes, outcome.rule) for outcome in found] == [
        ("Permit", "Permit", "readers"),
        ("Permit", "NotApplicable", None),
    ]
