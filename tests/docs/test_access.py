"""The rights that the how-to shows are those of the file that it names."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_rights_on_the_page_are_those_of_the_file():
    page = (ROOT / "docs" / "how-to" / "add-a-cluster.md").read_text()
    shown = re.search(r"```yaml\n(apiVersion.*?)```", page, re.DOTALL)
    assert shown is not None
    comment, _, text = (ROOT / "charts" / "cluster" / "access.yaml").read_text().partition("\n")
    assert comment.startswith("#")
    assert text == shown[1]
