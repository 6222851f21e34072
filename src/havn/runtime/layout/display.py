"""What a component holds, as a person reads it: in summaries, in table cells, in the receipt."""

from __future__ import annotations

from typing import Any

from havn.runtime.layout import choices, formatting
from havn.runtime.layout.nodes import Node
from havn.runtime.layout.surroundings import Element

UPLOADS = frozenset({"FileUpload", "FileUploadWithTag", "ImageUpload"})
PRESENTED = frozenset({"Text", "Number", "Date", "Option"})
"""Types that show a value of their own, bound to nothing."""
LOOKUPS = {
    "PersonLookup": ("person_lookup_ssn", "person_lookup_name"),
    "OrganisationLookup": ("organisation_lookup_orgnr", "organisation_lookup_name"),
    "OrganizationLookup": ("organization_lookup_orgnr", "organization_lookup_name"),
}
"""Types that show what was looked up: number and name."""
YES_NO = {"nb": ("Ja", "Nei"), "nn": ("Ja", "Nei"), "en": ("Yes", "No")}


def text(node: Node) -> str:
    """The value as one line (or several, for a text area); empty when there is none."""
    several = node.type in choices.MANY or node.type in UPLOADS or node.type in LOOKUPS
    return ", ".join(values(node)) if several else "\n".join(values(node))


def has_value(node: Node) -> bool:
    """Whether components of its type show a value at all."""
    return bool(node.component.bindings) or node.type in UPLOADS or node.type in PRESENTED


def values(node: Node) -> list[str]:
    """The parts of the value: one, or one per choice, file, or line of an address."""
    language = node.state.surroundings.language
    if node.type in UPLOADS:
        return [element.filename or element.id for element in attached(node)]
    if node.type == "Address":
        return address(node)
    if node.type in choices.SELECTIONS and node.type != "Option":
        return choices.labels(node)
    if node.type == "Option":
        value = choices.as_text(node.prop("value"))
        return [choice.label for choice in choices.choices(node) if choice.value == value] or ([value] if value else [])
    if node.type in ("Text", "Number", "Date"):
        return [shown] if (shown := _presented(node)) else []
    if node.type in LOOKUPS:
        return _looked_up(node)
    value = node.value()
    if value in (None, "", []):
        return []
    if node.type == "Datepicker":
        return [formatting.show_date(value, node.raw.get("format"))]
    if isinstance(value, bool):
        return [YES_NO.get(language, YES_NO["nb"])[0 if value else 1]]
    if isinstance(value, list):
        return [choices.as_text(item) for item in value if not isinstance(item, dict)]
    number = formatting.number_format(format_of(node), language)
    if number is not None:
        return [number.show(value)]
    if isinstance(value, int | float):
        return [formatting.PLAIN.write(value)]
    return [str(value)] if not isinstance(value, dict) else []


def address(node: Node) -> list[str]:
    """Street, second line, and post code with place."""
    street, care_of, unit = (node.value(name) for name in ("address", "careOf", "houseNumber"))
    place = " ".join(str(value) for value in (node.value("zipCode"), node.value("postPlace")) if value)
    return [str(line) for line in (street, care_of, unit, place) if line]


def _looked_up(node: Node) -> list[str]:
    """The number and the name; names kept in parts are put together."""
    parts = [node.value(name) for name in LOOKUPS[node.type]]
    if node.type == "PersonLookup" and not parts[1]:
        names = (node.value(f"person_lookup_{part}_name") for part in ("first", "middle", "last"))
        parts[1] = " ".join(str(name) for name in names if name)
    return [str(part) for part in parts if part]


def attached(node: Node) -> list[Element]:
    """The attachments that belong to an upload component, in the row that it stands in."""
    mine = [element for element in node.state.surroundings.elements if element.data_type == node.component.id]
    for name in ("simpleBinding", "list"):
        if name in node.component.bindings:
            held = node.value(name)
            ids = held if isinstance(held, list) else [held]
            return [element for element in mine if element.id in ids]
    return mine


def format_of(node: Node) -> dict[str, Any] | None:
    """The component's number format, its expressions evaluated."""
    raw = node.raw.get("formatting")
    if not isinstance(raw, dict):
        return None
    number = raw.get("number")
    if isinstance(number, dict):
        number = {name: node.evaluate(value, f"formatting.number.{name}") for name, value in number.items()}
    return {**raw, "number": number} if number is not None else dict(raw)


def _presented(node: Node) -> str:
    value = node.prop("value")
    if value is None:
        return ""
    if node.type == "Date":
        return formatting.show_date(value, node.raw.get("format"))
    if node.type == "Number":
        number = formatting.number_format(format_of(node), node.state.surroundings.language)
        return number.show(value) if number is not None else formatting.PLAIN.write(value)
    return node.lookup(choices.as_text(value))
