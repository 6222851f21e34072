"""Reading `deployment/api.yaml`: the Apis that an app offers, with their plans; each mistake with its line."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import msgspec

from havn.appfolder.deployment import YamlPlaces, decode_yaml, file_for, read_yaml
from havn.appfolder.files import Files
from havn.appfolder.findings import AppFolderError, Finding
from havn.contracts.management import Declarations

FILE = "api.yaml"
CODE = "deployment.api"
_SHAPE = "Names: a-z, 0-9 and -; paths begin with /."


def read(files: Files) -> Declarations | None:
    """What the app declares; None when there is no file, or one that cannot be used (then with a finding)."""
    return _read(files, file_for(files, FILE))


def read_file(path: Path) -> Declarations:
    """A file of this form anywhere. Raises OSError, or `AppFolderError` with what is wrong and where."""
    path.stat()
    path = path.resolve()
    files = Files(path.parent)
    found = _read(files, str(path.relative_to(files.root)))
    if found is None:
        unread = Finding(severity="error", code=CODE, message="The file cannot be read.", file=path.name)
        raise AppFolderError(files.findings or [unread])
    return found


def _read(files: Files, file: str) -> Declarations | None:
    found = read_yaml(files, file)
    if found is None:
        return None
    dated = YamlPlaces(_moments(found.value), found.places)
    return decode_yaml(files, file, dated, Declarations, code=CODE, named="The Apis of an app", shape=_SHAPE)


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "deployment/api.yaml",
        **msgspec.json.schema(Declarations),
    }


def _moments(value: Any) -> Any:
    """`value` with dates (`sunset: 2027-06-30`) as the moment in UTC when they begin."""
    if isinstance(value, dict):
        return {name: _moments(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_moments(each) for each in value]
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return datetime.combine(value, time(), UTC) if isinstance(value, date) else value
