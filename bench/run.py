"""`make bench`: every measurement in turn, or those named (`make bench ARGS='main_job storage'`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PARTS = {
    "main_job": "main_job.py",
    "storage": "storage.py",
    "authorization": "authorization.py",
    "xacml": "xacml/run.py",
    "egress": "egress.py",
    "management": "management.py",
    "deploy": "deploy.py",
    "scaling": "scaling.py",
    "estate": "estate.py",
}


def main() -> int:
    """Run each part in a process of its own; the exit status is the worst."""
    wanted = sys.argv[1:] or list(PARTS)
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        print(f"There is no measurement {unknown[0]}: choose among {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    worst = 0
    for name in wanted:
        print(f"\n## {name}\n", flush=True)
        worst = max(worst, subprocess.run([sys.executable, str(FOLDER / PARTS[name])], check=False).returncode)
    return worst


if __name__ == "__main__":
    raise SystemExit(main())
