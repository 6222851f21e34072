# ruff: noqa: E501 - tables read best as lines
"""Every standard function by table: arguments in lexical form, the value or the error that must come."""

from __future__ import annotations

from typing import Any

import pytest

from havn.engines.xacml import datatypes, names
from havn.engines.xacml.content import Content
from havn.engines.xacml.datatypes import SHORT_NAMES, XPathExpression
from havn.engines.xacml.errors import EvaluationError
from havn.engines.xacml.evaluation import Evaluation
from havn.engines.xacml.functions import FUNCTIONS
from havn.engines.xacml.functions.comparison import EQUALITY
from havn.engines.xacml.functions.registry import Function, Type, TypeMismatch
from havn.engines.xacml.model import Request

BY_NAME = {function.name: function for function in FUNCTIONS.values()}
ERROR = EvaluationError

# Two different values of each type that has sets, and the first again in another form where there is one.
SAMPLES = {
    "string": ("a", "b", "a"), "boolean": ("true", "false", "1"), "integer": ("1", "2", "01"),
    "double": ("1.5", "NaN", "15e-1"), "time": ("08:00:00Z", "09:00:00Z", "09:00:00+01:00"),
    "date": ("2024-01-01Z", "2024-01-02Z", "2024-01-01"),
    "dateTime": ("2024-01-01T00:00:00Z", "2024-01-01T00:00:01Z", "2024-01-01T01:00:00+01:00"),
    "anyURI": ("urn:a", "urn:b", "urn:a"), "hexBinary": ("0a", "0b", "0A"), "base64Binary": ("YQ==", "Yg==", "Y Q=="),
    "dayTimeDuration": ("P1D", "P2D", "PT24H"), "yearMonthDuration": ("P1Y", "P2Y", "P12M"),
    "x500Name": ("cn=a", "cn=b", "CN=A"), "rfc822Name": ("a@x.no", "b@x.no", "a@X.no"),
}  # fmt: skip

# name, arguments as "type:text", result as text, or ERROR
TABLE: list[tuple[str, list[str], Any]] = [
    ("string-equal-ignore-case", ["string:Åse", "string:ÅSE"], True),
    ("string-equal-ignore-case", ["string:a", "string:b"], False),
    ("integer-add", ["integer:1", "integer:2", "integer:3"], "6"),
    ("integer-subtract", ["integer:1", "integer:3"], "-2"),
    ("integer-multiply", ["integer:2", "integer:-3", "integer:4"], "-24"),
    ("integer-divide", ["integer:-7", "integer:2"], "-3"),
    ("integer-divide", ["integer:7", "integer:0"], ERROR),
    ("integer-mod", ["integer:-7", "integer:2"], "-1"),
    ("integer-mod", ["integer:7", "integer:0"], ERROR),
    ("integer-abs", ["integer:-7"], "7"),
    ("double-add", ["double:0.5", "double:1.5", "double:1"], "3.0"),
    ("double-subtract", ["double:0.5", "double:1.5"], "-1.0"),
    ("double-multiply", ["double:1e200", "double:1e200"], "INF"),
    ("double-divide", ["double:1", "double:4"], "0.25"),
    ("double-divide", ["double:1", "double:0"], ERROR),
    ("double-abs", ["double:-2.5"], "2.5"),
    ("round", ["double:2.5"], "2.0"),
    ("round", ["double:-0.4"], "-0.0"),
    ("round", ["double:INF"], "INF"),
    ("floor", ["double:-1.5"], "-2.0"),
    ("floor", ["double:NaN"], "NaN"),
    ("double-to-integer", ["double:-3.9"], "-3"),
    ("double-to-integer", ["double:NaN"], ERROR),
    ("integer-to-double", ["integer:3"], "3.0"),
    ("integer-to-double", ["integer:1" + "0" * 400], ERROR),
    ("string-normalize-space", ["string: \n a  b \t"], "a  b"),
    ("string-normalize-to-lower-case", ["string:ÆØÅ"], "æøå"),
    ("and", [], True), ("and", ["boolean:true", "boolean:false"], False),
    ("or", [], False), ("or", ["boolean:false", "boolean:true"], True),
    ("not", ["boolean:true"], False),
    ("n-of", ["integer:0"], True),
    ("n-of", ["integer:2", "boolean:true", "boolean:false", "boolean:true"], True),
    ("n-of", ["integer:2", "boolean:true", "boolean:false"], False),
    ("n-of", ["integer:3", "boolean:true"], ERROR),
    ("time-in-range", ["time:23:30:00Z", "time:22:00:00Z", "time:02:00:00Z"], True),
    ("time-in-range", ["time:12:00:00Z", "time:22:00:00Z", "time:02:00:00Z"], False),
    ("time-in-range", ["time:09:00:00+02:00", "time:08:00:00", "time:10:00:00"], True),
    ("dateTime-add-dayTimeDuration", ["dateTime:2024-02-28T12:00:00Z", "dayTimeDuration:P1DT13H"], "2024-03-01T01:00:00Z"),
    ("dateTime-subtract-dayTimeDuration", ["dateTime:2024-03-01T00:00:00Z", "dayTimeDuration:PT1S"], "2024-02-29T23:59:59Z"),
    ("dateTime-add-yearMonthDuration", ["dateTime:2024-02-29T12:00:00Z", "yearMonthDuration:P1Y"], "2025-02-28T12:00:00Z"),
    ("dateTime-subtract-yearMonthDuration", ["dateTime:2024-03-31T00:00:00+01:00", "yearMonthDuration:P1M"], "2024-02-29T00:00:00+01:00"),
    ("date-add-yearMonthDuration", ["date:2024-01-31", "yearMonthDuration:P1M"], "2024-02-29"),
    ("date-subtract-yearMonthDuration", ["date:0001-01-31", "yearMonthDuration:P1M"], "-0001-12-31"),
    ("string-concatenate", ["string:a", "string:b", "string:c"], "abc"),
    ("string-starts-with", ["string:ab", "string:abc"], True),
    ("string-starts-with", ["string:abc", "string:ab"], False),
    ("string-ends-with", ["string:bc", "string:abc"], True),
    ("string-contains", ["string:b", "string:abc"], True),
    ("string-substring", ["string:abc", "integer:1", "integer:-1"], "bc"),
    ("string-substring", ["string:abc", "integer:1", "integer:2"], "b"),
    ("string-substring", ["string:abc", "integer:1", "integer:4"], ERROR),
    ("string-substring", ["string:abc", "integer:-1", "integer:2"], ERROR),
    ("anyURI-starts-with", ["string:urn:", "anyURI:urn:a"], True),
    ("anyURI-ends-with", ["string::a", "anyURI:urn:a"], True),
    ("anyURI-contains", ["string:x", "anyURI:urn:a"], False),
    ("anyURI-substring", ["anyURI:urn:a", "integer:0", "integer:3"], "urn"),
    ("anyURI-substring", ["anyURI:urn:a", "integer:9", "integer:-1"], ERROR),
    ("x500Name-match", ["x500Name:O=Medico Corp,C=US", "x500Name:cn=John Smith,o=Medico Corp, c=US"], True),
    ("x500Name-match", ["x500Name:O=Another Corp,C=US", "x500Name:cn=John Smith,o=Medico Corp, c=US"], False),
    ("rfc822Name-match", ["string:Anderson@sun.com", "rfc822Name:Anderson@SUN.COM"], True),
    ("rfc822Name-match", ["string:anderson@sun.com", "rfc822Name:Anderson@SUN.COM"], False),
    ("rfc822Name-match", ["string:sun.com", "rfc822Name:x@sun.com"], True),
    ("rfc822Name-match", ["string:sun.com", "rfc822Name:x@east.sun.com"], False),
    ("rfc822Name-match", ["string:.east.sun.com", "rfc822Name:x@isrg.East.Sun.Com"], True),
    ("rfc822Name-match", ["string:.east.sun.com", "rfc822Name:x@east.sun.com"], False),
    ("string-regexp-match", ["string:b+", "string:abbc"], True),
    ("string-regexp-match", ["string:^b", "string:abbc"], False),
    ("string-regexp-match", ["string:(", "string:abbc"], ERROR),
    ("anyURI-regexp-match", ["string:^urn:", "anyURI:urn:a"], True),
    ("ipAddress-regexp-match", ["string:^10\\.", "ipAddress:10.1.2.3"], True),
    ("dnsName-regexp-match", ["string:no$", "dnsName:example.no"], True),
    ("rfc822Name-regexp-match", ["string:@x", "rfc822Name:a@x.no"], True),
    ("x500Name-regexp-match", ["string:cn=[ab]", "x500Name:cn=b"], True),
    ("boolean-from-string", ["string:1"], "true"), ("boolean-from-string", ["string:yes"], ERROR),
    ("integer-from-string", ["string:12"], "12"), ("integer-from-string", ["string:1.2"], ERROR),
    ("double-from-string", ["string:1e1"], "10.0"), ("time-from-string", ["string:08:00:00"], "08:00:00"),
    ("date-from-string", ["string:2024-01-01"], "2024-01-01"), ("date-from-string", ["string:2024"], ERROR),
    ("dateTime-from-string", ["string:2024-01-01T00:00:00"], "2024-01-01T00:00:00"),
    ("anyURI-from-string", ["string:urn:a"], "urn:a"), ("dayTimeDuration-from-string", ["string:P1D"], "P1D"),
    ("yearMonthDuration-from-string", ["string:P1Y"], "P1Y"), ("x500Name-from-string", ["string:cn=a"], "cn=a"),
    ("rfc822Name-from-string", ["string:a@b"], "a@b"), ("ipAddress-from-string", ["string:10.0.0.1"], "10.0.0.1"),
    ("dnsName-from-string", ["string:a.no"], "a.no"), ("string-from-boolean", ["boolean:1"], "true"),
    ("string-from-integer", ["integer:012"], "12"), ("string-from-double", ["double:1.50"], "1.5"),
    ("string-from-time", ["time:08:00:00.10Z"], "08:00:00.1Z"), ("string-from-date", ["date:2024-01-01"], "2024-01-01"),
    ("string-from-dateTime", ["dateTime:2024-01-01T00:00:00Z"], "2024-01-01T00:00:00Z"),
    ("string-from-anyURI", ["anyURI:urn:a"], "urn:a"), ("string-from-dayTimeDuration", ["dayTimeDuration:PT24H"], "P1D"),
    ("string-from-yearMonthDuration", ["yearMonthDuration:P1Y"], "P1Y"), ("string-from-x500Name", ["x500Name:cn=a"], "cn=a"),
    ("string-from-rfc822Name", ["rfc822Name:a@B"], "a@B"), ("string-from-ipAddress", ["ipAddress:10.0.0.1"], "10.0.0.1"),
    ("string-from-dnsName", ["dnsName:a.no"], "a.no"),
    ("ipAddress-one-and-only", ["ipAddress*:10.0.0.1"], "10.0.0.1"), ("ipAddress-bag-size", ["ipAddress*:10.0.0.1,10.0.0.2"], "2"),
    ("ipAddress-bag", ["ipAddress:10.0.0.1", "ipAddress:10.0.0.2"], ["10.0.0.1", "10.0.0.2"]),
    ("dnsName-one-and-only", ["dnsName*:"], ERROR), ("dnsName-bag-size", ["dnsName*:"], "0"),
    ("dnsName-bag", ["dnsName:a.no"], ["a.no"]),
    ("any-of", ["f:integer-less-than", "integer:2", "integer*:1,3"], True),
    ("any-of", ["f:integer-less-than", "integer:3", "integer*:1,3"], False),
    ("any-of", ["f:string-regexp-match", "string*:(,b", "string:abc"], True),
    ("any-of", ["f:string-regexp-match", "string*:(,x", "string:abc"], ERROR),
    ("all-of", ["f:integer-less-than", "integer:0", "integer*:1,3"], True),
    ("all-of", ["f:string-regexp-match", "string*:(,x", "string:abc"], False),
    ("all-of", ["f:string-regexp-match", "string*:(,b", "string:abc"], ERROR),
    ("all-of", ["f:integer-less-than", "integer:0", "integer*:"], True),
    ("any-of-any", ["f:integer-equal", "integer*:1,2", "integer*:2,3"], True),
    ("any-of-any", ["f:integer-equal", "integer:1", "integer*:2,3"], False),
    ("all-of-any", ["f:integer-greater-than", "integer*:10,20", "integer*:1,3,5,19"], True),
    ("all-of-any", ["f:integer-greater-than", "integer*:1,20", "integer*:1,3"], False),
    ("any-of-all", ["f:integer-greater-than", "integer*:3,5", "integer*:1,2,3,4"], True),
    ("any-of-all", ["f:integer-greater-than", "integer*:3,4", "integer*:1,2,3,4"], False),
    ("all-of-all", ["f:integer-greater-than", "integer*:5,6", "integer*:1,2,3,4"], True),
    ("all-of-all", ["f:integer-greater-than", "integer*:4,6", "integer*:1,2,3,4"], False),
    ("map", ["f:string-normalize-to-lower-case", "string*:A,B"], ["a", "b"]),
    ("map", ["f:integer-from-string", "string*:1,x"], ERROR),
    ("xpath-node-count", ["x://b"], "2"), ("xpath-node-count", ["x://none"], "0"), ("xpath-node-count", ["x:1+1"], ERROR),
    ("xpath-node-equal", ["x://b[1]", "x:/a/b"], True), ("xpath-node-equal", ["x://b[1]", "x://b[2]"], False),
    ("xpath-node-match", ["x:/a", "x://b/@id"], True), ("xpath-node-match", ["x://b", "x:/a"], False),
    ("xpath-node-match", ["x://b[1]", "x://b[1]/text()"], True),
]  # fmt: skip

CONTENT = Content.read(b'<a><b id="1">one</b><b>two</b></a>')


def _generated() -> list[tuple[str, list[str], Any]]:
    rows: list[tuple[str, list[str], Any]] = []
    for kind, (a, b, again) in SAMPLES.items():
        rows += [
            (f"{kind}-equal", [f"{kind}:{a}", f"{kind}:{again}"], True),
            (f"{kind}-equal", [f"{kind}:{a}", f"{kind}:{b}"], False),
            (f"{kind}-one-and-only", [f"{kind}*:{a}"], _written(kind, a)),
            (f"{kind}-one-and-only", [f"{kind}*:"], ERROR),
            (f"{kind}-one-and-only", [f"{kind}*:{a},{b}" if kind != "x500Name" else f"{kind}*:{a};{b}"], ERROR),
            (f"{kind}-bag-size", [f"{kind}*:{a};{again}"], "2"),
            (f"{kind}-bag", [f"{kind}:{a}", f"{kind}:{b}"], [_written(kind, a), _written(kind, b)]),
            (f"{kind}-bag", [], []),
            (f"{kind}-is-in", [f"{kind}:{again}", f"{kind}*:{b};{a}"], True),
            (f"{kind}-is-in", [f"{kind}:{a}", f"{kind}*:{b}"], False),
            (f"{kind}-intersection", [f"{kind}*:{a};{b};{a}", f"{kind}*:{again}"], [_written(kind, a)]),
            (f"{kind}-at-least-one-member-of", [f"{kind}*:{a}", f"{kind}*:{b};{again}"], True),
            (f"{kind}-at-least-one-member-of", [f"{kind}*:{a}", f"{kind}*:{b}"], False),
            (
                f"{kind}-union",
                [f"{kind}*:{a}", f"{kind}*:{b};{again}", f"{kind}*:"],
                [_written(kind, a), _written(kind, b)],
            ),
            (f"{kind}-subset", [f"{kind}*:{again}", f"{kind}*:{b};{a}"], True),
            (f"{kind}-subset", [f"{kind}*:{a};{b}", f"{kind}*:{a}"], False),
            (f"{kind}-set-equals", [f"{kind}*:{a};{b};{a}", f"{kind}*:{b};{again}"], True),
            (f"{kind}-set-equals", [f"{kind}*:{a}", f"{kind}*:{b};{a}"], False),
        ]
    for kind, low, high in (
        ("integer", "2", "10"), ("double", "2", "10"), ("string", "10", "2"), ("date", "2024-01-01", "2024-01-01-01:00"),
        ("time", "08:00:00Z", "08:00:00-01:00"), ("dateTime", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00-01:00"),
    ):  # fmt: skip
        for name, less, same, greater in (
            ("greater-than", False, False, True), ("greater-than-or-equal", False, True, True),
            ("less-than", True, False, False), ("less-than-or-equal", True, True, False),
        ):  # fmt: skip
            rows += [
                (f"{kind}-{name}", [f"{kind}:{low}", f"{kind}:{high}"], less),
                (f"{kind}-{name}", [f"{kind}:{low}", f"{kind}:{low}"], same),
                (f"{kind}-{name}", [f"{kind}:{high}", f"{kind}:{low}"], greater),
            ]
    return rows


def _written(kind: str, text: str) -> str:
    return datatypes.write(SHORT_NAMES[kind], datatypes.parse(SHORT_NAMES[kind], text))


def _argument(text: str) -> tuple[Any, Type | Function]:
    kind, _, value = text.partition(":")
    if kind == "f":
        return BY_NAME[value], BY_NAME[value]
    if kind == "x":
        return XPathExpression(value, names.RESOURCE), Type(names.XPATH_EXPRESSION)
    data_type = SHORT_NAMES[kind.rstrip("*")]
    if not kind.endswith("*"):
        return datatypes.parse(data_type, value), Type(data_type)
    parts = value.split(";") if ";" in value else value.split(",") if value else []
    return tuple(datatypes.parse(data_type, part) for part in parts), Type(data_type, bag=True)


ROWS = TABLE + _generated()


@pytest.mark.parametrize(("name", "arguments", "expected"), ROWS, ids=[f"{r[0]}-{n}" for n, r in enumerate(ROWS)])
def test_a_function_gives_its_value(name: str, arguments: list[str], expected: Any) -> None:
    function = BY_NAME[name]
    read = [_argument(text) for text in arguments]
    result = function.check(tuple(kind for _, kind in read))
    values = [value for value, _ in read]
    if isinstance(values[0] if values else None, Function):
        values[1:] = [v if k.bag else (v,) for v, k in read[1:]]  # type: ignore[union-attr]
    if function.context:
        values.insert(0, Evaluation(Request({}, content={names.RESOURCE: CONTENT}), None))
    if expected is ERROR:
        with pytest.raises(EvaluationError):
            function.call(*values)
        return
    value = function.call(*values)
    if isinstance(expected, bool):
        assert value is expected
    elif isinstance(expected, list):
        assert [datatypes.write(result.data_type, v) for v in value] == expected
    else:
        assert datatypes.write(result.data_type, value) == expected


def test_every_function_is_in_the_table() -> None:
    tested = {name for name, _, _ in ROWS} | {"access-permitted"}
    assert tested == set(BY_NAME)
    assert len(FUNCTIONS) == 253


def test_every_type_with_an_equality_has_samples() -> None:
    assert {datatypes.short(data_type) for data_type in EQUALITY} == set(SAMPLES)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("string-equal", ["string*:a", "string:a"]),
        ("integer-add", ["integer:1"]),
        ("not", []),
        ("any-of", ["f:integer-equal", "integer:1", "integer:2"]),
        ("any-of", ["f:integer-add", "integer:1", "integer*:2"]),
        ("all-of-all", ["f:integer-equal", "integer*:1", "integer:2"]),
        ("map", ["f:string-bag", "string*:1"]),
        ("map", ["string:a", "string*:1"]),
        ("string-union", ["string*:a"]),
    ],
)
def test_arguments_of_the_wrong_type_are_refused(name: str, arguments: list[str]) -> None:
    with pytest.raises(TypeMismatch):
        BY_NAME[name].check(tuple(_argument(text)[1] for text in arguments))


def test_text_and_numbers_that_grow_too_large_are_an_error() -> None:
    with pytest.raises(EvaluationError):
        BY_NAME["string-concatenate"].call("a" * 1_000_000, "b" * 100_000)
    with pytest.raises(EvaluationError):
        BY_NAME["integer-multiply"].call(2**10_000, 2**10_000)


def test_higher_order_functions_stop_at_their_budget() -> None:
    x = Evaluation(Request({}), None)
    bag = tuple(range(10_000))
    with pytest.raises(EvaluationError, match="too many steps"):
        BY_NAME["any-of-any"].call(x, BY_NAME["integer-equal"], bag, tuple(-n - 1 for n in bag))


def test_a_function_that_fails_says_so() -> None:
    """The fast path trusts this flag: what is marked as never failing must not."""
    for name, arguments, expected in ROWS:
        if expected is ERROR:
            assert BY_NAME[name].fails, (name, arguments)
