"""Settings: one frozen struct per process, read once from the environment and a folder of secret files.

A field `platform_url` of a settings struct is the variable `HAVN_PLATFORM_URL`, or, for secrets, the file
`platform-url` in the folder named by `HAVN_SECRETS_DIR` (a mounted Kubernetes Secret, or a private folder).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)
PREFIX = "HAVN_"
SECRETS_DIR = "HAVN_SECRETS_DIR"


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it."""


def load(type_: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Read `type_` from the environment (default: the process's own) and the secrets folder.

    Raises `SettingsError` naming every missing setting, or the first that has the wrong type.
    """
    environ = os.environ if environ is None else environ
    folder = environ.get(SECRETS_DIR)
    values: dict[str, str] = {}
    missing: list[str] = []
    for field in msgspec.structs.fields(type_):
        variable = PREFIX + field.name.upper()
        secret = Path(folder, field.name.replace("_", "-")) if folder else None
        if variable in environ:
            values[field.name] = environ[variable]
        elif secret is not None and secret.is_file():
            values[field.name] = secret.read_text().rstrip("\n")
        elif field.required:
            missing.append(variable)
    if missing:
        raise SettingsError(f"Missing settings: {', '.join(missing)}.")
    try:
        return msgspec.convert(values, type_, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"A setting of {type_.__name__} is wrong: {error}.") from None
