"""Kubernetes Secrets as a file for `kubectl apply`, readable for the operator alone and never written over."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from havn.cli.output import Failure

_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


def check_name(what: str, name: str) -> None:
    """Raise `Failure` unless names of objects can begin with `name`."""
    if _NAME.fullmatch(name) is None:
        raise Failure(f"{name!r} cannot name the {what}: use lower-case letters, digits and hyphens.")


def secret(name: str, values: Mapping[str, str], type_: str = "Opaque") -> dict[str, Any]:
    """A Secret."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": type_,
        "metadata": {"name": name},
        "stringData": dict(values),
    }


def write_secrets(out: Path, secrets: Sequence[dict[str, Any]]) -> None:
    """Write them to a new file, or to a pipe where `out` is `-`. Raises `Failure`."""
    document = {"apiVersion": "v1", "kind": "List", "items": list(secrets)}
    data = msgspec.json.format(msgspec.json.encode(document), indent=2)
    if str(out) == "-":
        if sys.stdout.isatty():
            raise Failure(
                "Private keys are not shown on a terminal: name a file, or pipe them to `kubectl apply -f -`."
            )
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Failure(f"{out} is there already: its keys may be in use, so choose another file.") from None
    except OSError as error:
        raise Failure(f"{out} cannot be written: {error.strerror}.") from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)
