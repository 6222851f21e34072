"""What evaluation does beyond comparing: errors, missing attributes, variables, obligations, time, content."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from havn.engines import xacml
from havn.engines.xacml import names
from havn.engines.xacml.content import Content
from havn.engines.xacml.datatypes import XPathExpression

F3 = "urn:oasis:names:tc:xacml:3.0:function:"


def test_a_missing_attribute_is_named(x: Any) -> None:
    policy = x.compiled(x.policy(x.rule("r", "Permit", x.target([[x.match("a", "id", required=True)]]))))
    result = policy.decide(x.request())
    assert result.decision is xacml.Decision.INDETERMINATE
    assert result.extended == "P"
    assert result.status.code == names.MISSING_ATTRIBUTE
    assert result.status.missing == (xacml.MissingAttribute(names.ACCESS_SUBJECT, "id", names.STRING),)
    assert result.rule == "r"


def test_attributes_missing_in_several_rules_are_reported_together(x: Any) -> None:
    rules = [x.rule(n, "Permit", x.target([[x.match("a", n, required=True)]])) for n in ("one", "two")]
    result = x.compiled(x.policy(*rules)).decide(x.request())
    assert [m.id for m in result.status.missing] == ["one", "two"]


def test_a_missing_attribute_in_one_rule_does_not_hide_the_permit_of_another(x: Any) -> None:
    broken = x.rule("broken", "Permit", x.target([[x.match("a", "id", required=True)]]))
    assert x.compiled(x.policy(broken, x.rule("good"))).decide(x.request()).permitted


def test_false_beats_error_within_a_target(x: Any) -> None:
    target = x.target([[x.match("a", "id", required=True), x.match("b", "other")]])
    result = x.compiled(x.policy(x.rule("r", "Permit", target))).decide(x.request(x.subject("other", "x")))
    assert result.decision is xacml.Decision.NOT_APPLICABLE


@pytest.mark.parametrize(("effect", "extended"), [("Permit", "P"), ("Deny", "D")])
def test_a_policy_whose_target_fails_is_indeterminate_by_what_it_would_say(x: Any, effect: str, extended: str) -> None:
    head = x.target([[x.match("a", "id", required=True)]])
    assert x.compiled(x.policy(x.rule("r", effect), head=head)).decide(x.request()).extended == extended
    never = x.rule("r", effect, x.target([[x.match("no", "role")]]))
    assert x.compiled(x.policy(never, head=head)).decide(x.request()).decision is xacml.Decision.NOT_APPLICABLE


def test_attributes_are_found_by_data_type_and_issuer(x: Any) -> None:
    def size(designator: str, kind: str) -> int:
        for number in range(5):
            condition = x.apply(
                "integer-equal", x.apply(f"{kind}-bag-size", designator), x.value(str(number), names.INTEGER)
            )
            given = (x.subject("a", "1", issuer="i"), x.subject("a", "2"), x.subject("a", 3, data_type=names.INTEGER))
            if x.evaluated(condition, *given).permitted:
                return number
        raise AssertionError

    assert size(x.designator("a"), "string") == 2
    assert size(x.designator("a", issuer="i"), "string") == 1
    assert size(x.designator("a", issuer="other"), "string") == 0
    assert size(x.designator("a", data_type=names.INTEGER), "integer") == 1


def test_a_true_argument_of_or_beats_an_error(x: Any) -> None:
    fails = x.apply("string-equal", x.value("a"), x.apply("string-one-and-only", x.designator("none")))
    true = x.value("true", names.BOOLEAN)
    assert x.evaluated(x.apply("or", fails, true)).permitted
    assert x.evaluated(x.apply("and", fails, x.apply("not", true))).decision is xacml.Decision.NOT_APPLICABLE
    assert x.evaluated(x.apply("and", fails, true)).status.code == names.PROCESSING_ERROR
    two = x.value("2", names.INTEGER)
    assert x.evaluated(x.apply("n-of", two, true, fails, true)).permitted
    assert x.evaluated(x.apply("n-of", two, true, fails)).extended == "P"
    assert x.evaluated(x.apply("n-of", two, fails, x.apply("not", true))).decision is xacml.Decision.NOT_APPLICABLE


def test_a_variable_is_computed_once_however_often_it_is_used(x: Any) -> None:
    """Without that, twenty doublings would take a million steps and a megabyte of text."""
    variables = f'<VariableDefinition VariableId="v0">{x.value("a")}</VariableDefinition>'
    for n in range(1, 20):
        both = f'<VariableReference VariableId="v{n - 1}"/>' * 2
        joined = f'<Apply FunctionId="urn:oasis:names:tc:xacml:2.0:function:string-concatenate">{both}</Apply>'
        variables += f'<VariableDefinition VariableId="v{n}">{joined}</VariableDefinition>'
    last = '<VariableReference VariableId="v{}"/>'
    assert x.evaluated(
        x.apply(f"{F3}string-starts-with", x.value("aa"), last.format(19)), variables=variables
    ).permitted
    more = variables.replace('"v19"', '"v19"') + (
        '<VariableDefinition VariableId="w">'
        f'<Apply FunctionId="urn:oasis:names:tc:xacml:2.0:function:string-concatenate">{last.format(19) * 3}</Apply>'
        "</VariableDefinition>"
    )
    result = x.evaluated(
        x.apply(f"{F3}string-starts-with", x.value("a"), last.format(0).replace("v0", "w")), variables=more
    )
    assert result.status.code == names.PROCESSING_ERROR


def test_policies_of_one_set_have_their_own_variables(x: Any) -> None:
    def named(identifier: str, text: str) -> str:
        variable = f'<VariableDefinition VariableId="v">{x.apply("string-bag", x.designator("a"))}</VariableDefinition>'
        variable = variable.replace(x.apply("string-bag", x.designator("a")), x.value(text))
        condition = x.apply("string-is-in", '<VariableReference VariableId="v"/>', x.designator("a"))
        return str(x.policy(variable, x.rule("r", condition=condition), identifier=identifier))

    policy = x.compiled(x.policy_set(named("one", "1"), named("two", "2"), combining="permit-overrides"))
    assert policy.decide(x.request(x.subject("a", "2"))).policy == "two"
    assert not policy.decide(x.request(x.subject("a", "3"))).permitted


def test_obligations_and_advice_come_from_rules_policies_and_sets_that_agree(x: Any) -> None:
    inner = x.policy(
        x.rule("r", "Permit", x.duty("rule", "Permit", x.value("v"))),
        x.duty("policy", "Permit"), x.duty("never", "Deny"), x.duty("hint", "Permit", advice=True),
    ).replace("</ObligationExpressions><ObligationExpressions>", "")  # fmt: skip
    text = x.policy_set(inner, x.duty("set", "Permit"))
    result = x.compiled(text).decide(x.request())
    assert [o.id for o in result.obligations] == ["rule", "policy", "set"]
    assert [a.id for a in result.advice] == ["hint"]
    assert result.obligations[0].assignments[0].value == "v"


def test_an_assignment_of_a_bag_gives_one_value_each(x: Any) -> None:
    policy = x.compiled(x.policy(x.rule("r", "Permit", x.duty("o", "Permit", x.designator("roles")))))
    result = policy.decide(x.request(x.subject("roles", "a", "b")))
    assert [a.value for a in result.obligations[0].assignments] == ["a", "b"]
    assert policy.decide(x.request()).obligations[0].assignments == ()


@pytest.mark.parametrize("where", ["rule", "policy"])
def test_an_obligation_that_cannot_be_computed_makes_the_decision_indeterminate(x: Any, where: str) -> None:
    duty = x.duty("o", "Permit", x.designator("none", required=True))
    text = x.policy(x.rule("r", "Permit", duty)) if where == "rule" else x.policy(x.rule("r"), duty)
    result = x.compiled(text).decide(x.request())
    assert (result.decision, result.extended) == (xacml.Decision.INDETERMINATE, "P")
    assert result.status.code == names.MISSING_ATTRIBUTE


def test_obligations_of_a_rule_that_was_outvoted_are_not_given(x: Any) -> None:
    text = x.policy(x.rule("p", "Permit", x.duty("o", "Permit")), x.rule("d", "Deny"))
    result = x.compiled(text).decide(x.request())
    assert (result.decision, result.obligations) == (xacml.Decision.DENY, ())


def test_the_current_time_is_one_instant_and_the_requests_own_wins(x: Any) -> None:
    now = dt.datetime(2026, 11, 21, 23, 30, tzinfo=dt.timezone(dt.timedelta(hours=-2)))
    today = x.apply("date-one-and-only", x.designator(names.CURRENT_DATE, names.ENVIRONMENT, names.DATE))
    condition = x.apply("date-equal", today, x.value("2026-11-22Z", names.DATE))
    assert x.evaluated(condition, now=now).permitted
    assert x.evaluated(condition).status.code == names.PROCESSING_ERROR
    own = xacml.Attribute(category=names.ENVIRONMENT, id=names.CURRENT_DATE, data_type=names.DATE, values=("x",))
    assert not x.evaluated(condition, own, now=now).permitted
    many = x.compiled(x.policy(x.rule("r", condition=condition))).decide_many(
        [x.request(now=now), x.request(now=now - dt.timedelta(days=1))]
    )
    assert [r.permitted for r in many] == [True, False]


DOCUMENT = Content.read(b'<m:r xmlns:m="urn:m"><m:a n="1">one</m:a><m:a n="2">two</m:a></m:r>')


def _selector(path: str, data_type: str = names.STRING, *, required: bool = False, context: str = "") -> str:
    return (
        f'<AttributeSelector xmlns:m="urn:m" Category="{names.RESOURCE}" Path="{path}" DataType="{data_type}"'
        f' MustBePresent="{str(required).lower()}"{context}/>'
    )


def test_a_selector_gives_the_values_of_nodes(x: Any) -> None:
    content = {names.RESOURCE: DOCUMENT}
    numbers = x.apply("integer-is-in", x.value("2", names.INTEGER), _selector("//m:a/@n", names.INTEGER))
    assert x.evaluated(numbers, content=content).permitted
    texts = x.apply("string-is-in", x.value("one"), _selector("/m:r/m:a/text()"))
    assert x.evaluated(texts, content=content).permitted
    assert not x.evaluated(texts).permitted
    missing = x.evaluated(x.apply("string-is-in", x.value("one"), _selector("//m:b", required=True)), content=content)
    assert missing.status.code == names.MISSING_ATTRIBUTE
    assert missing.status.missing[0].id == "//m:b"
    wrong = x.evaluated(
        x.apply("integer-is-in", x.value("1", names.INTEGER), _selector("//m:a", names.INTEGER)), content=content
    )
    assert wrong.status.code == names.SYNTAX_ERROR


def test_a_selector_may_start_from_a_selected_node(x: Any) -> None:
    start = xacml.Attribute(
        category=names.RESOURCE, id="start", data_type=names.XPATH_EXPRESSION,
        values=(XPathExpression("//m:a[2]", names.RESOURCE, (("m", "urn:m"),)),),
    )  # fmt: skip
    condition = x.apply("string-is-in", x.value("two"), _selector("text()", context=' ContextSelectorId="start"'))
    assert x.evaluated(condition, start, content={names.RESOURCE: DOCUMENT}).permitted
    assert x.evaluated(condition, content={names.RESOURCE: DOCUMENT}).status.code == names.SYNTAX_ERROR


def test_an_xpath_that_would_visit_too_much_is_an_error(x: Any) -> None:
    big = Content.read(b"<r>" + b"<a><b/></a>" * 3000 + b"</r>")
    path = "//*[//*[//*[//*]]]"
    result = x.evaluated(x.apply("string-is-in", x.value("x"), _selector(path)), content={names.RESOURCE: big})
    assert result.status.code == names.PROCESSING_ERROR


def test_access_permitted_asks_the_policy_about_another_request(x: Any) -> None:
    other = (
        '&lt;Attribute AttributeId="role" IncludeInResult="false"&gt;&lt;AttributeValue '
        f'DataType="{names.STRING}"&gt;ROLE&lt;/AttributeValue&gt;&lt;/Attribute&gt;'
    )

    def asks(role: str) -> str:
        condition = x.apply(
            f"{F3}access-permitted", x.value(names.ACCESS_SUBJECT, names.ANY_URI), x.value(other.replace("ROLE", role))
        )
        return str(x.rule("asks", "Permit", x.target([[x.match("asker", "role")]]), condition=condition))

    boss = x.rule("boss", "Permit", x.target([[x.match("boss", "role")]]))
    asker = x.request(x.subject("role", "asker"))
    assert x.compiled(x.policy(asks("boss"), boss)).decide(asker).permitted
    assert not x.compiled(x.policy(asks("clerk"), boss)).decide(asker).permitted
    # Asking about the asker again would never end.
    assert x.compiled(x.policy(asks("asker"), boss)).decide(asker).status.code == names.PROCESSING_ERROR
    explained = x.compiled(x.policy(asks("boss"), boss)).explain(asker)
    assert explained.trace.value == "Permit"


def test_legacy_target_matching_lets_more_through(x: Any) -> None:
    either = x.target([[x.match("app", "app")], [x.match("none", "app")]], [[x.match("Task_1", "task")]])
    text = x.policy(x.rule("r", "Permit", either))
    only_app = x.request(x.subject("app", "app"), x.subject("task", "Task_2"))
    assert not x.compiled(text).decide(only_app).permitted
    assert x.compiled(text, legacy_target_matching=True).decide(only_app).permitted


def test_policy_identifiers_are_those_that_applied(x: Any) -> None:
    yes, no = x.policy(x.rule("r"), identifier="yes"), x.policy(identifier="no")
    text = x.policy_set(no, x.policy_set(no.replace('"no"', '"inner-no"'), identifier="inner"), yes, identifier="all")
    result = x.compiled(text).decide(x.request(return_policy_ids=True))
    assert [(p.id, p.is_set) for p in result.policies] == [("yes", False), ("all", True)]
    assert x.compiled(text).decide(x.request()).policies == ()
    assert x.compiled(yes).decide(x.request(return_policy_ids=True)).policies[0].id == "yes"


def test_a_compiled_policy_tells_what_it_looks_at(x: Any) -> None:
    text = x.policy(
        x.rule("r", "Permit", x.target([[x.match("dagl", "urn:altinn:rolecode")]]),
               x.duty("o", "Permit", x.designator("for-duty")),
               condition=x.apply("string-is-in", x.value("x"), x.designator("in-condition", names.RESOURCE))),
    )  # fmt: skip
    policy = x.compiled(text)
    assert {(d.category, d.id) for d in policy.attributes} == {
        (names.ACCESS_SUBJECT, "urn:altinn:rolecode"),
        (names.ACCESS_SUBJECT, "for-duty"),
        (names.RESOURCE, "in-condition"),
    }
    assert not policy.reads_content


def test_a_request_can_be_completed_without_touching_the_first(x: Any) -> None:
    first = x.request(x.subject("role", "a"))
    second = first.extended(
        [x.subject("role", "b"), xacml.Attribute(category=names.RESOURCE, id="org", values=("ttd",))]
    )
    assert first.bag(names.ACCESS_SUBJECT, "role") == ("a",)
    assert second.bag(names.ACCESS_SUBJECT, "role") == ("a", "b")
    assert second.without(names.ACCESS_SUBJECT, "role").bag(names.ACCESS_SUBJECT, "role") == ()
    assert {a.id for a in second.listed()} == {"role", "org"}


@pytest.mark.parametrize("combining", ["deny-overrides", "first-applicable"])
def test_an_index_does_not_hide_that_a_required_attribute_is_missing(x: Any, combining: str) -> None:
    rules = [
        x.rule(f"r{n}", "Permit", x.target([[x.match(f"a{n}", names.ACTION_ID, names.ACTION, required=n == 5)]]))
        for n in range(12)
    ]
    policy = x.compiled(x.policy(*rules, combining=combining))
    assert policy.decide(x.request()).status.code == names.MISSING_ATTRIBUTE
    action = xacml.Attribute(category=names.ACTION, id=names.ACTION_ID, values=("a7",))
    assert policy.decide(x.request(action)).rule == "r7"
    both = xacml.Attribute(category=names.ACTION, id=names.ACTION_ID, values=("a9", "a3", "none"))
    assert policy.decide(x.request(both)).rule == "r3"
