"""Reading an API's answer: the wanted type, whole or an object a line, or the API's own failure passed on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, TypeVar

import msgspec

from havn.kit.http import Response, TransportError
from havn.kit.problem import MEDIA_TYPE, Problem

T = TypeVar("T")


def read(response: Response, type_: type[T], *, of: str, strict: bool = True) -> T:
    """The body as `type_`; raises the `Problem` the API answered with, or a 502 when the body is not what it should be.

    `of` is the API's name in the message.
    """
    if not response.is_success:
        raise failure(response, of=of)
    try:
        return msgspec.json.decode(response.content, type=type_, strict=strict)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Problem(502, f"{of} gave an answer that cannot be read.", code="bad_upstream_answer") from error


async def lines(opening: Any, type_: type[T], *, of: str) -> AsyncGenerator[T, None]:
    """What an answer brings, an object a line, as it comes; empty lines say nothing.

    `opening` is what `HttpClient.stream` gives. Raises the `Problem` the API answered with, and a 503 when the answer
    breaks off or holds anything else.
    """
    try:
        async with opening as response:
            if not response.is_success:
                await response.aread()
                raise failure(response, of=of)
            async for line in response.aiter_lines():
                if line:
                    yield msgspec.json.decode(line, type=type_)
    except (TransportError, msgspec.MsgspecError) as error:
        raise Problem(503, f"{of} cannot be reached just now.", code="upstream_unavailable", upstream=of) from error


def failure(response: Response, *, of: str) -> Problem:
    """The failure in `response`, with its status, code and waiting time kept."""
    document: dict[str, Any] = {}
    if response.headers.get("content-type", "").startswith(MEDIA_TYPE):
        try:
            document = msgspec.json.decode(response.content, type=dict[str, Any])
        except (msgspec.ValidationError, msgspec.DecodeError):
            document = {}
    headers = {name: response.headers[name] for name in ("retry-after", "www-authenticate") if name in response.headers}
    known = {"type", "title", "status", "detail", "code"}
    return Problem(
        response.status_code,
        str(document.get("detail") or f"{of} answered with status {response.status_code}."),
        title=document.get("title"),
        code=document.get("code"),
        headers=headers,
        **{name: value for name, value in document.items() if name not in known},
    )
