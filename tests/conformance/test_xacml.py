"""The XACML 3.0 conformance cases: OASIS's suite with the corrections of its best known user, each case one test.

`Request.xml.ignore` or no request means that the policy must be refused when loaded; `Policy.xml.ignore` that the
request must be.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from havn.engines import xacml

ROOT = Path(__file__).resolve().parent.parent.parent
CASES = Path(os.environ.get("HAVN_CASES", ROOT.parent / "shared" / "cases")) / "xacml"
NS = "{urn:oasis:names:tc:xacml:3.0:core:schema:wd-17}"

# Cases that ask for what a decision point open to others must refuse, with the reason. None so far.
REFUSED: dict[str, str] = {}


def _cases() -> Iterator[Any]:
    if not CASES.is_dir():
        yield pytest.param(None, id="none", marks=pytest.mark.skip(f"no case folder at {CASES}: set HAVN_CASES"))
        return
    folders = {
        path.parent if path.parent.name.lower() != "policies" else path.parent.parent
        for path in CASES.rglob("*")
        if path.name.lower() in {"policy.xml", "policy.xml.ignore"}
    }
    for folder in sorted(folders):
        name = str(folder.relative_to(CASES))
        marks = [pytest.mark.skip(REFUSED[name])] if name in REFUSED else []
        yield pytest.param(folder, id=name, marks=marks)


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in folder.iterdir() if path.name.lower() == name), None)


@pytest.mark.parametrize("folder", list(_cases()))
def test_case(folder: Path) -> None:
    request_file = _find(folder, "request.xml")
    if _find(folder, "policy.xml.ignore"):
        assert request_file
        with pytest.raises(xacml.RequestError):
            xacml.xml_profile.read(request_file.read_bytes())
        return
    if request_file is None:
        with pytest.raises(xacml.PolicyError) as refusal:
            _policy(folder)
        assert refusal.value.line is not None
        return
    response_file = _find(folder, "response.xml")
    assert response_file
    policy = _policy(folder)
    asked = xacml.xml_profile.read(request_file.read_bytes(), now=dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC))
    answer = xacml.xml_profile.write(xacml.decide(policy, asked))
    _compare(etree.fromstring(answer), etree.fromstring(response_file.read_bytes()))
    for request, result in zip(asked.requests, policy.decide_many(asked.requests), strict=True):
        assert result.decision is policy.decide(request).decision
        explanation = policy.explain(request)
        # The explanation walks the policy on its own; it must come to the same.
        walked = explanation.trace.value if explanation.trace else "Indeterminate"
        assert walked.partition("{")[0] == result.decision.value
        json.dumps(explanation.to_json())


def _policy(folder: Path) -> xacml.CompiledPolicy:
    inside = _find(folder, "policies")
    files = sorted(inside.iterdir()) if inside else [_find(folder, "policy.xml")]
    documents = {
        path.name.lower(): xacml.load_policy(path.read_bytes(), source=path.name)
        for path in files
        if path and path.suffix == ".xml"
    }
    return xacml.compile_policy(documents["policy.xml"], xacml.repository(documents.values()))


def _compare(actual: etree._Element, expected: etree._Element) -> None:
    """Decision, status code, missing attributes, obligations, advice, returned attributes, policy identifiers."""
    results, wanted = actual.findall(NS + "Result"), expected.findall(NS + "Result")
    assert len(results) == len(wanted)
    for result, want in zip(results, wanted, strict=True):
        assert result.findtext(NS + "Decision") == (want.findtext(NS + "Decision") or "").strip()
        code = want.find(f"{NS}Status/{NS}StatusCode")
        if code is not None:
            assert result.find(f"{NS}Status/{NS}StatusCode").get("Value") == code.get("Value")
        if want.find(f"{NS}Status/{NS}StatusDetail") is not None:
            path = f"{NS}Status/{NS}StatusDetail"
            assert _form(result.find(path)) == _form(want.find(path))
        for part in ("Obligations", "AssociatedAdvice", "PolicyIdentifierList"):
            assert _form(result.find(NS + part)) == _form(want.find(NS + part))
        assert [_form(e) for e in result.findall(NS + "Attributes")] == [
            _form(e) for e in want.findall(NS + "Attributes") if len(e)
        ]


def _form(element: etree._Element | None) -> Any:
    """An element without prefixes, comments and outer white space."""
    if element is None:
        return None
    children = [_form(child) for child in element if isinstance(child.tag, str)]
    attributes = {name: value for name, value in element.attrib.items() if name != "IncludeInResult"}
    return (element.tag, attributes, (element.text or "").strip(), children)
