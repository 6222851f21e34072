# ruff: noqa: E501 - tables read best as lines
"""docs/reference/xacml.md lists what the engine has; this file, run as a program, writes the lists anew."""

from __future__ import annotations

import re
from pathlib import Path

from havn.engines.xacml.algorithms import POLICY_ALGORITHMS, RULE_ALGORITHMS
from havn.engines.xacml.datatypes import DATA_TYPES
from havn.engines.xacml.functions import FUNCTIONS
from havn.engines.xacml.limits import INTEGER_BITS, STEPS, TEXT, XPATH_TEXT, XPATH_VISITS, Limits

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "xacml.md"


def tables() -> dict[str, str]:
    """The generated parts by the name of their marker."""
    functions = ["| Function | Takes and gives |", "| --- | --- |"]
    functions += [f"| `{f.id}` | {f.signature} |" for f in sorted(FUNCTIONS.values(), key=lambda f: f.id)]
    types = ["| Data type | Short name in JSON |", "| --- | --- |"]
    types += [f"| `{t.id}` | `{t.name}` |" for t in DATA_TYPES.values()]
    algorithms = ["| Algorithm | On | |", "| --- | --- | --- |"]
    algorithms += [
        f"| `{a.id}` | {kind} | {'legacy' if a.legacy else ''} |"
        for kind, known in (("rules", RULE_ALGORITHMS), ("policies", POLICY_ALGORITHMS))
        for a in known.values()
    ]
    default = Limits()
    limits = ["| Limit | Default |", "| --- | --- |"]
    limits += [
        f"| {label} | {value:,} |"
        for label, value in (
            ("bytes of a policy document", default.policy_bytes), ("nesting of elements", default.depth),
            ("chain of references", default.reference_depth), ("rules, with all that is referred to", default.rules),
            ("policies and policy sets, likewise", default.policies),
            ("bytes of a request", default.request_bytes), ("decisions in one call", default.sub_requests),
            ("values in a request", default.values), ("values of one attribute", default.bag),
            ("bytes of one Content", default.content_bytes), ("applications by higher-order functions in one decision", STEPS),
            ("characters of a string that a function makes", TEXT), ("bits of an integer", INTEGER_BITS),
            ("characters of an XPath expression", XPATH_TEXT), ("nodes that an XPath expression may visit, by estimate", XPATH_VISITS),
        )
    ]  # fmt: skip
    return {
        "functions": "\n".join(functions),
        "types": "\n".join(types),
        "algorithms": "\n".join(algorithms),
        "limits": "\n".join(limits),
    }


def filled(text: str) -> str:
    """The page with its generated parts as they should be."""
    for name, table in tables().items():
        text = re.sub(
            rf"(<!-- {name} -->\n\n).*?(\n\n<!-- end {name} -->)",
            lambda m, t=table: m[1] + t + m[2],
            text,
            flags=re.DOTALL,
        )
    return text


def test_the_reference_page_lists_what_the_engine_has() -> None:
    text = PAGE.read_text()
    assert all(f"<!-- {name} -->" in text for name in tables())
    assert text == filled(text), "run: python tests/engines/xacml/test_reference_page.py"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
