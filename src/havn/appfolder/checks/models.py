"""`models/`: schemas, and the prefill, validation and calculation files beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from havn.appfolder.checks.expressions import Scope
from havn.appfolder.checks.expressions import check as check_expression
from havn.appfolder.checks.schema import Found, names_of
from havn.appfolder.checks.subject import Subject
from havn.appfolder.files import mapping
from havn.appfolder.jsonc import Document, PathStep
from havn.appfolder.rules import PREFILL_SECTIONS, SEVERITIES, resolve

_RULES = ("prefill", "validation", "calculation")
_VALIDATION_MEMBERS = frozenset({"message", "condition", "severity", "showImmediately", "ref"})


def check(subject: Subject) -> None:
    """Report what is wrong with the models."""
    for name in subject.form_types:
        _schema(subject, name)
        if (document := subject.model_file(name, "prefill")) is not None:
            _prefill(subject, name, document)
        if (document := subject.model_file(name, "validation")) is not None:
            _validation(subject, name, document)
        if (document := subject.model_file(name, "calculation")) is not None:
            _calculation(subject, name, document)
    _orphans(subject)


def _schema(subject: Subject, name: str) -> None:
    document = subject.model_file(name, "schema")
    file = f"{subject.files.app}models/{name}.schema.json"
    if document is None:
        if not subject.files.exists(file):
            subject.files.report(
                "error",
                "model.schema-missing",
                f"The data type {name!r} has no schema.",
                file,
                hint="Form data is described by models/<data type>.schema.json.",
            )
        return
    if not isinstance(document.value, dict):
        subject.error("model.schema-invalid", "A schema is an object.", document)
        return
    import jsonschema_rs

    valid = True
    try:
        errors = list(_meta(jsonschema_rs, document.value).iter_errors(document.value))
    except (ValueError, RecursionError, jsonschema_rs.ReferencingError) as error:
        subject.error("model.schema-invalid", f"The schema cannot be used: {error}.", document)
        return
    for found in errors[:20]:
        valid = False
        subject.error(
            "model.schema-invalid",
            f"This is not JSON Schema: {str(found.message)[:200]}.",
            document,
            tuple(found.instance_path),
        )
    if valid:
        for path, reference in _references(document.value):
            if not _resolves(document.value, reference):
                valid = False
                subject.error(
                    "model.schema-reference", f"The reference {reference!r} leads nowhere in the file.", document, path
                )
    if valid:
        _compiles(subject, document)


def _meta(jsonschema_rs: Any, value: Mapping[str, Any]) -> Any:
    """The validator of the schema's own dialect."""
    stated = str(value.get("$schema") or "")
    base = {
        "http://json-schema.org/draft-07/schema": "http://json-schema.org/draft-07/schema#",
        "http://json-schema.org/draft-06/schema": "http://json-schema.org/draft-06/schema#",
        "http://json-schema.org/draft-04/schema": "http://json-schema.org/draft-04/schema#",
        "https://json-schema.org/draft/2019-09/schema": "https://json-schema.org/draft/2019-09/schema",
    }.get(stated.rstrip("#"), "https://json-schema.org/draft/2020-12/schema")
    return jsonschema_rs.validator_for({"$schema": base, "$ref": base})


def _compiles(subject: Subject, document: Document) -> None:
    """What only the compiler finds, such as a pattern that is no regular expression."""
    import jsonschema_rs

    copy = {name: value for name, value in document.value.items() if name != "$id"}
    try:
        jsonschema_rs.validator_for(copy, retriever=_refuse, pattern_options=jsonschema_rs.RegexOptions())
    except (ValueError, RecursionError, jsonschema_rs.ReferencingError) as error:
        path = tuple(getattr(error, "instance_path", ()) or ())
        told = str(getattr(error, "message", None) or error).splitlines()[0][:200]
        subject.error("model.schema-invalid", f"The schema cannot be used: {told}.", document, path)


def _refuse(uri: str) -> Any:
    raise ValueError(f"a schema may not refer to {uri}")


def _references(value: Any, path: tuple[PathStep, ...] = ()) -> list[tuple[tuple[PathStep, ...], str]]:
    found: list[tuple[tuple[PathStep, ...], str]] = []
    waiting: list[tuple[Any, tuple[PathStep, ...]]] = [(value, path)]
    while waiting:
        here, place = waiting.pop()
        if isinstance(here, dict):
            if isinstance(here.get("$ref"), str):
                found.append(((*place, "$ref"), here["$ref"]))
            waiting += [(inner, (*place, name)) for name, inner in here.items()]
        elif isinstance(here, list):
            waiting += [(inner, (*place, index)) for index, inner in enumerate(here)]
    return found


def _resolves(document: Mapping[str, Any], reference: str) -> bool:
    if reference == "#":
        return True
    if not reference.startswith("#/"):
        return False
    here: Any = document
    for part in reference.removeprefix("#/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(here, Mapping) and name in here:
            here = here[name]
        elif isinstance(here, list) and name.isdecimal() and int(name) < len(here):
            here = here[int(name)]
        else:
            return False
    return True


def _find(subject: Subject, data_type: str, path: str) -> Found | None:
    schema = subject.schemas.get(data_type)
    return schema.find(names_of(path)) if schema is not None else None


def _path(
    subject: Subject,
    data_type: str,
    document: Document,
    place: tuple[PathStep, ...],
    path: str,
    code: str,
    *,
    key: bool,
) -> None:
    found = _find(subject, data_type, path)
    if found is not None and not found.exists:
        subject.error(
            code,
            f"The model {data_type!r} has no {path!r}: {found.missing!r} is not in its schema.",
            document,
            place,
            hint=f"Did you mean {found.near!r}?" if found.near else "",
            key=key,
        )


def _prefill(subject: Subject, data_type: str, document: Document) -> None:
    raw = document.value
    if not isinstance(raw, dict):
        subject.error("model.prefill-invalid", "Prefill is an object.", document)
        return
    known = ", ".join(PREFILL_SECTIONS)
    for name, section in raw.items():
        if name in ("$schema", "allowOverwrite"):
            continue
        if name not in PREFILL_SECTIONS:
            subject.error(
                "model.prefill-invalid", f"Prefill has no section {name!r}, only {known}.", document, (name,), key=True
            )
            continue
        if not isinstance(section, dict):
            subject.error(
                "model.prefill-invalid", "A section is an object of source and model path.", document, (name,)
            )
            continue
        for source, path in section.items():
            if not isinstance(path, str):
                subject.error("model.prefill-invalid", "A model path is a text.", document, (name, source))
            else:
                # Hyphens are dropped from model paths, as the reference does.
                wanted = path if (found := _find(subject, data_type, path)) and found.exists else path.replace("-", "")
                if not _any_case(subject, data_type, wanted):
                    _path(subject, data_type, document, (name, source), wanted, "model.prefill-path", key=False)


def _any_case(subject: Subject, data_type: str, path: str) -> bool:
    """Prefill finds members in any case."""
    schema = subject.schemas.get(data_type)
    if schema is None:
        return True
    names: tuple[str, ...] = ()
    for name in names_of(path):
        found = schema.find((*names, name))
        if not found.exists:
            if found.near is None or found.near.lower() != name.lower():
                return False
            name = found.near  # noqa: PLW2901 - the name as the schema has it
        names = (*names, name)
    return True


def _validation(subject: Subject, data_type: str, document: Document) -> None:
    raw = mapping(document.value)
    definitions = mapping(raw.get("definitions"))
    scope = Scope(data_type=data_type)
    for name, definition in definitions.items():
        _rule(subject, document, ("definitions", name), definition, definitions, scope, whole=False)
    for field, rules in mapping(raw.get("validations")).items():
        _path(subject, data_type, document, ("validations", field), field, "model.validation-path", key=True)
        if not isinstance(rules, list):
            subject.error(
                "model.validation-invalid", "The rules of a field are a list.", document, ("validations", field)
            )
            continue
        for index, rule in enumerate(rules):
            _rule(subject, document, ("validations", field, index), rule, definitions, scope, whole=True)


def _rule(
    subject: Subject,
    document: Document,
    path: tuple[PathStep, ...],
    rule: Any,
    definitions: Mapping[str, Any],
    scope: Scope,
    *,
    whole: bool,
) -> None:
    name = rule if isinstance(rule, str) else mapping(rule).get("ref")
    if name is not None and (not isinstance(name, str) or name not in definitions):
        subject.error(
            "model.validation-reference",
            f"There is no definition {name!r}.",
            document,
            path if isinstance(rule, str) else (*path, "ref"),
        )
        return
    if isinstance(rule, str):
        if whole and resolve(rule, definitions) is None:
            subject.error(
                "model.validation-reference", f"The definition {rule!r} leads back to itself.", document, path
            )
        return
    if not isinstance(rule, dict):
        subject.error("model.validation-invalid", "A rule is the name of a definition, or an object.", document, path)
        return
    for member in rule:
        if member not in _VALIDATION_MEMBERS:
            subject.warn("model.validation-invalid", f"A rule has no {member!r}.", document, (*path, member), key=True)
    complete = resolve(rule, definitions)
    if complete is None:
        subject.error("model.validation-reference", "The rule's definition leads back to itself.", document, path)
        return
    for member in ("message", "condition") if whole else ():
        if complete.get(member) is None:
            subject.error("model.validation-invalid", f"The rule has no {member}.", document, path)
    if (severity := rule.get("severity")) is not None and severity not in SEVERITIES:
        subject.error(
            "model.validation-invalid",
            f"severity cannot be {severity!r}; it is one of {', '.join(SEVERITIES)}.",
            document,
            (*path, "severity"),
        )
    for member in ("condition", "message"):
        if member in rule:
            check_expression(subject, document, (*path, member), rule[member], scope)


def _calculation(subject: Subject, data_type: str, document: Document) -> None:
    fields = mapping(document.value).get("calculations")
    if not isinstance(fields, dict):
        subject.error("model.calculation-invalid", "The file has no object calculations.", document)
        return
    for field, rule in fields.items():
        path = ("calculations", field)
        _path(subject, data_type, document, path, field, "model.calculation-path", key=True)
        if not isinstance(rule, dict) or "expression" not in rule:
            subject.error("model.calculation-invalid", "A calculation is an object with an expression.", document, path)
        else:
            check_expression(subject, document, (*path, "expression"), rule["expression"], Scope(data_type=data_type))


def _orphans(subject: Subject) -> None:
    folder = f"{subject.files.app}models/"
    for name in subject.files.names(folder, ".json"):
        parts = name.rsplit(".", 2)
        if len(parts) == 3 and parts[1] in (*_RULES, "schema") and parts[0] not in subject.form_types:
            if not subject.has_metadata:
                continue
            subject.files.report(
                "warning",
                "model.orphan",
                f"There is no form data type {parts[0]!r}, so the file is not used.",
                folder + name,
                (1, 1),
            )
