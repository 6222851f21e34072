# ruff: noqa: INP001  (a script, no package)
"""Write the requirements of the Containerfiles: what `havn image` would put in, at the versions and hashes of uv.lock.

Run `python images/lock.py` after a change of dependencies.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from havn.deploy.image import contents
from havn.deploy.release.dependencies import RUNTIME

HERE = Path(__file__).resolve().parent
ROOTS = {"runtime": RUNTIME, "platform": contents.PLATFORM}


def requirements(kind: str) -> str:
    """The file for one image, in pip's form."""
    lock = tomllib.loads((HERE.parent / "uv.lock").read_text())
    locked = {package["name"]: package for package in lock["package"]}
    lines = ["# Made by images/lock.py from uv.lock."]
    for found in contents.packages(ROOTS[kind]):
        package = locked[re.sub(r"[-_.]+", "-", found.name).lower()]
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        hashes = sorted({file["hash"] for file in files})
        lines.append(
            " \\\n    ".join([f"{package['name']}=={package['version']}", *(f"--hash={each}" for each in hashes)])
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name in ROOTS:
        (HERE / name / "requirements.txt").write_text(requirements(name))
        sys.stdout.write(f"images/{name}/requirements.txt\n")
