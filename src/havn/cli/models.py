"""`havn models PATH`: typed model classes for an app's Python, made from the JSON Schemas of its data types."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from cyclopts import App

from havn.cli.output import Failure, JsonOption, say, write, write_json
from havn.cli.platform import AsOption, app_id

if TYPE_CHECKING:
    from havn.appfolder import AppId

HEADER = '"""Made by `havn models` from {source}: change the schema and make it again, not this file."""\n'
_NAME = re.compile(r"[^0-9a-zA-Z_]+")
_UNSET = re.compile(r" \| UnsetType = UNSET")
_IMPORT = re.compile(r"^from msgspec import (.*)$", re.MULTILINE)

app = App(name="models")


@app.default
def models(path: Path = Path(), *, as_: AsOption = None, json_: JsonOption = False) -> None:
    """Write `logic/models/<data type>.py` for every form data type, for use as annotations in `logic/hooks.py`.

    Parameters
    ----------
    path
        The folder that holds App/, or App/ itself.
    as_
        ORG/APP, for a template with [ORG]/[APP] in it.
    json_
        Write the names of the files as JSON.
    """
    from havn.appfolder import AppFolderError

    try:
        written = generate(path, as_=app_id(as_) if as_ is not None else None)
    except AppFolderError as error:
        for finding in error.findings:
            say(str(finding))
        raise Failure("The app folder cannot be read: mend the errors above first (`havn check` tells more).") from None
    if json_:
        write_json([str(file) for file in written])
    else:
        for file in written:
            write(f"Wrote {file}")


def generate(path: Path, *, as_: AppId | None = None) -> list[Path]:
    """Write the classes and give the files, sorted. Raises `AppFolderError` or `Failure`."""
    from havn.appfolder import AppFolder
    from havn.appfolder.folder import is_form_data

    folder = AppFolder.read(path, as_=as_)
    target = folder.root / "logic" / "models"
    written: list[Path] = []
    for type_ in folder.metadata.data_types:
        schema = folder.schema(type_.id)
        if not is_form_data(type_) or schema is None:
            continue
        target.mkdir(parents=True, exist_ok=True)
        file = target / f"{module_name(type_.id)}.py"
        file.write_text(source(type_.id, schema), encoding="utf-8")
        written.append(file)
    if not written:
        raise Failure("The app has no form data type with a JSON Schema (models/<data type>.schema.json).")
    package = target / "__init__.py"
    if not package.exists():
        package.write_text('"""The app\'s models as classes."""\n', encoding="utf-8")
        written.append(package)
    return sorted(written)


def module_name(type_id: str) -> str:
    """A data type's id as a module's name."""
    name = _NAME.sub("_", type_id).strip("_").lower() or "model"
    return f"m_{name}" if name[0].isdigit() else name


def class_name(type_id: str) -> str:
    """A data type's id as the name of its class."""
    name = "".join(part[:1].upper() + part[1:] for part in _NAME.sub(" ", type_id).split()) or "Model"
    return f"M{name}" if name[0].isdigit() else name


def source(type_id: str, schema: bytes) -> str:
    """The module for one schema."""
    from datamodel_code_generator import InputFileType, PythonVersion
    from datamodel_code_generator import generate as generate_code
    from datamodel_code_generator.enums import DataModelType
    from datamodel_code_generator.format import Formatter

    document = msgspec.json.decode(schema)
    _prepare(document)
    document["title"] = class_name(type_id)
    made = generate_code(
        msgspec.json.encode(document).decode(),
        input_file_type=InputFileType.JsonSchema,
        input_filename=f"{type_id}.schema.json",
        output_model_type=DataModelType.MsgspecStruct,
        target_python_version=PythonVersion.PY_311,
        class_name=class_name(type_id),
        use_union_operator=True,
        use_standard_collections=True,
        force_optional_for_required_fields=True,
        strict_nullable=False,
        keyword_only=True,
        disable_timestamp=True,
        formatters=[Formatter.BUILTIN],
        field_constraints=False,
        use_annotated=False,
        snake_case_field=False,
        allow_extra_fields=False,
        custom_file_header=HEADER.format(source=f"models/{type_id}.schema.json"),
    )
    if not isinstance(made, str):
        raise Failure(f"No class could be made from models/{type_id}.schema.json.")
    return _with_none(made)


def _with_none(code: str) -> str:
    """A member that is not filled in is None: people compare with None, and nobody knows `UNSET`."""
    code = _UNSET.sub(" | None = None", code).replace(" | UnsetType = field(", " | None = field(")
    code = code.replace("default=UNSET", "default=None")

    def names(found: re.Match[str]) -> str:
        kept = [name for name in found[1].split(", ") if name not in ("UNSET", "UnsetType")]
        return f"from msgspec import {', '.join(kept)}"

    return _IMPORT.sub(names, code)


def _prepare(document: dict[str, Any]) -> None:
    """The schema as the generator should see it: names, types and rows' ids, without what only validation needs.

    A half-filled form is within its rights, so nothing is required and no length or pattern is checked here.
    """
    pointer = (document.get("info") or {}).get("rootNode") or ""
    if pointer.startswith("#/") and "properties" not in document:
        document["$ref"] = pointer
        document.pop("oneOf", None)
    document.pop("$id", None)
    document.pop("info", None)
    for name in [name for name in document if name.startswith("@")]:
        del document[name]
    _loosen(document, document, in_list=False)


_VALIDATION = (
    "required", "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "multipleOf", "minItems", "maxItems", "format", "enum", "const", "default", "examples",
)  # fmt: skip


def _loosen(schema: Any, root: dict[str, Any], *, in_list: bool) -> None:
    if isinstance(schema, list):
        for item in schema:
            _loosen(item, root, in_list=False)
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("enum"), list) and "type" not in schema:
        schema["type"] = "string"
    for name in _VALIDATION:
        schema.pop(name, None)
    target = _target(schema, root) if in_list else None
    if isinstance(target, dict) and isinstance(target.get("properties"), dict):
        target["properties"].setdefault("altinnRowId", {"type": "string"})
    for name, child in schema.items():
        if name in ("properties", "$defs", "definitions"):
            for each in child.values() if isinstance(child, dict) else ():
                _loosen(each, root, in_list=False)
        elif name == "items":
            _loosen(child, root, in_list=True)
        elif name in ("allOf", "anyOf", "oneOf"):
            _loosen(child, root, in_list=False)


def _target(schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """What a row's schema refers to, when it is a reference into the same document."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return schema
    here: Any = root
    for part in reference[2:].split("/"):
        here = here.get(part, {}) if isinstance(here, dict) else {}
    return here
