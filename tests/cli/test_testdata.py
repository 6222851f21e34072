"""`havn testdata` as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def havn(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "havn"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_new_set_is_kept_and_its_people_are_shown(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    made = havn("testdata", "new", "--seed", "7", "--org", "5", "--state", state, "--json")
    assert made.returncode == 0, made.stderr
    document = json.loads(made.stdout)
    assert document["name"] == "seed-7-5"
    assert Path(document["file"]).is_file()
    shown = json.loads(havn("testdata", "people", "--state", state, "--json").stdout)
    assert shown["total"] > document["people"]
    again = json.loads(havn("testdata", "new", "--seed", "7", "--org", "5", "--state", state, "--json").stdout)
    assert again == document


def test_people_are_searched_by_role(tmp_path: Path) -> None:
    answer = havn("testdata", "people", "revisor", "--state", str(tmp_path))
    assert answer.stdout.splitlines()[1].startswith("Streng Falk")


def test_a_wrong_number_is_one_plain_sentence(tmp_path: Path) -> None:
    answer = havn("testdata", "new", "--seed", "7", "--org", "0", "--state", str(tmp_path))
    assert answer.returncode == 1
    assert "--org is 1 to 5000" in answer.stderr
    assert "Traceback" not in answer.stderr
