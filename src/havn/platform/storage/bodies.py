"""Reading JSON as storage's clients write it: any case in names, numbers and flags as text, times without a zone.

Almost every body is as it should be and is decoded at once; only one that is not, or that has a name beginning with a
capital, is walked through with the wanted type beside it.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, TypeVar, cast, overload

import msgspec
from msgspec import inspect
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from havn.contracts.storage import ProcessState
from havn.kit.problem import Problem
from havn.kit.web import MiB, read_body

T = TypeVar("T")
# A NUL in JSON text, which PostgreSQL cannot hold: an escape that is not itself escaped.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_CAPITAL = re.compile(rb'"[A-Z]\w*"\s*:')


async def read(request: Request, type_: type[T], *, limit: int = 4 * MiB) -> T:
    """The body as `type_`; 400 naming the first wrong member, 413 above `limit` bytes."""
    return decode(await read_body(request, limit), type_)


def decode(body: bytes, type_: type[T]) -> T:
    """As `read`, from bytes."""
    if _NUL.search(body):
        raise nul_problem()
    try:
        if not _CAPITAL.search(body):
            try:
                return msgspec.json.decode(body, type=type_, strict=False)
            except msgspec.ValidationError:
                pass  # the slower way below says what is wrong, if anything is
        return msgspec.convert(_fold(msgspec.json.decode(body), _described(cast(Any, type_))), type_, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(400, f"The body is not valid: {error}.", code="invalid_body") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Problem(400, "The body is not valid JSON.", code="invalid_json") from None


class RefuseNul:
    """ASGI middleware: 400 for an address that holds a NUL, which no text of ours does."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            await nul_problem().response()(scope, receive, send)
            return
        await self.app(scope, receive, send)


def nul_problem() -> Problem:
    """400 for text with a NUL in it."""
    return Problem(400, "Text must not hold NUL characters.", code="nul_character")


@overload
def aware(moment: datetime) -> datetime: ...
@overload
def aware(moment: datetime | None) -> datetime | None: ...
def aware(moment: datetime | None) -> datetime | None:
    """`moment` in UTC; one without a zone is taken to be in UTC. 400 outside the years 1 to 9999."""
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise Problem(400, "A time lies outside the years 1 to 9999.", code="invalid_time") from None


def aware_process(state: ProcessState | None) -> ProcessState | None:
    """`state` with all its times in UTC."""
    if state is None:
        return None
    task = state.current_task
    if task is not None:
        task = msgspec.structs.replace(task, started=aware(task.started), ended=aware(task.ended))
    return msgspec.structs.replace(state, started=aware(state.started), ended=aware(state.ended), current_task=task)


@cache
def _described(type_: Any) -> inspect.Type:
    return inspect.type_info(type_)


def _fold(value: Any, wanted: inspect.Type) -> Any:
    """`value` with the names and scalars that `wanted` has, as far as they correspond."""
    kinds = wanted.types if isinstance(wanted, inspect.UnionType) else (wanted,)
    for kind in kinds:
        if isinstance(value, dict) and isinstance(kind, inspect.StructType):
            fields = {field.encode_name.lower(): field for field in kind.fields}
            folded = {}
            for name, each in value.items():
                field = fields.get(name.lower())
                if field is not None and (field.encode_name == name or field.encode_name not in value):
                    folded[field.encode_name] = _member(each, field)
            return folded
        if isinstance(value, dict) and isinstance(kind, inspect.DictType):
            return {name: _fold(each, kind.value_type) for name, each in value.items()}
        if isinstance(value, list) and isinstance(kind, inspect.ListType):
            return [_fold(each, kind.item_type) for each in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and isinstance(kind, inspect.StrType):
            return str(value)
        if isinstance(value, str) and isinstance(kind, inspect.DateTimeType) and len(value) == 10:
            try:
                day = date.fromisoformat(value)
            except ValueError:
                return value
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return value


def _member(value: Any, field: inspect.Field) -> Any:
    if value is None and not _nullable(field.type) and not field.required:
        # A null where none is allowed means the member's default, as if it had been left out.
        return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return _fold(value, field.type)


def _nullable(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.NoneType) or (isinstance(kind, inspect.UnionType) and kind.includes_none)
