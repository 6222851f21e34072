"""A receipt document as PDF/UA-1 (ISO 14289-1): tagged, titled, with its language, and with bundled fonts only.

The document travels to Typst as JSON in its inputs, never as Typst source: nothing a person wrote is ever run. Typst
is imported here, late, since an app that makes no receipt should not carry it in memory.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from importlib.resources import files

import msgspec

from havn.runtime.receipt.document import Answer, Block, Document, Heading, Table, Text


class PdfError(Exception):
    """Typst could not make the document; the message is for the log."""


async def render(document: Document, *, at: datetime) -> bytes:
    """The PDF. `at` is written into it as the time it was made, so the same input gives the same bytes."""
    return await asyncio.to_thread(_compile, document, at)


def _compile(document: Document, at: datetime) -> bytes:
    import typst

    source = files("havn.runtime.receipt").joinpath("receipt.typ").read_bytes()
    try:
        made = typst.compile(
            source,
            format="pdf",
            pdf_standards=["ua-1"],
            ignore_system_fonts=True,
            timestamp=int(at.timestamp()),
            sys_inputs={"document": msgspec.json.encode(_inputs(document)).decode()},
        )
    except typst.TypstError as error:
        raise PdfError(error.message) from error
    if not isinstance(made, bytes):
        raise PdfError("Typst made no document.")
    return made


def _inputs(document: Document) -> dict[str, object]:
    return {
        "language": document.language,
        "title": document.title,
        "facts": [[fact.label, fact.value] for fact in document.facts],
        "sections": [
            {"title": section.title, "blocks": [_block(block) for block in section.blocks]}
            for section in document.sections
        ],
        "attachmentsTitle": document.attachments_title,
        "attachments": list(document.attachments),
        "nothing": document.nothing,
    }


def _block(block: Block) -> dict[str, object]:
    match block:
        case Answer(label, value):
            return {"kind": "answer", "label": label, "value": value}
        case Table(title, columns, rows):
            return {"kind": "table", "title": title, "columns": list(columns), "rows": [list(row) for row in rows]}
        case Heading(text, level):
            return {"kind": "heading", "text": text, "level": level}
        case Text(text):
            return {"kind": "text", "text": text}
