"""Which kind of file a name says it is, and whether a data type takes it."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence

OCTETS = "application/octet-stream"
# The table shipped with Python, and what people attach that is not in it: never the machine's own tables.
_TYPES = mimetypes.MimeTypes(filenames=())
_MORE = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".sosi": "text/vnd.sosi",
    ".gml": "application/gml+xml",
    ".ifc": "application/x-step",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".webp": "image/webp",
    ".json": "application/json",
    ".zip": "application/zip",
    ".7z": "application/x-7z-compressed",
    ".md": "text/markdown",
}
# The same kind of file under another name.
_ALIASES = {
    "text/xml": "application/xml",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "application/x-zip-compressed": "application/zip",
}


def of_name(filename: str) -> str | None:
    """The type that the name's ending stands for; None when the ending is unknown."""
    ending = filename[filename.rfind(".") :].lower() if "." in filename else ""
    return _MORE.get(ending) or _TYPES.guess_type(f"x{ending}", strict=False)[0]


def same(left: str, right: str) -> bool:
    """Whether two content types mean the same, parameters aside."""
    return _plain(left) == _plain(right)


def allowed(content_type: str, allowed_types: Sequence[str] | None) -> bool:
    """Whether a data type with these `allowedContentTypes` takes the type; an empty list takes all."""
    if not allowed_types:
        return True
    return any(_plain(each) == OCTETS or same(each, content_type) for each in allowed_types)


def _plain(content_type: str) -> str:
    media = content_type.partition(";")[0].strip().lower()
    return _ALIASES.get(media, media)
