"""The folder `deployment/`: reading its YAML with places, and `values.yaml`, what a Helm chart is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from havn.appfolder.files import Files

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


def read_yaml(files: Files, file: str) -> YamlPlaces | None:
    """The file; None when absent, or not YAML (then with a finding). Aliases and tags are refused."""
    text = files.text(file)
    if text is None:
        return None
    import yaml

    try:
        node = yaml.compose(text, Loader=_loader())
        places: dict[tuple[str | int, ...], tuple[int, int]] = {}
        value = None if node is None else _construct(node, (), places, [0])
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        at = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        problem = getattr(error, "problem", None) or (
            str(error) if isinstance(error, ValueError) else "it is malformed"
        )
        files.report("error", "yaml.syntax", f"The file is not YAML that can be read: {problem}.", file, at)
        return None
    return YamlPlaces(value, places)


def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                event = self.peek_event()  # type: ignore[no-untyped-call]
                raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=event.start_mark)
            return super().compose_node(parent, index)

    return Loader


def _construct(
    node: Any, path: tuple[str | int, ...], places: dict[tuple[str | int, ...], tuple[int, int]], count: list[int]
) -> Any:
    import yaml

    count[0] += 1
    if len(path) > MAX_DEPTH or count[0] > MAX_NODES:
        raise ValueError("it is too large or nested too deeply")
    places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        made = {}
        for key, value in node.value:
            name = str(key.value)
            places[(*path, name)] = (key.start_mark.line + 1, key.start_mark.column + 1)
            made[name] = _construct(value, (*path, name), places, count)
        return made
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item, (*path, index), places, count) for index, item in enumerate(node.value)]
    return yaml.SafeLoader("").construct_object(node)


def file_for(files: Files, name: str) -> str:
    """Where a deployment file is: beside `App/`, or inside it."""
    inside = f"{files.app}deployment/{name}"
    return inside if files.app and files.exists(inside) else f"deployment/{name}"


def read_values(files: Files) -> HelmValues:
    """`deployment/values.yaml`; empty when there is none."""
    found = read_yaml(files, file_for(files, "values.yaml"))
    return HelmValues(raw=found.value if found and isinstance(found.value, dict) else {})
