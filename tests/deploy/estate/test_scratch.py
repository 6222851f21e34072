"""The folder for credentials in use: of no use to anybody once its process is gone, however that ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from havn.deploy.estate.scratch import Scratch

HOLDS = """
import sys
from pathlib import Path
from havn.deploy.estate.scratch import Scratch
held = Scratch.open(Path(sys.argv[1]))
held.path.mkdir()
(held.path / "kubeconfig").write_text("planted")
print(held.path, flush=True)
sys.stdin.read()
"""


def other(work: Path) -> tuple[subprocess.Popen[str], Path]:
    """Another process that has a credential in its folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, work], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


async def test_what_a_killed_process_left_is_swept_away_and_what_a_living_one_has_is_not(tmp_path):
    living, its = other(tmp_path)
    killed, left = other(tmp_path)
    killed.kill()
    killed.communicate()
    ours = Scratch.open(tmp_path)
    ours.path.mkdir()
    assert {each.name for each in tmp_path.iterdir() if each.is_dir()} == {its.name, ours.path.name}
    assert not left.exists()
    assert (its / "kubeconfig").read_text() == "planted"
    living.kill()
    living.communicate()
    await ours.close()
    await ours.close()
    await Scratch.open(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_of_an_earlier_process_of_the_same_number_is_swept_too(tmp_path):
    before = tmp_path / f"run-{os.getpid()}"
    before.mkdir()
    (tmp_path / f"run-{os.getpid()}.lock").touch()
    ours = Scratch.open(tmp_path)
    assert ours.path == before
    assert not before.exists()
    await ours.close()
