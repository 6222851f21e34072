"""The templates, and which of them draws which type of component."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

_BY_FILE: Mapping[str, tuple[str, ...]] = {
    "buttons": (
        "ActionButton",
        "Button",
        "InstantiationButton",
        "Link",
        "NavigationBar",
        "NavigationButtons",
        "PDFPreviewButton",
        "PrintButton",
    ),
    "containers": (
        "Accordion",
        "AccordionGroup",
        "ButtonGroup",
        "Cards",
        "Grid",
        "Group",
        "Tabs",
    ),
    "fields": (
        "Address",
        "Checkboxes",
        "Datepicker",
        "Dropdown",
        "Input",
        "Likert",
        "MultipleSelect",
        "RadioButtons",
        "TextArea",
        "TimePicker",
    ),
    "files": (
        "FileUpload",
        "FileUploadWithTag",
        "ImageUpload",
    ),
    "rows": ("RepeatingGroup",),
    "summaries": (
        "Summary",
        "Summary2",
    ),
    "texts": (
        "Alert",
        "AttachmentList",
        "Audio",
        "Date",
        "Divider",
        "Header",
        "Image",
        "InstanceInformation",
        "Number",
        "Option",
        "Panel",
        "Paragraph",
        "Text",
        "Video",
    ),
}
DRAWN: Mapping[str, str] = {type_: file for file, types in _BY_FILE.items() for type_ in types}
"""Component type to the template file whose macro of that name draws it. Other types are not drawn."""


@functools.cache
def environment() -> Environment:
    """The templates; compiled when first used."""
    # Every value is escaped; HTML of our own is `Markup`.
    return Environment(
        loader=PackageLoader("havn.runtime.pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip


@functools.cache
def module(file: str) -> Any:
    """The macros of one template file."""
    return environment().get_template(f"{file}.html").module
