"""An app's own description of its API (OpenAPI 3): fetched from the app over HTTP, bounded, and read for a page."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from havn.contracts.management import Api
from havn.kit.clock import Clock
from havn.kit.http import HttpClient, TransportError
from havn.kit.problem import Problem

MAX_BYTES = 4 * 1024 * 1024
_KEPT_SECONDS = 60.0
_KEPT = 200
_MOST_OPERATIONS = 500
_METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of an operation."""

    name: str
    place: str
    """`path`, `query` or `header`."""
    type: str
    required: bool
    description: str


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One call: what to send, and what comes back."""

    method: str
    path: str
    summary: str
    parameters: Sequence[Parameter]
    body: str
    """The schema of what is sent, by name; empty when nothing is."""
    answers: Sequence[tuple[str, str]]
    """Status and description."""


class Description(msgspec.Struct, frozen=True):
    """What a page shows of a document."""

    title: str
    operations: Sequence[Operation]


class Descriptions:
    """Fetches and keeps descriptions for a minute. `address(api)` is where a document is, and its Host header."""

    def __init__(self, http: HttpClient, address: Callable[[Api], tuple[str, Mapping[str, str]]], clock: Clock) -> None:
        self._http = http
        self._address = address
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Description | None]] = OrderedDict()

    async def of(self, api: Api) -> Description | None:
        """The calls below the Api's paths; None when the app does not answer, or not with a description."""
        place = self._address(api)
        now = self._clock().timestamp()
        kept = self._kept.get(place[0])
        if kept is None or now >= kept[0]:
            kept = (now + _KEPT_SECONDS, await self._fetch(*place))
            self._kept[place[0]] = kept
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        found = kept[1]
        if found is None:
            return None
        return Description(found.title, [each for each in found.operations if under(each.path, api.paths)])

    async def _fetch(self, url: str, headers: Mapping[str, str]) -> Description | None:
        try:
            async with self._http.stream("GET", url, headers={"accept": "application/json", **headers}) as response:
                if response.status_code != 200:
                    return None
                body = b""
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > MAX_BYTES:
                        return None
        except (TransportError, Problem):
            return None
        return read(body)


def read(body: bytes) -> Description | None:
    """The calls that a document describes; None when it is not an OpenAPI 3 document."""
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    paths = document.get("paths")
    if not str(document.get("openapi", "")).startswith("3.") or not isinstance(paths, dict):
        return None
    operations = [
        _operation(method, path, call, document)
        for path, calls in paths.items()
        if isinstance(calls, dict)
        for method, call in calls.items()
        if method in _METHODS and isinstance(call, dict)
    ]
    return Description(_text(_object(document.get("info")).get("title")), operations[:_MOST_OPERATIONS])


def under(path: str, prefixes: Sequence[str]) -> bool:
    """Whether `path` lies below one of `prefixes`, by whole segments."""
    return any(
        prefix == "/" or path == prefix.rstrip("/") or path.startswith(f"{prefix.rstrip('/')}/") for prefix in prefixes
    )


def _operation(method: str, path: str, call: dict[str, Any], document: dict[str, Any]) -> Operation:
    parameters = call.get("parameters")
    answers = call.get("responses")
    content = _object(_object(call.get("requestBody")).get("content"))
    return Operation(
        method=method.upper(),
        path=path[:500],
        summary=_text(call.get("summary") or call.get("operationId")),
        parameters=[
            Parameter(
                _text(each.get("name")),
                _text(each.get("in")),
                _schema(_object(each.get("schema"))),
                bool(each.get("required")),
                _text(each.get("description")),
            )
            for each in (_resolved(item, document) for item in (parameters if isinstance(parameters, list) else []))
        ],
        body=", ".join(
            f"{_text(kind)}: {_schema(_object(_object(media).get('schema')))}" for kind, media in content.items()
        ),
        answers=[
            (_text(status), _text(_resolved(answer, document).get("description")))
            for status, answer in (answers.items() if isinstance(answers, dict) else ())
        ],
    )


def _schema(schema: dict[str, Any]) -> str:
    """A schema in a word: its name when it has one, else its type."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _text(reference.rpartition("/")[2])
    for several in ("anyOf", "oneOf", "allOf"):
        inner = schema.get(several)
        if isinstance(inner, list):
            return " | ".join(_schema(_object(each)) for each in inner[:20])
    kind = schema.get("type")
    return _text(" | ".join(map(str, kind)) if isinstance(kind, list) else kind)


def _resolved(value: Any, document: dict[str, Any]) -> dict[str, Any]:
    """`value`, or what its reference inside the same document points to (one step)."""
    found = _object(value)
    reference = found.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return found
    here: Any = document
    for part in reference[2:].split("/"):
        here = _object(here).get(part.replace("~1", "/").replace("~0", "~"))
    return _object(here)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return str(value)[:500] if isinstance(value, (str, int, float)) else ""
