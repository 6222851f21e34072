"""Helm as a child process: it ends with us, so that whoever goes on with the work does not meet it."""

from __future__ import annotations

import os
import select
import subprocess
import sys

WORKS = """
import asyncio, sys
from pathlib import Path
from havn.clusters.kubernetes import Helm
asyncio.run(Helm(Path(sys.argv[1]), Path("kubeconfig")).uninstall("havn"))
"""
HANGS = "#!/bin/sh\nmkfifo {0}/wait\necho $$ > {0}/number\nread line < {0}/wait\n"


def test_a_helm_whose_process_is_killed_is_killed_too(tmp_path):
    program = tmp_path / "helm"
    program.write_text(HANGS.format(tmp_path))
    program.chmod(0o755)
    os.mkfifo(tmp_path / "number")
    with subprocess.Popen([sys.executable, "-c", WORKS, program]) as ours:
        helm = os.pidfd_open(int((tmp_path / "number").read_text()))
        try:
            ours.kill()
            ended, _, _ = select.select([helm], [], [], 20)
        finally:
            os.close(helm)
    assert ended
