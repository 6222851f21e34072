"""Making an instance's receipt: which tasks it shows, what it is called, and storing it as `ref-data-as-pdf`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import structlog

from havn.contracts.storage import Reference
from havn.kit.problem import Problem
from havn.runtime import access, texts
from havn.runtime.receipt import content
from havn.runtime.work import Work, new_id

if TYPE_CHECKING:
    from havn.runtime.context import AppContext

FAILED = "Pdf generation failed"
"""The frontend offers to try again when a 500 says exactly this."""
_log = structlog.get_logger("runtime")


def wanted_at_end(context: AppContext, task: str) -> bool:
    """Whether leaving a task makes a receipt by itself: the older way, for form types with `enablePdfCreation`."""
    if context.folder.is_v9:
        return False
    return any(
        type_.task_id == task and access.is_form(type_) and type_.enable_pdf_creation
        for type_ in context.folder.data_types.values()
    )


async def pdf(work: Work, tasks: Sequence[str]) -> bytes:
    """The receipt of `tasks`. 500 when it cannot be made."""
    from havn.runtime.receipt.pdf import PdfError, render

    document = await content.document(work, tasks)
    try:
        return await render(document, at=work.context.clock())
    except PdfError as error:
        _log.error("receipt_failed", reason=str(error))
        raise Problem(500, FAILED, code="pdf_failed") from error


async def make(work: Work, from_task: str, tasks: Sequence[str], *, filename_key: str | None = None) -> None:
    """Make the receipt of `tasks` and store it as generated from `from_task`, in place of one made before."""
    made = await pdf(work, tasks)
    storage, instance_id = work.context.clients.storage, work.instance.id or ""
    earlier = [
        element
        for element in work.instance.data
        if element.data_type == access.PDF_TYPE
        and any(_generated_from(reference, from_task) for reference in element.references or ())
    ]
    element = await storage.add_data(
        instance_id,
        access.PDF_TYPE,
        made,
        work.actor.credentials,
        content_type="application/pdf",
        filename=filename(work, filename_key),
        generated_from_task=from_task,
        idempotency_key=new_id(),
    )
    # The new one is there before the old one goes.
    for old in earlier:
        await storage.delete_data(instance_id, old.id or "", work.actor.credentials)
    kept = [each for each in work.instance.data if each not in earlier]
    work.instance = msgspec.structs.replace(work.instance, data=[*kept, element])


def filename(work: Work, key: str | None = None) -> str:
    """What the receipt is called: the text named, else the app's default, else the app's name."""
    folder, language = work.context.folder, work.actor.language
    name = None
    for candidate in (key, "backend.pdf_default_file_name"):
        name = name or (texts.find(folder, language, candidate) if candidate else None)
    name = "".join(
        " " if sign in '/\\:*?"<>|' or ord(sign) < 32 else sign for sign in name or texts.app_name(folder, language)
    ).strip()[:120]
    return name if name.lower().endswith(".pdf") else f"{name or 'receipt'}.pdf"


def _generated_from(reference: Reference, task: str) -> bool:
    return reference.value_type == "Task" and reference.value == task
