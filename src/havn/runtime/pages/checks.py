"""What components themselves ask of their values: dates within bounds, lengths, numbers of rows and files, endings."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from havn.runtime.layout import display, formatting
from havn.runtime.layout.nodes import Node
from havn.runtime.pages.feedback import Feedback, field_name
from havn.runtime.pages.words import word


def day(node: Node, name: str) -> date | None:
    """`minDate` or `maxDate`: a date, or `today`, `yesterday`, `tomorrow`, `oneYearAgo`, `oneYearFromNow`."""
    value = node.prop(name)
    today = node.state.surroundings.today
    if today is None:
        return formatting.to_date(value)
    words = {
        "today": today,
        "yesterday": today - timedelta(days=1),
        "tomorrow": today + timedelta(days=1),
        "oneYearAgo": _years(today, -1),
        "oneYearFromNow": _years(today, 1),
    }
    if isinstance(value, str) and value in words:
        return words[value]
    return formatting.to_date(value)


def endings(node: Node) -> list[str]:
    """The file endings an upload takes, in small letters with their dots; empty for any."""
    if node.type == "ImageUpload":
        return [".jpg", ".jpeg", ".png", ".gif", ".webp"]
    if node.raw.get("hasCustomFileEndings") is not True:
        return []
    given = node.raw.get("validFileEndings")
    listed: list[Any] = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
    return [f".{str(ending).strip().lstrip('.').lower()}" for ending in listed if str(ending).strip()]


def most(node: Node) -> int | None:
    """The highest number of attachments; None for no limit."""
    if node.type == "ImageUpload":
        return 1
    value = node.prop("maxNumberOfAttachments")
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def check(node: Node, feedback: Feedback) -> None:
    """Say what is wrong with a shown node's value. Numbers of rows and files only where missing answers are shown."""
    language = node.state.surroundings.language
    if node.type == "Datepicker":
        _check_day(node, feedback, language)
    elif node.type in ("Input", "TextArea"):
        limit, value = node.raw.get("maxLength"), node.value()
        if isinstance(limit, int) and isinstance(value, str) and len(value) > limit > 0:
            feedback.add(field_name(node), word(language, "too_long", limit=limit, count=len(value)))
    elif not feedback.shows_missing(node):
        return
    elif node.type == "RepeatingGroup":
        least = node.raw.get("minCount")
        if isinstance(least, int) and sum(not row.hidden for row in node.row_list) < least:
            feedback.add(field_name(node), word(language, "too_few_rows", limit=least))
    elif node.type in ("FileUpload", "FileUploadWithTag"):
        least = node.prop("minNumberOfAttachments")
        if isinstance(least, int | float) and len(display.attached(node)) < least:
            feedback.add(field_name(node), word(language, "too_few_files", limit=int(least)))


def _check_day(node: Node, feedback: Feedback, language: str) -> None:
    value = formatting.to_date(node.value())
    if value is None:
        return
    earliest, latest = day(node, "minDate"), day(node, "maxDate")
    if earliest is not None and value < earliest:
        shown = formatting.show_date(earliest.isoformat())
        feedback.add(field_name(node), word(language, "date_too_early", date=shown))
    if latest is not None and value > latest:
        feedback.add(field_name(node), word(language, "date_too_late", date=formatting.show_date(latest.isoformat())))


def _years(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)
