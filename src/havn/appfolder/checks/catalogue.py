"""The component types: what each must have, what it may be bound to, and which members may be expressions.

Follows the layout schema of Altinn's frontend 4, with the names of version 9 as aliases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

ALIASES: Mapping[str, str] = {"Heading": "Header"}
"""Type names of version 9 for what version 8 calls otherwise."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one type."""

    required: tuple[str, ...] = ()
    """Members it cannot do without."""
    bindings: Mapping[str, bool] = {}
    """Names in `dataModelBindings`; True for those it cannot do without."""
    any_binding: bool = False
    """Whether other names are allowed too (columns of a list, parts of a custom element)."""
    form: bool = False
    """Whether people fill it in."""
    options: bool = False
    """Whether it offers options: `optionsId`, `options` or `source`."""
    values: Mapping[str, frozenset[Any]] = {}
    """Members with a fixed set of values."""
    expressions: frozenset[str] = frozenset()
    """Members that may be expressions, beyond those of all types; dotted, `*` for every member or item."""


def _of(*values: Any) -> frozenset[Any]:
    return frozenset(values)


_SELECTION = {"simpleBinding": True, "label": False, "metadata": False}
_MULTIPLE = {**_SELECTION, "group": False, "checked": False}
_OPTION_EXPRESSIONS = _of(
    "source.label", "source.description", "source.helpText", "optionFilter", "queryParameters.*", "alertOnChange"
)
_VALUE = _of("value")
_LAYOUT = _of("column", "row", "table")
_FORMAT = _of(
    "formatting.number.thousandSeparator",
    "formatting.number.decimalSeparator",
    "formatting.number.suffix",
    "formatting.number.prefix",
    "formatting.number.format",
)
_CELLS = _of(
    "rows.*.cells.*.hidden", "rows.*.columnOptions.hidden", "rowsBefore.*.cells.*.hidden", "rowsAfter.*.cells.*.hidden"
)
_UPLOAD = ("maxFileSizeInMB", "maxNumberOfAttachments", "minNumberOfAttachments", "displayMode")
_UPLOAD_EXPRESSIONS = _of("maxNumberOfAttachments", "minNumberOfAttachments", "alertOnDelete")
_HEADING = _of("2", "3", "4", "5", "6")

EVERYWHERE = _of(
    "hidden",
    "required",
    "readOnly",
    "removeWhenHidden",
    "textResourceBindings.*",
    "pageBreak.breakBefore",
    "pageBreak.breakAfter",
)
"""Members of every type that may be expressions."""

KINDS: Mapping[str, Kind] = {
    "Accordion": Kind(required=("children",), values={"headingLevel": _HEADING}, expressions=_of("openByDefault")),
    "AccordionGroup": Kind(required=("children",), values={"headingLevel": _HEADING}),
    "ActionButton": Kind(
        required=("action", "buttonStyle"),
        values={"action": _of("instantiate", "confirm", "sign", "reject"), "buttonStyle": _of("primary", "secondary")},
    ),
    "Address": Kind(
        form=True,
        bindings={"address": True, "zipCode": True, "postPlace": True, "careOf": False, "houseNumber": False},
    ),
    "AddToList": Kind(form=True, required=("title",), bindings={"data": True}, any_binding=True),
    "Alert": Kind(required=("severity",), values={"severity": _of("success", "warning", "danger", "info")}),
    "AttachmentList": Kind(),
    "Audio": Kind(),
    "Button": Kind(values={"mode": _of("submit", "save", "instantiate")}),
    "ButtonGroup": Kind(required=("children",)),
    "Cards": Kind(
        required=("color", "cards"),
        values={"mediaPosition": _of("top", "bottom"), "color": _of("neutral", "subtle")},
    ),
    "Checkboxes": Kind(
        form=True, options=True, bindings=_MULTIPLE,
        values={"layout": _LAYOUT, "deletionStrategy": _of("soft", "hard")},
        expressions=_OPTION_EXPRESSIONS,
    ),
    "Custom": Kind(form=True, required=("tagName",), any_binding=True),
    "CustomButton": Kind(
        required=("actions",),
        values={"buttonStyle": _of("primary", "secondary", "tertiary")},
    ),
    "Date": Kind(required=("value",), values={"direction": _of("horizontal", "vertical")}, expressions=_VALUE),
    "Datepicker": Kind(form=True, bindings={"simpleBinding": True}, expressions=_of("minDate", "maxDate")),
    "Divider": Kind(),
    "Dropdown": Kind(form=True, options=True, bindings=_SELECTION, expressions=_OPTION_EXPRESSIONS),
    "FileUpload": Kind(
        form=True, required=_UPLOAD, bindings={"simpleBinding": False, "list": False},
        values={"displayMode": _of("simple", "list")}, expressions=_UPLOAD_EXPRESSIONS,
    ),
    "FileUploadWithTag": Kind(
        form=True, options=True, required=_UPLOAD, bindings={"simpleBinding": False, "list": False},
        values={"displayMode": _of("simple", "list")}, expressions=_UPLOAD_EXPRESSIONS | _OPTION_EXPRESSIONS,
    ),
    "Grid": Kind(required=("rows",), expressions=_CELLS),
    "Group": Kind(
        required=("children",), bindings={"group": False},
        values={"groupingIndicator": _of("indented", "panel"), "headingLevel": _HEADING},
    ),
    "Header": Kind(required=("size",), values={"size": _of("L", "M", "S", "h2", "h3", "h4", "h5", "h6")}),
    "IFrame": Kind(),
    "Image": Kind(),
    "ImageUpload": Kind(form=True, bindings={"simpleBinding": False}),
    "Input": Kind(
        form=True, bindings={"simpleBinding": True}, values={"variant": _of("text", "search")}, expressions=_FORMAT
    ),
    "InstanceInformation": Kind(),
    "InstantiationButton": Kind(),
    "Likert": Kind(
        options=True, bindings={"answer": True, "questions": True}, expressions=_OPTION_EXPRESSIONS,
    ),
    "LikertItem": Kind(form=True, options=True, bindings=_SELECTION, expressions=_OPTION_EXPRESSIONS),
    "Link": Kind(required=("style",), values={"style": _of("primary", "secondary", "link")}),
    "List": Kind(
        form=True, required=("tableHeaders", "dataListId"), any_binding=True,
        bindings={"group": False, "checked": False}, expressions=_of("queryParameters.*"),
    ),
    "Map": Kind(
        form=True,
        bindings=dict.fromkeys(
            (
                "simpleBinding", "geometries", "geometryLabel", "geometryData", "geometryIsEditable",
                "geometryIsHidden", "geometryStyle",
            ),
            False,
        ),
        expressions=_of("toolbar.polyline", "toolbar.polygon", "toolbar.rectangle", "toolbar.circle", "toolbar.marker"),
    ),
    "MultipleSelect": Kind(
        form=True, options=True, bindings=_MULTIPLE, values={"deletionStrategy": _of("soft", "hard")},
        expressions=_OPTION_EXPRESSIONS,
    ),
    "NavigationBar": Kind(),
    "NavigationButtons": Kind(),
    "Number": Kind(
        required=("value",), values={"direction": _of("horizontal", "vertical")}, expressions=_VALUE | _FORMAT
    ),
    "Option": Kind(
        required=("value",), options=True, values={"direction": _of("horizontal", "vertical")},
        expressions=_VALUE | _OPTION_EXPRESSIONS,
    ),
    "OrganisationLookup": Kind(
        form=True,
        bindings={"organisation_lookup_orgnr": True, "organisation_lookup_name": False},
    ),
    "OrganizationLookup": Kind(
        form=True,
        bindings={"organization_lookup_orgnr": True, "organization_lookup_name": False},
    ),
    "Panel": Kind(values={"variant": _of("info", "warning", "error", "success")}),
    "Paragraph": Kind(),
    "PaymentDetails": Kind(),
    "Payment": Kind(),
    "PDFPreviewButton": Kind(values={"buttonStyle": _of("primary", "secondary")}),
    "PersonLookup": Kind(
        form=True,
        bindings={
            "person_lookup_ssn": True, "person_lookup_name": False, "person_lookup_last_name": False,
            "person_lookup_middle_name": False, "person_lookup_first_name": False,
        },
    ),
    "PrintButton": Kind(),
    "RadioButtons": Kind(
        form=True, options=True, bindings=_SELECTION, values={"layout": _LAYOUT}, expressions=_OPTION_EXPRESSIONS
    ),
    "RepeatingGroup": Kind(
        required=("children",), bindings={"group": True},
        expressions=_CELLS | _of(
            "hiddenRow", "edit.addButton", "edit.saveButton", "edit.deleteButton", "edit.editButton",
            "edit.alertOnDelete", "edit.saveAndNextButton", "tableColumns.*.hidden",
        ),
    ),
    "SigneeList": Kind(),
    "SigningActions": Kind(),
    "SigningDocumentList": Kind(),
    "SimpleTable": Kind(form=True, required=("title", "columns"), bindings={"tableData": False}),
    "Subform": Kind(
        form=True, required=("layoutSet", "tableColumns"),
        expressions=_of("entryDisplayName", "tableColumns.*.cellContent.value"),
    ),
    "Summary": Kind(required=("componentRef",)),
    "Summary2": Kind(),
    "Tabs": Kind(required=("tabs",), values={"size": _of("small", "medium", "large")}),
    "Text": Kind(required=("value",), values={"direction": _of("horizontal", "vertical")}, expressions=_VALUE),
    "TextArea": Kind(form=True, bindings={"simpleBinding": True}),
    "TimePicker": Kind(form=True, bindings={"simpleBinding": True}, expressions=_of("minTime", "maxTime")),
    "Video": Kind(),
}  # fmt: skip
"""Every type, by its name in version 8."""

CONTAINERS = frozenset({
    "Accordion", "AccordionGroup", "ButtonGroup", "Cards", "Grid", "Group", "Likert", "RepeatingGroup", "Tabs",
})  # fmt: skip
"""Types that hold others."""


def kind_of(written: str) -> Kind | None:
    """What is known of a type, by either version's name."""
    return KINDS.get(ALIASES.get(written, written))
