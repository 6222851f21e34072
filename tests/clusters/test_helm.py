"""Helm as a child process: it ends with us, so that whoever goes on with the work does not meet it."""

from __future__ import annotations

import os
import select
import subprocess
import sys

import pytest

from havn.clusters.kubernetes import Helm
from havn.clusters.port import ClusterError

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


REFUSES = """#!/bin/sh
cat > /dev/null
cat >&2 <<'END'
Error: UPGRADE FAILED: values don't meet the specifications of the schema(s) in the following chart(s):
app:
- at '/probes/startup/periodSeconds': got string, want integer
- at '': additional properties 'replica' not allowed
END
exit 1
"""


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (
            REFUSES,
            "Helm upgrade failed: the chart does not take these values, so mend them where they are set: "
            "probes.startup.periodSeconds: got string, want integer; at the top: additional properties 'replica' not "
            "allowed.",
        ),
        (
            "#!/bin/sh\necho 'Error: UPGRADE FAILED: it is so' >&2\nexit 1\n",
            "Helm upgrade failed: UPGRADE FAILED: it is so.",
        ),
        ("#!/bin/sh\nexit 1\n", "Helm upgrade failed: it does not say why."),
    ],
)
async def test_why_helm_fails_is_a_sentence(tmp_path, script, says):
    program = tmp_path / "helm"
    program.write_text(script)
    program.chmod(0o755)
    with pytest.raises(ClusterError) as caught:
        await Helm(program, tmp_path / "kubeconfig").upgrade("first", tmp_path, {})
    assert str(caught.value) == says
