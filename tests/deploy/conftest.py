"""A control plane that gives set answers, for those who ask it again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import msgspec
import pytest

from havn.kit.http import HttpClient


@pytest.fixture
def answering() -> Callable[..., HttpClient]:
    """`answering(*answers)`: gives these in turn, the last one for ever; a number is a status that says nothing."""

    def make(*answers: msgspec.Struct | int) -> HttpClient:
        waiting = list(answers)

        async def plane(scope: Any, receive: Any, send: Any) -> None:
            answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            status, body = (answer, b"away") if isinstance(answer, int) else (200, msgspec.json.encode(answer))
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": body})

        return HttpClient("http://console.test", name="The control plane", transport=httpx2.ASGITransport(plane))

    return make
