"""Checking an app folder: every file against its format, every reference between them, with file, line and hint."""

from __future__ import annotations

from pathlib import Path

from havn.appfolder.findings import AppFolderError, Finding
from havn.appfolder.folder import AppFolder
from havn.appfolder.ids import AppId


def check(path: Path, *, as_: AppId | None = None) -> list[Finding]:
    """Everything wrong with the app folder at `path`, in the order of files and lines. Never raises for content."""
    findings: list[Finding] = []
    try:
        AppFolder.read(path, as_=as_)
    except AppFolderError as error:
        findings += error.findings
    return sorted(findings, key=lambda found: (found.file, found.line, found.column, found.code))
