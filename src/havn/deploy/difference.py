"""What putting one release where another is would change: files, settings, values, policy, egress, metadata, process.

Pure: two app folders, read and unpacked, in; the changes out.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from havn.appfolder import AppFolder
from havn.contracts.difference import FileChange, PolicyChanges, RightChange, ValueChange, Way
from havn.engines import xacml
from havn.engines.process import Process
from havn.engines.process.model import Flow
from havn.engines.xacml import PolicyError, compile_policy, load_policy
from havn.engines.xacml.tables import Change

MAX_FILES = 500
"""Files listed; there may be thousands when a dependency changes."""
_MAX_TEXT = 256 * 1024
_MAX_DIFF_LINES = 2000
_MISSING = object()
# What names a part of a list in the documents compared, so that one put in front does not change all that follow.
_NAMES = ("id", "name", "host", "code")


class Unpacked(msgspec.Struct, frozen=True):
    """A release as it lies on disk, and its app folder read."""

    place: Path
    """The folder that holds `app` and `dependencies`."""
    folder: AppFolder


def files(before: Path | None, after: Path, *, text: bool = False) -> tuple[list[FileChange], int]:
    """Files that differ between two unpacked releases, by path, and how many more there are; `text`: with diffs."""
    old, new = _sizes(before) if before is not None else {}, _sizes(after)
    changes: list[FileChange] = []
    left_out = 0
    for path in sorted(old.keys() | new.keys()):
        if path in old and path in new and old[path] == new[path] and _same(before, after, path):
            continue
        if len(changes) == MAX_FILES:
            left_out += 1
            continue
        changes.append(
            FileChange(
                path=path,
                change="added" if path not in old else "removed" if path not in new else "changed",
                before=old.get(path),
                after=new.get(path),
                text=_unified(before, after, path) if text else None,
            )
        )
    return changes, left_out


def values(before: Any, after: Any) -> list[ValueChange]:
    """Places at which two JSON documents differ; parts of lists are known by their id or name where they have one."""
    old, new = dict(_leaves(before, "")), dict(_leaves(after, ""))
    return [
        ValueChange(place=place, before=old.get(place), after=new.get(place))
        for place in sorted(old.keys() | new.keys())
        if old.get(place, _MISSING) != new.get(place, _MISSING)
    ]


def policy(before: AppFolder | None, after: AppFolder) -> PolicyChanges:
    """Every right gained, lost or changed, over every combination of subject, place and action that either names."""
    if before is None:
        return PolicyChanges(compared=0, rights=[], notes=["there is no policy in force to compare with"])
    if before.policy_xml == after.policy_xml and _places(before) == _places(after):
        return PolicyChanges(compared=0, rights=[], notes=[])
    try:
        found = xacml.diff(
            compile_policy(load_policy(before.policy_xml, source="the policy in force")),
            compile_policy(load_policy(after.policy_xml, source="the new policy")),
            tasks=dict.fromkeys((*_places(before)[0], *_places(after)[0])),
            end_events=dict.fromkeys((*_places(before)[1], *_places(after)[1])),
        )
    except (PolicyError, ValueError) as error:
        return PolicyChanges(compared=0, rights=[], notes=[f"the policies cannot be compared: {error}"])
    ways: tuple[tuple[Way, list[Change]], ...] = (
        ("gained", found.gained), ("lost", found.lost), ("changed", found.other),
    )  # fmt: skip
    rights = [RightChange(change=way, **msgspec.structs.asdict(each)) for way, changes in ways for each in changes]
    return PolicyChanges(compared=found.compared, rights=rights, notes=list(found.notes))


def process(found: Process) -> dict[str, Any]:
    """A process as a document: its elements and flows by id, without their places in the file."""
    elements = {name: {"kind": type(element).__name__, **_plain(element)} for name, element in found.elements.items()}
    flows = {
        name: {"from": flow.source, "to": flow.target, "condition": _shown(flow)} for name, flow in found.flows.items()
    }
    return {"elements": elements, "flows": flows}


def texts(folder: AppFolder | None) -> dict[str, dict[str, Any]]:
    """The texts by language and id; one with variables with them."""
    if folder is None:
        return {}
    return {
        language: {
            each.id: each.value if not each.variables else [each.value, *map(msgspec.to_builtins, each.variables)]
            for each in resource.resources
        }
        for language, resource in folder.texts.items()
    }


def egress(folder: AppFolder | None) -> Any:
    """The outbound rules as a document."""
    return None if folder is None or folder.egress is None else msgspec.to_builtins(folder.egress)


def _places(folder: AppFolder) -> tuple[list[str], list[str]]:
    return [task.id for task in folder.process.tasks], [event.id for event in folder.process.end_events]


def _shown(flow: Flow) -> str | None:
    return None if flow.condition is None else msgspec.json.encode(flow.condition.source).decode()


def _plain(element: Any) -> dict[str, Any]:
    document = msgspec.to_builtins(element)
    return {name: value for name, value in document.items() if name not in ("line", "column", "id")}


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{place}.{name}" if place else str(name))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for name, inner in zip(_names(value), value, strict=True):
            yield from _leaves(inner, f"{place}[{name}]")
    elif value is not None:
        yield place, value


def _names(parts: Sequence[Any]) -> list[str]:
    for key in _NAMES:
        names = [str(part[key]) for part in parts if isinstance(part, Mapping) and part.get(key) is not None]
        if len(set(names)) == len(parts):
            return names
    return [str(number) for number in range(len(parts))]


def _sizes(place: Path) -> dict[str, int]:
    return {
        path.relative_to(place).as_posix(): path.stat().st_size
        for path in place.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _same(before: Path | None, after: Path, path: str) -> bool:
    assert before is not None
    return _hash(before / path) == _hash(after / path)


def _hash(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _unified(before: Path | None, after: Path, path: str) -> str | None:
    old, new = _lines(before / path if before is not None else None), _lines(after / path)
    if old is None or new is None:
        return None
    lines = list(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm=""))
    if len(lines) > _MAX_DIFF_LINES:
        lines = [*lines[:_MAX_DIFF_LINES], f"... and {len(lines) - _MAX_DIFF_LINES} lines more"]
    return "\n".join(lines)


def _lines(path: Path | None) -> list[str] | None:
    """The lines of a file, none when it is not there; None when it is no text, or too long."""
    if path is None or not path.exists():
        return []
    if path.stat().st_size > _MAX_TEXT:
        return None
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return None
