"""What stands beside a model: `.prefill.json`, `.validation.json`, `.calculation.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

SEVERITIES = ("error", "warning", "info", "success")
PREFILL_SECTIONS = ("UserProfile", "ER", "DSF", "QueryParameters")


class Prefill(msgspec.Struct, frozen=True, kw_only=True):
    """Where a new model's first values come from. Each section: source path to model path."""

    allow_overwrite: bool = False
    user_profile: Mapping[str, str] = {}
    er: Mapping[str, str] = {}
    """From the organisation."""
    dsf: Mapping[str, str] = {}
    """From the person."""
    query_parameters: Mapping[str, str] = {}
    raw: Mapping[str, Any] = {}


class ValidationRule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of a field; inherited members are filled in. `condition` true is an issue."""

    field: str
    message: Any
    """A text key, a text or an expression."""
    condition: Any
    severity: str = "error"
    show_immediately: bool = False


class Calculation(msgspec.Struct, frozen=True, kw_only=True):
    """A field that is set from an expression after each write."""

    field: str
    expression: Any


class ModelRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one data type's model."""

    prefill: Prefill | None = None
    validations: tuple[ValidationRule, ...] = ()
    calculations: tuple[Calculation, ...] = ()


def read_prefill(value: Any) -> Prefill:
    """The prefill file; what is not text to text is left out (`check` reports it)."""
    raw = value if isinstance(value, dict) else {}
    return Prefill(
        allow_overwrite=raw.get("allowOverwrite") is True,
        user_profile=_paths(raw.get("UserProfile")),
        er=_paths(raw.get("ER")),
        dsf=_paths(raw.get("DSF")),
        query_parameters=_paths(raw.get("QueryParameters")),
        raw=raw,
    )


def _paths(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: path for key, path in value.items() if isinstance(path, str)}


def read_validations(value: Any) -> tuple[ValidationRule, ...]:
    """The rules of a validation file, references resolved; what cannot be used is left out."""
    raw = value if isinstance(value, dict) else {}
    definitions, fields = raw.get("definitions"), raw.get("validations")
    definitions = definitions if isinstance(definitions, dict) else {}
    fields = fields if isinstance(fields, dict) else {}
    found = []
    for field, rules in fields.items():
        for rule in rules if isinstance(rules, list) else ():
            resolved = resolve(rule, definitions)
            if resolved is None or "condition" not in resolved or "message" not in resolved:
                continue
            severity = resolved.get("severity", "error")
            found.append(
                ValidationRule(
                    field=field,
                    message=resolved["message"],
                    condition=resolved["condition"],
                    severity=severity if severity in SEVERITIES else "error",
                    show_immediately=resolved.get("showImmediately") is True,
                )
            )
    return tuple(found)


def resolve(rule: Any, definitions: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> dict[str, Any] | None:
    """A rule with what it takes from a definition; None when a definition is missing or leads back to itself."""
    if isinstance(rule, str):
        rule = {"ref": rule}
    if not isinstance(rule, dict):
        return None
    name = rule.get("ref")
    if name is None:
        return rule
    if not isinstance(name, str) or name in seen or name not in definitions:
        return None
    base = resolve(definitions[name], definitions, seen | {name})
    return None if base is None else {**base, **{key: value for key, value in rule.items() if key != "ref"}}


def read_calculations(value: Any) -> tuple[Calculation, ...]:
    """The calculations of a file, in order."""
    fields = value.get("calculations") if isinstance(value, dict) else None
    if not isinstance(fields, dict):
        return ()
    return tuple(
        Calculation(field=field, expression=rule["expression"])
        for field, rule in fields.items()
        if isinstance(rule, dict) and "expression" in rule
    )
