"""Properties: what is compiled and indexed decides as the plain walk over the policy does, whatever is asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from havn.engines import xacml
from havn.engines.xacml import names

ROLES = ["dagl", "regna", "PRIV"]
ACTIONS = ["read", "write", "Sign"]
TASKS = ["Task_1", "Task_2"]
EQUAL = "urn:oasis:names:tc:xacml:1.0:function:string-equal"
IGNORE_CASE = "urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case"
ATTRIBUTES = {
    "role": (names.ACCESS_SUBJECT, ROLES), "task": (names.RESOURCE, TASKS), names.ACTION_ID: (names.ACTION, ACTIONS),
}  # fmt: skip


@st.composite
def matches(draw: st.DrawFn) -> tuple[str, str, str, str, bool]:
    attribute = draw(st.sampled_from(sorted(ATTRIBUTES)))
    category, values = ATTRIBUTES[attribute]
    required = draw(st.sampled_from([False, False, False, True]))
    return (draw(st.sampled_from(values)), attribute, category, draw(st.sampled_from([EQUAL, IGNORE_CASE])), required)


targets = st.lists(st.lists(st.lists(matches(), min_size=1, max_size=2), min_size=1, max_size=3), max_size=3)
conditions = st.sampled_from([None, None, None, "role-is-dagl", "one-role", "false", "regexp", "any-of"])


@st.composite
def rules(draw: st.DrawFn) -> tuple[str, Any, str | None, str | None]:
    duty = draw(st.sampled_from([None, None, None, "literal", "from-request"]))
    return (draw(st.sampled_from(["Permit", "Deny"])), draw(targets), draw(conditions), duty)


policies = st.tuples(
    st.lists(rules(), max_size=14),
    st.sampled_from(
        ["deny-overrides", "permit-overrides", "deny-unless-permit", "permit-unless-deny", "first-applicable"]
    ),
    st.one_of(st.just([]), targets),
    st.booleans(),
)
bags = st.fixed_dictionaries(
    {},
    optional={
        "role": st.lists(st.sampled_from([*ROLES, "DAGL", "x", "Regna"]), min_size=1, max_size=3),
        "task": st.lists(st.sampled_from([*TASKS, "task_1", "y"]), min_size=1, max_size=2),
        names.ACTION_ID: st.lists(st.sampled_from([*ACTIONS, "READ", "sign", "z"]), min_size=1, max_size=2),
    },
)


def _policy(x: Any, drawn: Any, identifier: str = "p") -> str:
    listed, combining, head, literal_duty = drawn
    conditions_by_name = {
        "role-is-dagl": x.apply("string-is-in", x.value("dagl"), x.designator("role")),
        "one-role": x.apply("string-equal", x.value("dagl"), x.apply("string-one-and-only", x.designator("role"))),
        "false": x.apply("not", x.apply("and")),
        "regexp": x.apply("string-regexp-match", x.value("^r"), x.value("role")),
        "any-of": x.apply(
            "urn:oasis:names:tc:xacml:3.0:function:any-of",
            f'<Function FunctionId="{IGNORE_CASE}"/>',
            x.value("priv"),
            x.designator("role"),
        ),
    }

    def target(drawn_target: Any) -> str:
        return x.target(
            *[
                [[x.match(v, a, c, function=f, required=r) for v, a, c, f, r in all_of] for all_of in any_of]
                for any_of in drawn_target
            ]
        )

    parts = []
    for number, (effect, rule_target, condition, duty) in enumerate(listed):
        duties = []
        if duty:
            value = x.value("v") if duty == "literal" else x.apply("string-one-and-only", x.designator("role"))
            duties = [x.duty(f"o{number}", effect, value)]
        parts.append(
            x.rule(
                f"{identifier}-r{number}", effect, target(rule_target), *duties,
                condition=conditions_by_name.get(condition),
            )
        )  # fmt: skip
    if literal_duty:
        parts.append(x.duty("level", "Permit", x.value("3", names.INTEGER)))
    return str(x.policy(*parts, identifier=identifier, combining=combining, head=target(head)))


def _request(drawn: dict[str, list[str]]) -> xacml.Request:
    return xacml.Request.of(
        xacml.Attribute(category=ATTRIBUTES[name][0], id=name, values=tuple(values)) for name, values in drawn.items()
    )


def _same(policy: xacml.CompiledPolicy, requests: list[xacml.Request]) -> None:
    for request in requests:
        result = policy.decide(request)
        explanation = policy.explain(request)
        assert explanation.trace is not None
        word = result.decision.value + (f"{{{result.extended}}}" if result.extended else "")
        assert explanation.trace.value == word
    many = policy.decide_many(requests)
    assert [r.decision for r in many] == [policy.decide(r).decision for r in requests]
    assert [r.obligations for r in many] == [policy.decide(r).obligations for r in requests]


COMMON = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@COMMON
@given(policies, st.lists(bags, min_size=1, max_size=6))
def test_a_policy_decides_as_the_walk_over_it(x: Any, drawn: Any, requests: Any) -> None:
    _same(x.compiled(_policy(x, drawn)), [_request(r) for r in requests])


@COMMON
@given(
    st.lists(policies, min_size=1, max_size=6),
    st.sampled_from(
        ["deny-overrides", "permit-overrides", "only-one-applicable", "first-applicable", "deny-unless-permit"]
    ),
    st.lists(bags, min_size=1, max_size=4),
)
def test_a_policy_set_decides_as_the_walk_over_it(x: Any, drawn: Any, combining: str, requests: Any) -> None:
    inner = [_policy(x, one, f"p{n}") for n, one in enumerate(drawn)]
    _same(x.compiled(x.policy_set(*inner, combining=combining)), [_request(r) for r in requests])


@pytest.mark.parametrize("combining", ["deny-overrides", "first-applicable"])
def test_a_large_policy_is_indexed_and_decides_the_same(x: Any, combining: str) -> None:
    parts = [
        x.rule(
            f"r{n}", "Deny" if n % 7 == 0 else "Permit",
            x.target([[x.match(f"role{n % 9}", "role", function=IGNORE_CASE)]],
                     [[x.match(f"action{n % 30}", names.ACTION_ID, names.ACTION)]],
                     [[x.match(f"task{n % 5}", "task", names.RESOURCE)]]),
        )
        for n in range(300)
    ]  # fmt: skip
    policy = x.compiled(x.policy(*parts, combining=combining))
    plain = x.compiled(x.policy(*parts, x.duty("o", "Permit", x.designator("role")), combining=combining))
    for n in range(60):
        values = {"role": [f"ROLE{n % 9}", "other"], "task": [f"task{n % 5}"], names.ACTION_ID: [f"action{n % 31}"]}
        if n % 10 == 3:
            values[names.ACTION_ID] = ["action1", f"action{n}", "none"]
        request = _request(values)
        assert policy.decide(request).decision is plain.decide(request).decision
        assert policy.decide(request).rule == plain.decide(request).rule


def test_many_decides_each_distinct_set_of_attributes_once(x: Any) -> None:
    policy = x.compiled(x.policy(x.rule("r", "Permit", x.target([[x.match("dagl", "role")]]))))
    shared = {names.ACCESS_SUBJECT: {"role": ("dagl",)}}
    requests = [xacml.Request({**shared, names.RESOURCE: {"instance": (str(n),)}}) for n in range(100)]
    requests += [xacml.Request({names.ACCESS_SUBJECT: {"role": ("x",), "n": (str(n),)}}) for n in range(100)]
    results = policy.decide_many(requests)
    assert [r.permitted for r in results] == [True] * 100 + [False] * 100
    assert len({id(r) for r in results}) == 2
