"""The folder `deployment/`: reading its YAML into types with places, and `values.yaml`, what a Helm chart is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from havn.appfolder.decoding import error_path, error_text
from havn.appfolder.files import Files

T = TypeVar("T")

MAX_DEPTH = 40
MAX_NODES = 20_000


class HelmValues(msgspec.Struct, frozen=True, kw_only=True):
    """The values, and those under the chart's own key (`deployment`) that are read here."""

    raw: Mapping[str, Any] = {}

    @property
    def deployment(self) -> Mapping[str, Any]:
        """The values of the app's deployment."""
        found = self.raw.get("deployment", self.raw)
        return found if isinstance(found, Mapping) else {}


class YamlPlaces(msgspec.Struct, frozen=True):
    """A YAML file: its value, and line and column of every key, by path."""

    value: Any
    places: Mapping[tuple[str | int, ...], tuple[int, int]]

    def place(self, path: tuple[str | int, ...]) -> tuple[int, int]:
        """Line and column of `path`, or of the nearest thing above it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))


def read_yaml(
    files: Files, file: str, *, max_bytes: int | None = None, max_nodes: int = MAX_NODES
) -> YamlPlaces | None:
    """The file; None when absent, or not YAML (then with a finding). Aliases, tags and names twice are refused."""
    text = files.text(file)
    if text is None:
        return None
    import yaml

    try:
        if max_bytes is not None and len(text) > max_bytes:
            raise ValueError(f"it is larger than {max_bytes // 1024} KiB")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        _bound(yaml.parse(text, Loader=loader), max_nodes)
        node = yaml.compose(text, Loader=loader)
        places: dict[tuple[str | int, ...], tuple[int, int]] = {}
        value = None if node is None else _construct(node, (), places)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        at = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        problem = getattr(error, "problem", None) or (
            str(error) if isinstance(error, ValueError) else "it is malformed"
        )
        files.report("error", "yaml.syntax", f"The file is not YAML that can be read: {problem}.", file, at)
        return None
    return YamlPlaces(value, places)


def decode_yaml(
    files: Files, file: str, found: YamlPlaces, kind: type[T], *, code: str, named: str, shape: str = ""
) -> T | None:
    """What was read, as `kind`, an empty file as one without members; None when it cannot be used.

    The mistake is then reported as `code`. `named` says what the file holds, in the plural and beginning the sentence;
    `shape` how texts with a pattern look, in place of the pattern itself.
    """
    value = {} if found.value is None else found.value
    if not isinstance(value, dict):
        files.report("error", code, f"{named} are an object.", file, (1, 1))
        return None
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, ValueError) as error:
        message, hint = plain(error_text(str(error)), shape)
        files.report("error", code, message, file, found.place(error_path(str(error))), hint)
        return None


def plain(said: str, shape: str = "") -> tuple[str, str]:
    """What a decoder said about a value, as a sentence and a hint."""
    if "unknown field" in said:
        return f"This is not known here: {said.partition('unknown field ')[2]}.", "Look for a misspelt name."
    if "missing required field" in said:
        return f"This is missing: {said.partition('required field ')[2]}.", ""
    if shape and "matching regex" in said:
        return "This cannot be used as a name or path.", shape
    return f"This cannot be used: {said}.", ""


def _bound(events: Iterable[Any], max_nodes: int) -> None:
    """Refuse aliases, many nodes and deep nesting, before anything is built of them."""
    import yaml

    depth = 0
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        max_nodes -= isinstance(event, yaml.NodeEvent)
        problem = None
        if isinstance(event, yaml.AliasEvent):
            problem = "aliases are not allowed"
        elif depth > MAX_DEPTH or max_nodes < 0:
            problem = "it is too large or nested too deeply"
        if problem is not None:
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _construct(node: Any, path: tuple[str | int, ...], places: dict[tuple[str | int, ...], tuple[int, int]]) -> Any:
    import yaml

    places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        made: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in made:
                raise yaml.MarkedYAMLError(problem=f"{name} stands twice", problem_mark=key.start_mark)
            places[(*path, name)] = (key.start_mark.line + 1, key.start_mark.column + 1)
            made[name] = _construct(value, (*path, name), places)
        return made
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item, (*path, index), places) for index, item in enumerate(node.value)]
    return yaml.SafeLoader("").construct_object(node)


def file_for(files: Files, name: str) -> str:
    """Where a deployment file is: beside `App/`, or inside it."""
    inside = f"{files.app}deployment/{name}"
    return inside if files.app and files.exists(inside) else f"deployment/{name}"


def read_values(files: Files) -> HelmValues:
    """`deployment/values.yaml`; empty when there is none."""
    found = read_yaml(files, file_for(files, "values.yaml"))
    return HelmValues(raw=found.value if found and isinstance(found.value, dict) else {})
