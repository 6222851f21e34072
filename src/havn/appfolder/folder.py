"""An app folder, decoded once: what the runtime, the builder and the form work with."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from havn.appfolder import deployment, layouts, options, rules, settings
from havn.appfolder.apis import read as read_apis
from havn.appfolder.decoding import decode, error_path, error_text
from havn.appfolder.deployment import HelmValues
from havn.appfolder.egress import read as read_egress
from havn.appfolder.files import Files, mapping
from havn.appfolder.findings import AppFolderError, Finding
from havn.appfolder.ids import AppId, is_file_id
from havn.appfolder.layouts import Footer, LayoutSet
from havn.appfolder.options import OptionItem
from havn.appfolder.rules import Calculation, ModelRules, Prefill, ValidationRule
from havn.appfolder.settings import AppSettings
from havn.contracts.management import Declarations
from havn.contracts.storage import Application, DataType, TextResource
from havn.engines import process as bpmn
from havn.engines.egress_policy import EgressPolicy
from havn.engines.process import Process

HOOKS = "logic/hooks.py"
"""Where an app's Python stands, below the folder that holds `config/`."""
PDF_DATA_TYPE = "ref-data-as-pdf"


class AppFolder(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in the folder of one app. Immutable; share it freely."""

    root: Path
    """The folder that holds `config/`, `ui/` and the rest."""
    app_id: AppId
    metadata: Application
    metadata_raw: Mapping[str, Any]
    """The metadata with members unknown to `Application`, placeholders filled."""
    process: Process
    process_xml: bytes
    policy_xml: bytes
    texts: Mapping[str, TextResource]
    """By two-letter language."""
    layout_sets: Mapping[str, LayoutSet]
    is_v9: bool
    """Whether the folder has the newer shape: `ui/<taskId>/`."""
    footer: Footer
    settings: AppSettings
    values: HelmValues
    egress: EgressPolicy | None
    apis: Declarations | None
    """The Apis that the app offers under management."""
    hooks_module: Path | None
    schemas: Mapping[str, bytes]
    """JSON Schema of each form data type."""
    rules: Mapping[str, ModelRules]
    option_lists: Mapping[str, tuple[OptionItem, ...]]
    """By id, as the file is called."""
    data_types: Mapping[str, DataType]

    @classmethod
    def read(cls, path: Path, *, as_: AppId | None = None, environment: str = "development") -> AppFolder:
        """The app at `path`: the folder that holds `App/`, or the one that holds `config/`.

        `as_` fills the placeholders `[ORG]` and `[APP]`; `environment` chooses the settings file. Raises
        `AppFolderError` with every finding when the app cannot be run from it.
        """
        return _read(Files(path, as_=as_), environment)

    @property
    def id(self) -> str:
        """`org/app`."""
        return str(self.app_id)

    @property
    def org(self) -> str:
        """The service owner."""
        return self.app_id.org

    @property
    def app(self) -> str:
        """The app's name."""
        return self.app_id.app

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages there are texts in, bokmål first."""
        return tuple(sorted(self.texts, key=lambda language: (language != "nb", language)))

    @property
    def wwwroot(self) -> Path | None:
        """The folder of public files."""
        found = self.root / "wwwroot"
        return found if found.is_dir() else None

    def layout_set_for_task(self, task_id: str) -> LayoutSet | None:
        """The layout set that is drawn in a task."""
        return next((found for found in self.layout_sets.values() if task_id in found.tasks), None)

    @property
    def custom_receipt(self) -> LayoutSet | None:
        """The layout set shown after the end."""
        return self.layout_set_for_task(layouts.CUSTOM_RECEIPT)

    @property
    def stateless(self) -> LayoutSet | None:
        """The layout set shown without an instance, when `onEntry.show` names one."""
        show = self.metadata.on_entry.show if self.metadata.on_entry else None
        return self.layout_sets.get(show) if show else None

    def data_type(self, data_type_id: str) -> DataType | None:
        """The data type with this id."""
        return self.data_types.get(data_type_id)

    def schema(self, data_type_id: str) -> bytes | None:
        """The JSON Schema of a form data type."""
        return self.schemas.get(data_type_id)

    def prefill(self, data_type_id: str) -> Prefill | None:
        """Where the first values of a model come from."""
        found = self.rules.get(data_type_id)
        return found.prefill if found else None

    def validation(self, data_type_id: str) -> tuple[ValidationRule, ...]:
        """The expression rules of a model, references resolved."""
        found = self.rules.get(data_type_id)
        return found.validations if found else ()

    def calculation(self, data_type_id: str) -> tuple[Calculation, ...]:
        """The fields of a model that expressions set."""
        found = self.rules.get(data_type_id)
        return found.calculations if found else ()

    def options(self, options_id: str) -> tuple[OptionItem, ...] | None:
        """The options file with this id (any case); None when there is none."""
        if options_id in self.option_lists:
            return self.option_lists[options_id]
        lower = options_id.lower()
        return next((items for name, items in self.option_lists.items() if name.lower() == lower), None)


def is_form_data(data_type: DataType) -> bool:
    """Whether elements of the type are form data: exactly when it names a class."""
    return data_type.app_logic is not None and bool(data_type.app_logic.class_ref)


def read_metadata(files: Files) -> tuple[Application | None, dict[str, Any]]:
    """The metadata, with `ref-data-as-pdf` put in when it is missing."""
    file = f"{files.app}config/applicationmetadata.json"
    document = files.json(file)
    if document is None:
        if not files.exists(file):
            files.report(
                "error",
                "metadata.missing",
                "There is no config/applicationmetadata.json, so this is not an app folder.",
                file,
                hint="Name the folder that holds App/, or App/ itself; `havn new NAME` makes an app folder.",
            )
        return None, {}
    raw = mapping(document.value)
    application = decode(files, document, Application, "metadata.invalid")
    if application is None:
        return None, raw
    if files.app_id is None:
        # Policies keep the template's placeholders for as long as the app lives; they mean the app itself.
        with contextlib.suppress(ValueError):
            files.app_id = AppId.parse(application.id or "")
    if application.data_type(PDF_DATA_TYPE) is None:
        pdf = DataType(id=PDF_DATA_TYPE, allowed_content_types=["application/pdf"], max_count=0, min_count=0)
        application = msgspec.structs.replace(application, data_types=[*application.data_types, pdf])
    return application, raw


def read_id(files: Files, metadata: Application) -> AppId | None:
    """The app's id: `as_` when given, else that of the metadata."""
    if files.as_ is not None:
        return files.as_
    try:
        return AppId.parse(metadata.id or "")
    except ValueError as error:
        hint = "Name the app with --as ORG/APP." if files.placeholders else 'Write "id": "org/app".'
        message = f"The app has no id that can be used: {error}."
        files.report("error", "metadata.id", message, f"{files.app}config/applicationmetadata.json", (1, 1), hint)
        return None


def read_texts(files: Files) -> dict[str, TextResource]:
    """The texts by language; a file that cannot be used is reported and left out."""
    found = {}
    folder = f"{files.app}config/texts/"
    for name in files.names(folder, ".json"):
        parts = name.split(".")
        if len(parts) != 3 or parts[0] != "resource":
            continue
        document = files.json(folder + name)
        if document is None:
            continue
        resource = decode(files, document, TextResource, "texts.invalid", {"language": parts[1]})
        if resource is not None:
            found[parts[1]] = resource
    return found


def read_options(files: Files) -> dict[str, tuple[OptionItem, ...]]:
    """The option lists by id; a file that cannot be used is reported and left out."""
    found = {}
    folder = f"{files.app}options/"
    for name in files.names(folder, ".json"):
        options_id = name.removesuffix(".json")
        document = files.json(folder + name) if is_file_id(options_id) else None
        if document is None:
            continue
        try:
            found[options_id] = options.read(document.value)
        except (msgspec.ValidationError, ValueError) as error:
            at = document.place(*error_path(str(error)))
            files.report(
                "error", "options.invalid", f"The options cannot be used: {error_text(str(error))}.", folder + name, at
            )
    return found


def read_models(files: Files, metadata: Application) -> tuple[dict[str, bytes], dict[str, ModelRules]]:
    """Schemas and rules of the form data types."""
    schemas: dict[str, bytes] = {}
    found: dict[str, ModelRules] = {}
    for data_type in metadata.data_types:
        if not is_form_data(data_type) or not is_file_id(data_type.id):
            continue
        base = f"{files.app}models/{data_type.id}"
        schema = files.json(f"{base}.schema.json")
        if schema is not None:
            schemas[data_type.id] = msgspec.json.encode(schema.value)
        prefill = files.json(f"{base}.prefill.json")
        validation = files.json(f"{base}.validation.json")
        calculation = files.json(f"{base}.calculation.json")
        found[data_type.id] = ModelRules(
            prefill=rules.read_prefill(prefill.value) if prefill else None,
            validations=rules.read_validations(validation.value) if validation else (),
            calculations=rules.read_calculations(calculation.value) if calculation else (),
        )
    return schemas, found


def read_settings(files: Files, environment: str) -> AppSettings:
    """The settings of an environment."""
    merged: dict[str, Any] = {}
    for name in ("appsettings.json", settings.file_for(environment)):
        document = files.json(files.app + name)
        if document is not None:
            merged = settings.merge(merged, mapping(document.value))
    return settings.read(merged)


def _read(files: Files, environment: str) -> AppFolder:
    metadata, raw = read_metadata(files)
    own_id = read_id(files, metadata) if metadata is not None else None
    process_file = f"{files.app}config/process/process.bpmn"
    process_xml = files.text(process_file)
    process = None
    if process_xml is None and metadata is not None:
        files.report("error", "process.missing", "There is no process that can be read.", process_file)
    elif process_xml is not None:
        process, faults = bpmn.reading.examine(process_xml.encode())
        for fault in faults:
            if fault.severity == "error":
                files.report("error", fault.code, fault.message, process_file, (fault.line, fault.column))
    policy_file = f"{files.app}config/authorization/policy.xml"
    policy = files.text(policy_file)
    if policy is None and metadata is not None:
        files.report("error", "policy.missing", "There is no policy that can be read.", policy_file)
    texts = read_texts(files)
    sets, is_v8 = layouts.read_sets(files)
    option_lists = read_options(files)
    schemas, model_rules = read_models(files, metadata) if metadata is not None else ({}, {})
    app_settings = read_settings(files, environment)
    values, egress, apis = deployment.read_values(files), read_egress(files), read_apis(files)
    footer = layouts.read_footer(files)
    errors = [finding for finding in files.findings if finding.severity == "error"]
    if errors or metadata is None or own_id is None or process is None:
        raise AppFolderError(
            errors or [Finding(severity="error", code="metadata.invalid", message="The folder cannot be used.")]
        )
    hooks = files.app_folder / HOOKS
    return AppFolder(
        root=files.app_folder,
        app_id=own_id,
        metadata=msgspec.structs.replace(metadata, id=str(own_id), org=own_id.org),
        metadata_raw={**raw, "id": str(own_id), "org": own_id.org},
        process=process,
        process_xml=(process_xml or "").encode(),
        policy_xml=(policy or "").encode(),
        texts={
            language: msgspec.structs.replace(
                text, language=language, org=own_id.org, id=f"{own_id.org}-{own_id.app}-{language}"
            )
            for language, text in texts.items()
        },
        layout_sets=sets,
        is_v9=not is_v8,
        footer=footer,
        settings=app_settings,
        values=values,
        egress=egress,
        apis=apis,
        hooks_module=hooks if files.exists(files.app + HOOKS) else None,
        schemas=schemas,
        rules=model_rules,
        option_lists=option_lists,
        data_types={data_type.id: data_type for data_type in metadata.data_types},
    )
