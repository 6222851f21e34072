"""What is checked: the folder, read as far as it can be, and the findings so far."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from havn.appfolder import folder, layouts
from havn.appfolder.checks.schema import Schema
from havn.appfolder.components import Component
from havn.appfolder.files import Files
from havn.appfolder.findings import Severity
from havn.appfolder.ids import AppId
from havn.appfolder.jsonc import Document, PathStep
from havn.appfolder.layouts import LayoutSet
from havn.contracts.storage import Application, DataType, TextResource
from havn.engines import process as bpmn
from havn.engines.process import Process


class Subject:
    """One folder under check. What cannot be read is empty here; why, is already a finding."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.metadata_file = f"{files.app}config/applicationmetadata.json"
        self.process_file = f"{files.app}config/process/process.bpmn"
        self.policy_file = f"{files.app}config/authorization/policy.xml"
        metadata, self.metadata_raw = folder.read_metadata(files)
        self.metadata: Application = metadata or Application()
        self.has_metadata = metadata is not None
        self.app_id: AppId | None = None
        self.process: Process | None = None
        self.sets: Mapping[str, LayoutSet] = {}
        self.is_v8 = False
        self.texts: Mapping[str, TextResource] = {}

    def load(self) -> None:
        """Read what the checks look at together."""
        self.texts = folder.read_texts(self.files)
        self.sets, self.is_v8 = layouts.read_sets(self.files)
        self.process = self._process()

    def _process(self) -> Process | None:
        text = self.files.text(self.process_file)
        if text is None:
            if not self.files.exists(self.process_file):
                self.files.report(
                    "error", "process.missing", "There is no config/process/process.bpmn.", self.process_file
                )
            return None
        process, faults = bpmn.reading.examine(text.encode())
        for fault in faults:
            severity: Severity = "warning" if fault.severity == "warning" else "error"
            self.files.report(severity, fault.code, fault.message, self.process_file, (fault.line, fault.column))
        return process

    def report(
        self,
        severity: Severity,
        code: str,
        message: str,
        document: Document | None = None,
        path: tuple[PathStep, ...] = (),
        *,
        hint: str = "",
        key: bool = False,
    ) -> None:
        """Note a finding at the value (or the member name, with `key`) at `path` in `document`."""
        at = (0, 0)
        if document is not None:
            at = document.key_place(*path) if key else document.place(*path)
        self.files.report(severity, code, message, document.file if document else "", at, hint)

    def error(
        self, code: str, message: str, document: Document | None = None, path: tuple[PathStep, ...] = (), **more: Any
    ) -> None:
        """Note an error."""
        self.report("error", code, message, document, path, **more)

    def warn(
        self, code: str, message: str, document: Document | None = None, path: tuple[PathStep, ...] = (), **more: Any
    ) -> None:
        """Note a warning."""
        self.report("warning", code, message, document, path, **more)

    @cached_property
    def data_types(self) -> dict[str, DataType]:
        """The data types by id."""
        return {data_type.id: data_type for data_type in self.metadata.data_types}

    @cached_property
    def form_types(self) -> dict[str, DataType]:
        """Those that are form data."""
        return {name: found for name, found in self.data_types.items() if folder.is_form_data(found)}

    @cached_property
    def schemas(self) -> dict[str, Schema]:
        """The schema of each form data type that has a usable one."""
        found = {}
        for name in self.form_types:
            document = self.model_file(name, "schema")
            if document is not None and isinstance(document.value, dict):
                found[name] = Schema(document.value)
        return found

    def hook_keys(self, decorator: str) -> frozenset[str]:
        """The first arguments (lower case) of a decorator in the app's Python."""
        return self._hooks.get(decorator, frozenset())

    @cached_property
    def _hooks(self) -> dict[str, frozenset[str]]:
        """Read without running it: what a call computes is not seen."""
        root = f"{self.files.app}{folder.HOOKS.rpartition('/')[0]}/"
        found: dict[str, set[str]] = {}
        for name in self.files.names(root, ".py"):
            try:
                tree = ast.parse(self.files.text(root + name) or "")
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                    for argument in node.args:
                        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                            found.setdefault(called, set()).add(argument.value.lower())
        return {called: frozenset(keys) for called, keys in found.items()}

    @property
    def task_ids(self) -> list[str]:
        """Ids of the tasks of the process."""
        return [task.id for task in self.process.tasks] if self.process else []

    def model_file(self, data_type: str, what: str) -> Document | None:
        """`models/<data type>.<what>.json`, when it is there and is JSON."""
        return self.files.json(f"{self.files.app}models/{data_type}.{what}.json")

    def page_documents(self, layout_set: LayoutSet) -> Iterator[tuple[str, Document]]:
        """Each page file of a set."""
        for name in self.files.names(f"{layout_set.folder}layouts", ".json"):
            document = self.files.json(f"{layout_set.folder}layouts/{name}")
            if document is not None:
                yield name.removesuffix(".json"), document

    def placed_components(self, layout_set: LayoutSet) -> Iterator[Placed]:
        """Each component of a set with its place; those without id or type are left out."""
        for page, document in self.page_documents(layout_set):
            listed = document.value.get("data") if isinstance(document.value, dict) else None
            raws = listed.get("layout") if isinstance(listed, dict) else None
            for index, raw in enumerate(raws if isinstance(raws, list) else ()):
                component = Component.read(raw, page) if isinstance(raw, dict) else None
                if component is not None:
                    yield Placed(component, document, ("data", "layout", index))


class Placed:
    """A component and where it stands."""

    __slots__ = ("component", "document", "path")

    def __init__(self, component: Component, document: Document, path: tuple[PathStep, ...]) -> None:
        self.component = component
        self.document = document
        self.path = path
