"""`deployment/egress.yaml`: each mistake with its file and line."""

from __future__ import annotations

from typing import Any

import pytest

from havn.appfolder import check


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("allow:\n  - host: data.example.no\n  - hots: x.example.no\n", 3, "hots"),
        ("mode: enforce\nallow:\n  - host: 10.0.0.1\n", 3, "addresses are not allowed"),
        ("allow:\n  - host: a.example.no\n    ports: [99999]\n", 3, "65535"),
        ("- a\n", 1, "object"),
        ("upstreams:\n  folk:\n    url: https://folk.example.no/\n    credentials: [nokkel]\n", 4, "nokkel"),
    ],
)
def test_a_mistake_in_the_outbound_rules_is_reported_where_it_stands(
    app: Any, text: str, line: int, words: str
) -> None:
    app.set("deployment/egress.yaml", text)
    found = [finding for finding in check(app.write()) if finding.code == "deployment.egress"]
    assert [(finding.file, finding.line) for finding in found] == [("deployment/egress.yaml", line)]
    assert words in found[0].message


def test_usable_rules_give_no_finding(app: Any) -> None:
    app.set("deployment/egress.yaml", "mode: enforce\nallow:\n  - host: '*.example.no'\n    reason: lookups\n")
    assert [finding for finding in check(app.write()) if finding.code.startswith(("deployment", "yaml"))] == []
