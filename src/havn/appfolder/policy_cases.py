"""`policy.test.yaml` beside an app's policy: the cases with their places, and those that the policy fails."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path, PurePosixPath

import msgspec

from havn.appfolder.decoding import error_path, error_text
from havn.appfolder.deployment import YamlPlaces, plain, read_yaml
from havn.appfolder.files import Files
from havn.appfolder.findings import Finding
from havn.appfolder.ids import AppId
from havn.engines import xacml
from havn.engines.app_policy import cases
from havn.engines.app_policy.cases import CaseFile, Outcome
from havn.engines.xacml import PolicyDocument

NAME = "policy.test.yaml"
FILE = f"config/authorization/{NAME}"
MAX_BYTES = 1024 * 1024
_MAX_NODES = 200_000
_POLICY = "config/authorization/policy.xml"


class PolicyCases(msgspec.Struct, frozen=True):
    """A file of cases as it was read."""

    file: CaseFile
    places: YamlPlaces

    def place(self, outcome: Outcome) -> tuple[int, int]:
        """Line and column of the expectation that an outcome came of."""
        case = self.file.cases[outcome.number - 1]
        actions = case.allow if outcome.expected == "allow" else case.deny
        return _place(self.places, ("cases", outcome.number - 1, outcome.expected, actions.index(outcome.action)))


def read(files: Files, file: str) -> PolicyCases | None:
    """The cases in `file`; None when there is none, or when it cannot be used (then with a finding)."""
    found = read_yaml(files, file, max_bytes=MAX_BYTES, max_nodes=_MAX_NODES)
    if found is None:
        return None
    try:
        return PolicyCases(cases.read(found.value), found)
    except cases.CasesError as error:
        path = error.path or error_path(str(error))
        message, hint = plain(error_text(str(error)))
        files.report("error", "policy.cases", message, file, _place(found, path), hint)
        return None


def read_beside(files: Files) -> PolicyCases | None:
    """The cases beside the app's policy, as `read` gives them; a file that only looks like one is reported."""
    folder = files.app + str(PurePosixPath(FILE).parent)
    for name in files.names(folder):
        if name != NAME and name.startswith(NAME.removesuffix(".yaml")):
            message = f"The file is not read: cases stand in {NAME}."
            files.report("warning", "policy.cases-name", message, f"{folder}/{name}", hint=f"Call it {NAME}.")
    return read(files, files.app + FILE)


def check(files: Files, beside: PolicyCases, document: PolicyDocument, app_id: AppId, now: datetime) -> None:
    """Run the cases beside the policy `document`, and report each expectation that it fails, at its own line."""
    outcomes = cases.run(xacml.compile_policy(document), beside.file, org=app_id.org, app=app_id.app, now=now)
    for outcome in outcomes:
        if not outcome.passed:
            files.report("error", "policy.case-failed", told(outcome), files.app + FILE, beside.place(outcome))


def findings(folder: Path, app_id: AppId, now: datetime) -> list[Finding]:
    """Why the cases beside a policy are not met, in the folder that holds `config/`; nothing when there are none."""
    files = Files(folder, as_=app_id)
    beside = read_beside(files)
    text = files.text(files.app + _POLICY) if beside is not None else None
    if beside is not None and text is not None:
        try:
            check(files, beside, xacml.load_policy(text.encode(), source=_POLICY), app_id, now)
        except xacml.PolicyError as error:
            message = f"The policy is refused: {error.message.rstrip('.')}."
            files.report("error", "policy.invalid", message, files.app + _POLICY, (error.line or 0, 0))
    return [finding for finding in files.findings if finding.severity == "error"]


def told(outcome: Outcome) -> str:
    """A failed expectation as a sentence."""
    wanted = "permitted" if outcome.expected == "allow" else "refused"
    rule = f" by rule {outcome.rule}" if outcome.rule else ""
    return (
        f"Case {outcome.number} ({outcome.name}) fails: {outcome.action!r} should be {wanted},"
        f" but the decision is {outcome.decision}{rule}."
    )


def _place(places: YamlPlaces, path: tuple[str | int, ...]) -> tuple[int, int]:
    # A file may be the list of cases itself.
    return places.place(path[1:] if isinstance(places.value, list) else path)
