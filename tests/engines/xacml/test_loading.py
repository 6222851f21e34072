# ruff: noqa: E501 - tables read best as lines
"""Policies that must be refused when loaded, each with the place of the fault; and references between policies."""

from __future__ import annotations

from typing import Any

import pytest

from havn.engines import xacml
from havn.engines.xacml import names

LIMITS = xacml.Limits(rules=20, policy_bytes=100_000)


def test_a_type_error_names_file_line_and_rule(x: Any) -> None:
    condition = x.apply("integer-add", x.value("1", names.INTEGER), x.value("x"))
    text = x.policy("\n\n", x.rule("the-rule", condition=condition))
    with pytest.raises(xacml.PolicyError) as refusal:
        x.load(text, "ttd/app/policy.xml")
    assert refusal.value.line == 3
    assert refusal.value.rule == "the-rule"
    assert refusal.value.policy == "p"
    assert str(refusal.value).startswith("ttd/app/policy.xml:3: ")


BAD: list[tuple[str, str]] = [
    ("unknown function", '<Condition><Apply FunctionId="urn:none"/></Condition>'),
    ("unknown data type", '<Condition><AttributeValue DataType="urn:none">x</AttributeValue></Condition>'),
    ("not a valid integer", f'<Condition><AttributeValue DataType="{names.INTEGER}">x</AttributeValue></Condition>'),
    ("must be a boolean", f'<Condition><AttributeValue DataType="{names.STRING}">x</AttributeValue></Condition>'),
    ("must hold one expression", "<Condition/>"),
    ("may not hold Nonsense", "<Nonsense/>"),
    ("only one Target", "<Target/><Target/>"),
    ("AnyOf must hold", "<Target><AnyOf/></Target>"),
    ("lacks the attribute MustBePresent", '<Condition><AttributeDesignator AttributeId="a" Category="c" DataType="http://www.w3.org/2001/XMLSchema#boolean"/></Condition>'),
    ("undefined variable", '<Condition><VariableReference VariableId="v"/></Condition>'),
    ("regular expression refused", '<Condition><Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:string-regexp-match"><AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">(a</AttributeValue><AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">a</AttributeValue></Apply></Condition>'),
    ("undeclared namespace prefix", '<Condition><AttributeSelector Category="c" Path="//md:a" DataType="http://www.w3.org/2001/XMLSchema#boolean" MustBePresent="true"/></Condition>'),
    ("not an XPath", '<Condition><AttributeSelector Category="c" Path="//a[" DataType="http://www.w3.org/2001/XMLSchema#boolean" MustBePresent="true"/></Condition>'),
    ("no variables", '<Condition><AttributeSelector Category="c" Path="$x" DataType="http://www.w3.org/2001/XMLSchema#boolean" MustBePresent="true"/></Condition>'),
    ("n-of wants", '<Condition><Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:n-of"><AttributeValue DataType="http://www.w3.org/2001/XMLSchema#integer">1</AttributeValue></Apply></Condition>'),
    ("may only be an argument", '<Condition><Function FunctionId="urn:oasis:names:tc:xacml:1.0:function:not"/></Condition>'),
]  # fmt: skip


@pytest.mark.parametrize(("message", "inner"), BAD, ids=[m for m, _ in BAD])
def test_a_rule_that_makes_no_sense_is_refused(x: Any, message: str, inner: str) -> None:
    text = x.policy(f'<Rule RuleId="r" Effect="Permit">{inner}</Rule>')
    with pytest.raises(xacml.PolicyError, match=message) as refusal:
        x.load(text)
    assert refusal.value.rule == "r"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("document type", '<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'),
        ("not well-formed", "<Policy>"),
        ("not well-formed", "<a:Policy/>"),
        ("not a Policy", "<Policy/>"),
        ("not a Policy", f'<Rule xmlns="{names.NAMESPACE}"/>'),
        ("not well-formed", ""),
        ("not XML|not well-formed", "\x00"),
    ],
)
def test_a_text_that_is_no_policy_is_refused(x: Any, message: str, text: str) -> None:
    with pytest.raises(xacml.PolicyError, match=message):
        x.load(text)


def test_an_entity_bomb_in_another_encoding_is_refused() -> None:
    bomb = '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'
    with pytest.raises(xacml.PolicyError, match="document type"):
        xacml.load_policy(bomb.encode("utf-16"), source="bomb.xml")


def test_an_external_entity_is_not_fetched(tmp_path: Any) -> None:
    secret = tmp_path / "secret"
    secret.write_text("top secret")
    text = f'<!DOCTYPE x [<!ENTITY a SYSTEM "{secret.as_uri()}">]><x>&a;</x>'
    with pytest.raises(xacml.PolicyError) as refusal:
        xacml.load_policy(text.encode("utf-16"), source="x.xml")
    assert "top secret" not in str(refusal.value)


def test_limits_on_size_depth_and_rules_hold(x: Any) -> None:
    with pytest.raises(xacml.PolicyError, match="at most 20 rules"):
        x.load(x.policy(*[x.rule(f"r{n}") for n in range(21)]), limits=LIMITS)
    with pytest.raises(xacml.PolicyError, match="bytes"):
        x.load(x.policy(" " * 100_000), limits=LIMITS)
    deep = x.value("true", names.BOOLEAN)
    for _ in range(70):
        deep = x.apply("not", deep)
    with pytest.raises(xacml.PolicyError, match="nest deeper than 64"):
        x.load(x.policy(x.rule("r", condition=deep)))


def test_the_deepest_allowed_condition_still_decides(x: Any) -> None:
    for function in ("not", "and", "or"):
        inner = x.apply("string-equal", x.value("a"), x.apply("string-one-and-only", x.designator("a")))
        for _ in range(56):
            inner = x.apply(function, inner)
        assert x.evaluated(inner, x.subject("a", "a")).permitted
        assert x.evaluated(inner).extended == "P"


def test_variables_may_not_refer_to_themselves_or_go_too_deep(x: Any) -> None:
    def variable(name: str, to: str) -> str:
        return f'<VariableDefinition VariableId="{name}"><VariableReference VariableId="{to}"/></VariableDefinition>'

    with pytest.raises(xacml.PolicyError, match="refers to itself"):
        x.load(x.policy(variable("a", "b"), variable("b", "a")))
    chain = [variable(f"v{n}", f"v{n + 1}") for n in range(40)]
    end = f'<VariableDefinition VariableId="v40">{x.value("true", names.BOOLEAN)}</VariableDefinition>'
    with pytest.raises(xacml.PolicyError, match="deeper than 32"):
        x.load(x.policy(*chain, end))


def test_a_policy_issuer_is_ignored_or_refused(x: Any) -> None:
    text = x.policy(x.rule("r"), head="<PolicyIssuer/><Target/>")
    assert x.load(text).root.issued
    with pytest.raises(xacml.PolicyError, match="PolicyIssuer"):
        x.load(text, refuse_issuer=True)


def test_the_policy_form_of_an_algorithm_is_taken_on_a_policy_of_rules(x: Any) -> None:
    text = x.policy(x.rule("r"), combining="urn:oasis:names:tc:xacml:3.0:policy-combining-algorithm:deny-overrides")
    assert x.compiled(text).decide(x.request()).permitted
    with pytest.raises(xacml.PolicyError, match="unknown RuleCombiningAlgId"):
        x.load(x.policy(combining="urn:oasis:names:tc:xacml:1.0:policy-combining-algorithm:only-one-applicable"))


REFERENCE = "<PolicyIdReference {}>p</PolicyIdReference>"


@pytest.mark.parametrize(
    ("constraint", "version"),
    [
        ("", "2.10"), ('Version="1.+"', "1.2.3"), ('Version="2.*"', "2.10"), ('Version="1.0"', "1.0"),
        ('EarliestVersion="1.1" LatestVersion="2.1"', "2.1"), ('LatestVersion="1.*"', "1.0"), ('Version="*.1"', "2.1"),
    ],
)  # fmt: skip
def test_a_reference_means_the_latest_version_that_its_patterns_take(x: Any, constraint: str, version: str) -> None:
    versions = ["1.0", "2.10", "1.2.3", "2.1"]
    others = [x.policy(x.rule("r", "Permit", x.duty(v, "Permit")), version=v) for v in versions]
    root = x.policy_set(REFERENCE.format(constraint))
    assert x.compiled(root, *others).decide(x.request()).obligations[0].id == version


def test_a_reference_that_leads_nowhere_or_in_a_circle_is_refused(x: Any) -> None:
    with pytest.raises(xacml.PolicyError, match="there is no policy p"):
        x.compiled(x.policy_set(REFERENCE.format('Version="3.+"')), x.policy())
    circle = "<PolicySetIdReference>{}</PolicySetIdReference>"
    with pytest.raises(xacml.PolicyError, match="refers to itself"):
        x.compiled(
            x.policy_set(circle.format("t")),
            x.policy_set(circle.format("u"), identifier="t"),
            x.policy_set(circle.format("t"), identifier="u"),
        )


def test_a_long_chain_of_references_is_refused(x: Any) -> None:
    chain = [
        x.policy_set(f"<PolicySetIdReference>s{n + 1}</PolicySetIdReference>", identifier=f"s{n}") for n in range(30)
    ]
    with pytest.raises(xacml.PolicyError, match="deeper than 16"):
        x.compiled(*chain)


def test_a_policy_referred_to_twice_is_compiled_once(x: Any) -> None:
    twice = x.policy_set(REFERENCE.format(""), x.policy_set(REFERENCE.format(""), identifier="inner"))
    policy = x.compiled(twice, x.policy(x.rule("r")))
    assert policy.decide(x.request()).permitted
    assert len(set(map(id, policy.references.values()))) == 1


@pytest.mark.timeout(20)
def test_references_that_multiply_are_refused(x: Any) -> None:
    """Ten references each to the next of nine policy sets would be a thousand million evaluations."""
    chain = [
        x.policy_set(f"<PolicySetIdReference>s{n + 1}</PolicySetIdReference>" * 10, identifier=f"s{n}")
        for n in range(9)
    ]
    with pytest.raises(xacml.PolicyError, match="at most 10000 policies"):
        x.compiled(*chain, x.policy_set(identifier="s9"))


def test_a_reference_to_a_policy_does_not_take_a_policy_set(x: Any) -> None:
    wrong = x.load(x.policy_set(identifier="p"))
    with pytest.raises(xacml.PolicyError, match="there is no policy p"):
        xacml.compile_policy(x.load(x.policy_set(REFERENCE.format(""))), lambda _: wrong)
