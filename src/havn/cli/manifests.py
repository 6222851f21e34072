"""Kubernetes Secrets in files: for the operator alone and never over what is there; read as kubectl gives them."""

from __future__ import annotations

import base64
import binascii
import os
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from havn.cli.output import Failure

_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
_MOST = 16 * 1024 * 1024


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""


class _Object(msgspec.Struct, frozen=True, rename="camel"):
    """A Secret, or a list of objects."""

    kind: str = ""
    metadata: _Metadata = _Metadata()
    data: Mapping[str, str] = {}
    string_data: Mapping[str, str] = {}
    items: tuple[_Object, ...] = ()


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


def one_secret(source: Path, name: str) -> dict[str, str]:
    """The values of the Secret `name`, from a file or a pipe. Raises `Failure`."""
    for each in _objects(source, f"kubectl get secret {name} -o json"):
        if each.metadata.name == name:
            return _values(each)
    raise Failure(f"{source} holds no Secret {name}: get it with `kubectl get secret {name} -o json`.")


def all_secrets(source: Path, prefix: str, keys: Collection[str]) -> dict[str, dict[str, str]]:
    """The values by these keys of every Secret whose name begins so, from a file or a pipe. Raises `Failure`."""
    found = {}
    for each in _objects(source, "kubectl get secrets -o json"):
        if each.metadata.name.startswith(prefix):
            wanted = {key: value for key, value in each.data.items() if key in keys}
            known = {key: value for key, value in each.string_data.items() if key in keys}
            found[each.metadata.name] = _values(msgspec.structs.replace(each, data=wanted, string_data=known))
    return found


def _objects(source: Path, command: str) -> list[_Object]:
    try:
        data = sys.stdin.buffer.read(_MOST) if str(source) == "-" else source.read_bytes()
        found = msgspec.json.decode(data, type=_Object)
    except OSError as error:
        raise Failure(f"{source} cannot be read: {error.strerror}.") from None
    except msgspec.MsgspecError:
        raise Failure(f"{source} is no Secret in JSON: get it with `{command}`.") from None
    return [each for each in (found, *found.items) if each.kind == "Secret"]


def _values(each: _Object) -> dict[str, str]:
    try:
        values = {key: base64.b64decode(value, validate=True).decode() for key, value in each.data.items()}
    except (binascii.Error, UnicodeDecodeError):
        raise Failure(f"The Secret {each.metadata.name} holds something that is not text.") from None
    return {**values, **each.string_data}
