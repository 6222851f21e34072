"""Checking an app folder: every file against its format, every reference between them, with file, line and hint."""

from __future__ import annotations

from pathlib import Path

from havn.appfolder.checks import code, layouts, metadata, models, policy, process, rest, texts
from havn.appfolder.checks.subject import Subject
from havn.appfolder.files import Files
from havn.appfolder.findings import Finding
from havn.appfolder.ids import AppId
from havn.kit.clock import Clock, system_clock

MAX_FINDINGS = 2_000


def check(path: Path, *, as_: AppId | None = None, clock: Clock = system_clock) -> list[Finding]:
    """Everything wrong with the app folder at `path`, in the order of files and lines.

    `path` holds `App/` or `config/`; `as_` fills the placeholders of a template. Never raises for what is in the
    folder. An app without errors can be built and run; warnings say what may surprise. `clock` tells the time to the
    cases beside a policy that name none.
    """
    files = Files(path, as_=as_)
    subject = Subject(files)
    if subject.has_metadata or files.exists(subject.metadata_file):
        subject.load()
        metadata.check(subject)
        permitted = policy.check(subject, clock())
        process.check(subject, permitted)
        texts.check(subject)
        layouts.check(subject)
        models.check(subject)
        rest.options(subject)
        rest.footer(subject)
        rest.settings(subject)
        rest.values(subject)
        code.check(subject)
        rest.duplicates(subject)
    # A file may be read by several checks: what reading found is told once.
    unique = dict.fromkeys(files.findings)
    ordered = sorted(unique, key=lambda found: (found.file, found.line, found.column, found.code, found.message))
    return ordered[:MAX_FINDINGS]
