"""Source `DataAnnotations`: the model against its JSON Schema, lengths, patterns, ranges and the rest.

A member that is null counts as absent. `required` counts only where a visible component asks for the member: a schema
made for exchange may require what this form never shows, and a person could not mend that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from havn.runtime.issues import Severity, ValidationIssue
from havn.runtime.messages import known, message
from havn.runtime.model.paths import join
from havn.runtime.model.rows import without_nulls, without_row_ids

SOURCE = "DataAnnotations"


class SchemaRules:
    """A schema, compiled the first time a model is checked: the library is loaded late for the app's start."""

    def __init__(self, schema: bytes) -> None:
        self._schema = schema
        self._validator: Any = None

    def check(
        self, model: Mapping[str, Any], element_id: str, language: str, *, asked_for: Callable[[str], bool]
    ) -> list[ValidationIssue]:
        """The issues of `model`. `asked_for(path)` says whether a visible component is bound to the path."""
        if self._validator is None:
            self._validator = _compile(self._schema)
        found: dict[tuple[str, str], ValidationIssue] = {}
        for error in _flat(self._validator.iter_errors(without_nulls(without_row_ids(model)))):
            kind = error.kind
            steps = list(error.instance_path)
            if kind.name == "required":
                steps.append(kind.property)
                if not asked_for(join(steps)):
                    continue
            path = join(steps)
            found.setdefault((path, kind.name), _issue(kind, path, element_id, language))
        return list(found.values())


def _compile(schema: bytes) -> Any:
    import jsonschema_rs

    document = msgspec.json.decode(schema)
    pointer = (document.get("info") or {}).get("rootNode") or ""
    if pointer.startswith("#/") and "$ref" not in document and "properties" not in document:
        document["$ref"] = pointer
    # The reference the file gives itself is an address on somebody's machine: nothing is ever fetched.
    document.pop("$id", None)
    return jsonschema_rs.validator_for(
        document, validate_formats=True, retriever=_refuse, pattern_options=jsonschema_rs.RegexOptions()
    )


def _refuse(uri: str) -> Any:
    raise ValueError(f"a schema may not refer to {uri}")


def _flat(errors: Any) -> Any:
    """Errors inside `allOf` and a single-branch `anyOf`/`oneOf` stand for themselves; other compounds as one."""
    for error in errors:
        context = getattr(error.kind, "context", None)
        if error.kind.name in ("anyOf", "oneOf") and context and len(context) == 1:
            yield from _flat(context[0])
        else:
            yield error


def _issue(kind: Any, path: str, element_id: str, language: str) -> ValidationIssue:
    limit = getattr(kind, "limit", getattr(kind, "multiple_of", None))
    name = kind.name if known(kind.name) else "invalid"
    if isinstance(limit, float) and limit.is_integer():
        limit = int(limit)
    return ValidationIssue(
        severity=Severity.ERROR,
        data_element_id=element_id,
        field=path or None,
        code=kind.name,
        description=message(language, name, limit=limit),
        source=SOURCE,
    )
