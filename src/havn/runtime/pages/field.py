"""One form field: its name, what stands in it, and what was typed turned into what a model keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from havn.runtime.layout import choices, display, formatting
from havn.runtime.layout.nodes import Node
from havn.runtime.model.paths import parse
from havn.runtime.model.shape import Shape
from havn.runtime.pages.words import word

FIELDS = {
    "Input": ("simpleBinding",),
    "TextArea": ("simpleBinding",),
    "Checkboxes": ("simpleBinding",),
    "RadioButtons": ("simpleBinding",),
    "Dropdown": ("simpleBinding",),
    "MultipleSelect": ("simpleBinding",),
    "Datepicker": ("simpleBinding",),
    "TimePicker": ("simpleBinding",),
    "Address": ("address", "careOf", "zipCode", "postPlace", "houseNumber"),
}
"""Types with form fields, and the bindings each has one for."""


_ADDRESS = {
    "address": ("title", "address"),
    "careOf": ("careOfTitle", "care_of"),
    "zipCode": ("zipCodeTitle", "zip_code"),
    "postPlace": ("postPlaceTitle", "post_place"),
    "houseNumber": ("houseNumberTitle", "house_number"),
}
"""Each part of an address: the text binding that names it, and our own word."""


class Invalid(msgspec.Struct, frozen=True):
    """What was typed cannot be a value of this field; `word` says why."""

    word: str


def bindings(node: Node) -> list[str]:
    """The bindings of a node that the form has fields for."""
    if "group" in node.component.bindings and node.component.list_binding is None:
        return []
    return [name for name in FIELDS.get(node.type, ()) if name in node.component.bindings]


def digest(value: Any) -> str:
    """A short name for what a field held when it was drawn, to see later whether somebody has changed it."""
    return hashlib.blake2s(msgspec.json.encode(_plain(value)), digest_size=5).hexdigest()


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same answer: an absent one and an empty text are, and 1 and 1.0."""
    return bool(_plain(left) == _plain(right))


def _plain(value: Any) -> Any:
    if value in (None, ""):
        return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def text(node: Node, binding: str = "simpleBinding") -> str:
    """What stands in a text field for the value that the model has."""
    value = node.value(binding)
    if value is None:
        return ""
    if node.type == "Datepicker":
        day = formatting.to_date(value)
        return day.isoformat() if day is not None else str(value)
    number = formatting.number_format(display.format_of(node), node.state.surroundings.language)
    if number is not None:
        return number.write(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        language = node.state.surroundings.language
        return formatting.NumberFormat(decimal="." if language == "en" else ",").write(value)
    return choices.as_text(value)


def read(node: Node, binding: str, sent: Sequence[str], shape: Shape) -> Any:
    """The value that `sent` (the field's values in the post) means: of the type the schema wants, or `Invalid`."""
    if node.type in choices.MANY:
        values = [value for value in sent if value]
        return ",".join(values) or None
    typed = (sent[0] if sent else "").replace("\r\n", "\n")
    if not typed.strip():
        return None
    if node.type == "Datepicker":
        return _date(node, typed.strip())
    if node.type == "Input":
        number = formatting.number_format(display.format_of(node), node.state.surroundings.language)
        if number is not None:
            typed = number.read(typed)
    path = node.path(binding)
    place = shape.at(parse(path)) if path else None
    kinds = place.kinds if place is not None else frozenset({"string"})
    return _typed(typed, kinds)


def _typed(typed: str, kinds: frozenset[str]) -> Any:
    if not kinds or "string" in kinds:
        return typed
    if "boolean" in kinds and typed.lower() in ("true", "false"):
        return typed.lower() == "true"
    if "integer" in kinds or "number" in kinds:
        number = formatting.to_decimal(formatting.PLAIN.read(typed))
        if number is None:
            return Invalid("not_a_number")
        if number == number.to_integral_value() and abs(number) < 10**15:
            return int(number)
        return float(number) if "number" in kinds else Invalid("not_an_integer")
    return Invalid("not_a_number")


def _date(node: Node, typed: str) -> Any:
    day: date | None = None
    try:
        day = date.fromisoformat(typed[:10])
    except ValueError:
        parts = typed.replace("/", ".").split(".")
        try:
            day = date(int(parts[2]), int(parts[1]), int(parts[0])) if len(parts) == 3 else None
        except ValueError:
            day = None
    if day is None or day.year < 1000:
        return Invalid("not_a_date")
    # Midnight UTC is the same day in Norway, summer and winter.
    return f"{day.isoformat()}T00:00:00Z" if node.raw.get("timeStamp") is not False else day.isoformat()


def label(node: Node, binding: str = "simpleBinding") -> str:
    """What the field is called, as its app or we write it (Markdown)."""
    if node.type == "Address" and binding in _ADDRESS:
        key, fallback = _ADDRESS[binding]
        return node.text(key) or word(node.state.surroundings.language, fallback)
    return node.text("title") or node.text("tableTitle") or ""
