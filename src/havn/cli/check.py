"""`havn check`: every problem of an app folder, with file, line and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from havn.cli.output import AnswerOption, Failure, counted, say, write, write_json
from havn.cli.platform import AsOption, app_id

if TYPE_CHECKING:
    from havn.appfolder import Finding


def check(path: Path = Path(), /, *, as_: AsOption = None, json_: AnswerOption = False) -> None:
    """Read a whole app folder and report every problem; exit code 1 when there is an error.

    Parameters
    ----------
    path
        The folder that holds App/, or App/ itself.
    as_
        ORG/APP, for a template with [ORG]/[APP] in it.
    """
    findings = run_check(path, as_)
    errors = sum(finding.severity == "error" for finding in findings)
    if json_:
        write_json({"errors": errors, "warnings": len(findings) - errors, "findings": findings})
    else:
        show_findings(findings, write)
        warnings = counted(len(findings) - errors, "warning")
        say(f"{counted(errors, 'error')}, {warnings}." if findings else "No problems found.")
    sys.exit(1 if errors else 0)


def run_check(path: Path, as_: str | None) -> list[Finding]:
    """The findings. Raises `Failure` when there is no such folder."""
    from havn.appfolder.checks import check as check_folder

    if not path.is_dir():
        raise Failure(f"{path} is not a folder: name the one that holds App/.")
    return list(check_folder(path, as_=app_id(as_) if as_ is not None else None))


def show_findings(findings: Sequence[Finding], line: Callable[[str], None]) -> None:
    """Each finding as `file:line:column: severity: message`, and its hint below."""
    for finding in findings:
        line(str(finding))
        if finding.hint:
            line(f"    {finding.hint}")
