"""Finding a policy, its cases and its app's facts from a path: an app folder, or a policy file."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from havn.appfolder import policy_cases
from havn.appfolder.files import Files
from havn.appfolder.ids import AppId
from havn.engines.app_policy import cases, names
from havn.engines.app_policy.reading import rules
from havn.engines.app_policy.roles import KNOWN_ROLES
from havn.engines.process import Process, ProcessError
from havn.engines.process import read as read_process
from havn.engines.xacml import PolicyDocument, PolicyError, Surroundings, load_policy

POLICY = "config/authorization/policy.xml"
CASES = policy_cases.NAME
_PROCESS = "config/process/process.bpmn"
_METADATA = "config/applicationmetadata.json"
_PLATFORM_ACTIONS = {"instantiate", "read", "write", "delete", "complete", "reject", "events"}


class SourceError(Exception):
    """What was named cannot be used; the message is one sentence with the next step."""


class Source(msgspec.Struct, frozen=True):
    """A policy and what is known around it."""

    document: PolicyDocument
    path: Path
    org: str | None
    app: str | None
    process: Process | None

    @property
    def surroundings(self) -> Surroundings:
        """What lint may compare with."""
        process = self.process
        if process is None:
            return Surroundings(org=self.org, app=self.app, roles=KNOWN_ROLES)
        actions = set(_PLATFORM_ACTIONS)
        for task in process.tasks:
            actions.update(task.next_actions)
            actions.update(action.id for action in task.actions)
        return Surroundings(
            org=self.org,
            app=self.app,
            tasks=self.tasks,
            end_events=self.end_events,
            sign_tasks=[task.id for task in process.tasks if task.task_type == "signing"],
            actions=actions,
            roles=KNOWN_ROLES,
        )

    @property
    def tasks(self) -> list[str]:
        """The process's tasks in file order."""
        return [task.id for task in self.process.tasks] if self.process is not None else []

    @property
    def end_events(self) -> list[str]:
        """The process's end events in file order."""
        return [event.id for event in self.process.end_events] if self.process is not None else []


def read(path: Path, as_: str | None = None) -> Source:
    """The policy at `path`: a policy file, or an app folder (the one that holds `App/`, or `config/`).

    `as_` is `ORG/APP` for the placeholders. Raises `SourceError`, or the engine's `PolicyError` with line and rule.
    """
    try:
        app_id = AppId.parse(as_) if as_ is not None else None
    except ValueError as error:
        raise SourceError(f"--as is not ORG/APP: {error}.") from None
    if path.is_file():
        xml = contents(path)
        if app_id is not None:
            for written, value in (("ORG", app_id.org), ("APP", app_id.app)):
                for form in (f"[{written}]", f"[{written.lower()}]"):
                    xml = xml.replace(form.encode(), value.encode())
        document = _load(xml, path)
        around = _around(path, app_id)
        org, app = _named(around) if around is not None else (None, None)
        if org is None:
            org, app = (app_id.org, app_id.app) if app_id is not None else _only_app(document)
        return Source(document, path, org, app, _process(around) if around is not None else None)
    if not path.is_dir():
        raise SourceError(f"There is nothing at {path}: name a policy file or an app folder.")
    return _folder(path, app_id)


def _folder(path: Path, app_id: AppId | None) -> Source:
    files = Files(path, as_=app_id)
    name = files.app + POLICY
    text = files.text(name)
    if text is None:
        raise SourceError(f"{files.root / name} cannot be read: is {path} an app folder?")
    document = _load(text.encode(), files.root / name)
    org, app = (app_id.org, app_id.app) if app_id is not None else _named(files)
    return Source(document, files.root / name, org, app, _process(files))


def _named(files: Files) -> tuple[str | None, str | None]:
    """Org and app from the metadata's id, unless they are placeholders still."""
    text = files.text(files.app + _METADATA)
    try:
        id_ = msgspec.json.decode(text or "{}", type=dict[str, Any]).get("id")
    except msgspec.MsgspecError:
        return None, None
    try:
        found = AppId.parse(id_) if isinstance(id_, str) else None
    except ValueError:
        return None, None
    return (found.org, found.app) if found is not None else (None, None)


def _process(files: Files) -> Process | None:
    xml = files.bytes(files.app + _PROCESS)
    if xml is None:
        return None
    try:
        return read_process(xml)
    except ProcessError:
        # `havn check` says what is wrong with it; without it, places and actions are not compared.
        return None


def _around(policy: Path, app_id: AppId | None) -> Files | None:
    """The app folder that a policy file stands in, if it does."""
    folder = policy.resolve().parent
    if folder.name != "authorization" or folder.parent.name != "config":
        return None
    return Files(folder.parent.parent, as_=app_id)


def _only_app(document: PolicyDocument) -> tuple[str | None, str | None]:
    """The org and app that the policy's rules name, if they all name the same."""
    named = {
        tuple(next((pair.value for pair in grant.resource if pair.id == name), None) for name in (names.ORG, names.APP))
        for view in rules(document)
        for grant in view.grants
    }
    found = named.pop() if len(named) == 1 else (None, None)
    return (found[0], found[1])


def read_cases(source: Source, path: Path | None) -> tuple[cases.CaseFile, Path]:
    """The cases at `path`, or those beside the policy. Raises `SourceError` with file, line and column."""
    path = path if path is not None else source.path.with_name(CASES)
    if not path.is_file():
        raise SourceError(f"There are no cases at {path}: write some there, or name the file with --cases.")
    app_id = AppId(source.org, source.app) if source.org is not None and source.app is not None else None
    around = _around(path, app_id)
    files, name = (around, around.app + policy_cases.FILE) if around is not None else (Files(path.parent), path.name)
    if around is not None and path.name != CASES:
        name = str(PurePosixPath(name).with_name(path.name))
    found = policy_cases.read(files, name)
    if found is None:
        finding = files.findings[-1]
        where = ":".join(str(part) for part in (path, finding.line, finding.column) if part)
        raise SourceError(f"{where}: {finding.message}")
    return found.file, path


def _load(xml: bytes, path: Path) -> PolicyDocument:
    return load_policy(xml, source=str(path))


def contents(path: Path) -> bytes:
    """What is in a file; `SourceError` when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from None


__all__ = ["CASES", "PolicyError", "Source", "SourceError", "contents", "read", "read_cases"]
