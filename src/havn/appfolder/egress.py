"""Reading `deployment/egress.yaml`: decoded into the policy's types, each mistake with its line."""

from __future__ import annotations

from typing import Any

import msgspec

from havn.appfolder.decoding import error_path, error_text
from havn.appfolder.deployment import YamlPlaces, file_for, read_yaml
from havn.appfolder.files import Files
from havn.engines.egress_policy import EgressPolicy, faults


def read(files: Files) -> EgressPolicy | None:
    """The app's outbound rules; None when there are none, or when they cannot be used (then with findings)."""
    file = file_for(files, "egress.yaml")
    found = read_yaml(files, file)
    if found is None:
        return None
    if found.value is None:
        return EgressPolicy()
    if not isinstance(found.value, dict):
        files.report("error", "deployment.egress", "Outbound rules are an object.", file, (1, 1))
        return None
    try:
        policy = msgspec.convert(found.value, EgressPolicy)
    except (msgspec.ValidationError, ValueError) as error:
        path = error_path(str(error))
        message, hint = _plain(str(error))
        files.report("error", "deployment.egress", message, file, _place(found, path), hint)
        return None
    mistakes = faults(policy)
    for fault in mistakes:
        files.report("error", "deployment.egress", fault.message, file, _place(found, fault.path), fault.hint)
    return None if mistakes else policy


def _plain(text: str) -> tuple[str, str]:
    said = error_text(text)
    if "unknown field" in said:
        return f"This is not known here: {said.partition('unknown field ')[2]}.", "Look for a misspelt name."
    if "missing required field" in said:
        return f"This is missing: {said.partition('required field ')[2]}.", ""
    return f"This cannot be used: {said}.", ""


def _place(found: YamlPlaces, path: tuple[Any, ...]) -> tuple[int, int]:
    """Line and column of `path`, or of the nearest thing above it."""
    while path and path not in found.places:
        path = path[:-1]
    return found.places.get(path, (1, 1))
