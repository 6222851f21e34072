"""Policies and requests that the three engines are measured on; written to a folder so that all read the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

SUBJECT = "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject"
RESOURCE = "urn:oasis:names:tc:xacml:3.0:attribute-category:resource"
ACTION = "urn:oasis:names:tc:xacml:3.0:attribute-category:action"
STRING = "http://www.w3.org/2001/XMLSchema#string"
ACTION_ID = "urn:oasis:names:tc:xacml:1.0:action:action-id"
EQUAL = "urn:oasis:names:tc:xacml:1.0:function:string-equal"
EQUAL_IGNORE_CASE = "urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case"
ROLE, ORG, APP, TASK, END = (f"urn:altinn:{n}" for n in ("rolecode", "org", "app", "task", "end-event"))

Test = tuple[str, str, str, str]


def match(test: Test) -> str:
    function, category, attribute, value = test
    return (
        f'<Match MatchId="{function}"><AttributeValue DataType="{STRING}">{value}</AttributeValue>'
        f'<AttributeDesignator AttributeId="{attribute}" Category="{category}" DataType="{STRING}"'
        ' MustBePresent="false"/></Match>'
    )


def rule(number: int, effect: str, *any_ofs: list[list[Test]]) -> str:
    target = "".join(
        "<AnyOf>" + "".join(f"<AllOf>{''.join(map(match, tests))}</AllOf>" for tests in any_of) + "</AnyOf>"
        for any_of in any_ofs
    )
    return f'<Rule RuleId="urn:altinn:rule:{number}" Effect="{effect}"><Target>{target}</Target></Rule>'


def policy(rules: list[str], level: int = 2) -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="urn:altinn:policyid:1" Version="1.0"'
        ' RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides"><Target/>'
        + "".join(rules)
        + '<ObligationExpressions><ObligationExpression ObligationId="urn:altinn:obligation:authenticationLevel1"'
        ' FulfillOn="Permit"><AttributeAssignmentExpression AttributeId="urn:altinn:obligation1-assignment1"'
        ' Category="urn:altinn:minimum-authenticationlevel"><AttributeValue'
        f' DataType="http://www.w3.org/2001/XMLSchema#integer">{level}</AttributeValue>'
        "</AttributeAssignmentExpression></ObligationExpression></ObligationExpressions></Policy>"
    ).encode()


def place(org: str, app: str, task: str | None = None, end: str | None = None) -> list[Test]:
    tests = [(EQUAL, RESOURCE, ORG, org), (EQUAL, RESOURCE, APP, app)]
    if task:
        tests.append((EQUAL, RESOURCE, TASK, task))
    if end:
        tests.append((EQUAL, RESOURCE, END, end))
    return tests


def roles(*codes: str) -> list[list[Test]]:
    return [[(EQUAL_IGNORE_CASE, SUBJECT, ROLE, code)] for code in codes]


def actions(*names: str) -> list[list[Test]]:
    return [[(EQUAL_IGNORE_CASE, ACTION, ACTION_ID, name)] for name in names]


def app_policy() -> bytes:
    """Twelve rules of the kind that Altinn Studio writes."""
    here = [place("ttd", "permit")]
    tasks = [place("ttd", "permit", f"Task_{n}") for n in (1, 2, 3)]
    who = ("regna", "dagl"), ("priv",), ("siskd", "uiluf"), ("hadm",)
    rules = [
        rule(1, "Permit", roles(*who[0]), here, actions("read", "write", "delete", "instantiate")),
        rule(2, "Permit", roles(*who[1]), [tasks[0]], actions("read", "write")),
        rule(3, "Permit", roles(*who[2]), [tasks[1]], actions("read", "confirm", "reject")),
        rule(4, "Permit", roles("dagl", "lede"), [tasks[2]], actions("sign", "reject")),
        rule(5, "Permit", roles(*who[3]), [place("ttd", "permit", end="EndEvent_1")], actions("read", "delete")),
        rule(6, "Permit", [[(EQUAL_IGNORE_CASE, SUBJECT, ORG, "ttd")]], here,
             actions("read", "write", "instantiate", "complete")),
        rule(7, "Permit", roles("utinn"), tasks[:2], actions("read")),
        rule(8, "Permit", roles("utomr", "apiadm"), here, actions("events")),
        rule(9, "Permit", roles("signe"), [tasks[2]], actions("read", "sign")),
        rule(10, "Permit", roles("loper"), [tasks[0]], actions("write", "pay")),
        rule(11, "Permit", roles("revi"), here, actions("read")),
        rule(12, "Permit", roles("knuf", "bobe"), tasks, actions("read", "write")),
    ]  # fmt: skip
    return policy(rules)


def large_policy() -> bytes:
    """A thousand rules: 100 apps of ten rules, as an owner's rules in one policy."""
    rules = []
    for app in range(100):
        for number in range(10):
            task = f"Task_{number % 3}"
            rules.append(
                rule(
                    app * 10 + number, "Permit", roles(f"role{number}"),
                    [place("ttd", f"app-{app}", task)], actions("write" if number % 2 else "sign"),
                )
            )  # fmt: skip
    return policy(rules)


def attribute(attribute_id: str, value: str | list[str], *, include: bool = False) -> dict[str, object]:
    found: dict[str, object] = {"AttributeId": attribute_id, "Value": value, "DataType": STRING}
    return found | ({"IncludeInResult": True} if include else {})


def category(uri: str, attributes: list[dict[str, object]], name: str | None = None) -> dict[str, object]:
    found: dict[str, object] = {"CategoryId": uri, "Attribute": attributes}
    return found | ({"Id": name} if name else {})


def request(role: list[str], action: str, app: str, task: str | None) -> dict[str, object]:
    """One request in the form that all engines read: categories by identifier, data types in full."""
    resource = [attribute(ORG, "ttd"), attribute(APP, app), attribute("urn:altinn:partyid", "500000")]
    if task:
        resource.append(attribute(TASK, task))
    return {
        "Request": {
            "Category": [
                category(SUBJECT, [attribute("urn:altinn:userid", "1337"), attribute(ROLE, role)]),
                category(ACTION, [attribute(ACTION_ID, action)]),
                category(RESOURCE, resource),
            ]
        }
    }


def app_requests() -> list[dict[str, object]]:
    """Eight requests with three roles each: six permitted, by a different rule each, two not."""
    cases = [
        (["UTINN", "DAGL", "SISKD"], "write", "Task_1"), (["KONT", "PRIV", "ABCD"], "write", "Task_1"),
        (["KONT", "SISKD", "ABCD"], "confirm", "Task_2"), (["UTINN", "LEDE", "SISKD"], "sign", "Task_3"),
        (["KONT", "UTINN", "ABCD"], "read", "Task_2"), (["KONT", "REVI", "ABCD"], "read", "Task_1"),
        (["KONT", "PRIV", "ABCD"], "sign", "Task_3"), (["UTINN", "DAGL", "SISKD"], "complete", "Task_2"),
    ]  # fmt: skip
    return [request(role, action, "permit", task) for role, action, task in cases]


def large_requests() -> list[dict[str, object]]:
    """Eight requests spread over the large policy."""
    return [
        request(["X1", f"role{n % 10}", "Y2"], "write" if n % 2 else "sign", f"app-{n * 13 % 100}", f"Task_{n % 3}")
        for n in range(8)
    ]


def multi_request(instances: int = 1000, *, references: bool = False) -> dict[str, object]:
    """May one user read each of many instances, in five different places?

    By repeated categories, which the peers read too, or by references, as Altinn's enforcement points ask.
    """
    places = ["Task_1", "Task_2", "Task_3", "Task_4", None]
    who = [attribute("urn:altinn:userid", "1337"), attribute(ROLE, ["UTINN", "SISKD"])]
    categories = [
        category(SUBJECT, who, "s1"),
        category(ACTION, [attribute(ACTION_ID, "read", include=True)], "a1"),
    ]
    for n in range(instances):
        task = places[n % 5]
        attributes = [
            attribute(ORG, "ttd"), attribute(APP, "permit"), attribute("urn:altinn:partyid", str(500000 + n)),
            attribute("urn:altinn:instance-id", f"{500000 + n}/2d1c0b9e-3f60-4a1e-9d55-{n:012x}", include=True),
            attribute(TASK, task) if task else attribute(END, "EndEvent_1"),
        ]  # fmt: skip
        categories.append(category(RESOURCE, attributes, f"r{n}"))
    asked: dict[str, object] = {"Category": categories}
    if references:
        asked["MultiRequests"] = {
            "RequestReference": [{"ReferenceId": ["s1", "a1", f"r{n}"]} for n in range(instances)]
        }
    return {"Request": asked}


def singles(multi: dict[str, object]) -> list[dict[str, object]]:
    """The requests of a multi-request one by one, for engines that are handed them so."""
    subject, action, *resources = multi["Request"]["Category"]  # type: ignore[index]
    return [{"Request": {"Category": [subject, action, resource]}} for resource in resources]


def as_xml(asked: dict[str, object]) -> bytes:
    """The same request in XML."""
    parts = []
    for given in asked["Request"]["Category"]:  # type: ignore[index]
        held = []
        for a in given["Attribute"]:
            values = a["Value"] if isinstance(a["Value"], list) else [a["Value"]]
            text = "".join(f'<AttributeValue DataType="{STRING}">{v}</AttributeValue>' for v in values)
            include = "true" if a.get("IncludeInResult") else "false"
            held.append(f'<Attribute AttributeId="{a["AttributeId"]}" IncludeInResult="{include}">{text}</Attribute>')
        parts.append(f'<Attributes Category="{given["CategoryId"]}">{"".join(held)}</Attributes>')
    return (
        '<Request xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" ReturnPolicyIdList="false"'
        f' CombinedDecision="false">{"".join(parts)}</Request>'
    ).encode()


def write(folder: Path) -> None:
    """All cases, for engines that run outside this process."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.xml").write_bytes(app_policy())
    (folder / "large.xml").write_bytes(large_policy())
    for name, requests in (("app", app_requests()), ("large", large_requests())):
        for number, asked in enumerate(requests):
            (folder / f"{name}-{number}.json").write_text(json.dumps(asked))
            (folder / f"{name}-{number}.xml").write_bytes(as_xml(asked))
    multi = multi_request()
    (folder / "multi.json").write_text(json.dumps(multi))
    (folder / "multi-single.jsonl").write_text("\n".join(map(json.dumps, singles(multi))))
    (folder / "multi-single.xmll").write_bytes(b"\n".join(map(as_xml, singles(multi))))
