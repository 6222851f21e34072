"""Looking at an app from where its users come in: whether the ingress leads to it, or leads to it no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from havn.kit.http import HttpClient, Response
from havn.kit.problem import Problem

_WITHIN = 20.0
_EVERY = 0.1
# In which an app says what it runs: draft-inadarei-api-health-check.
_HEALTH = "application/health+json"


class Front:
    """The ingress of one cluster, at an address that we reach it at."""

    def __init__(self, address: str, host: str, *, verify: Any = True) -> None:
        """`address` is the ingress's base URL, `host` that of the org's apps; `verify` as for an HTTP client."""
        self._http = HttpClient(address, name="The cluster's ingress", host=host, timeout=5.0, verify=verify)

    async def leads_to(self, app: str, release: str = "", *, times: int = 1) -> str | None:
        """Wait until the app answers; returns why it does not when that takes too long.

        With `release`, until `times` answers one after the other come from it, since the ingress takes replicas in
        turn. A runtime that does not say which release it runs is believed.
        """

        def wanted(answer: Response) -> bool:
            return answer.status_code == 200 and (not release or _release(answer) in (release, ""))

        return await self._until(app, wanted, "does not lead to it yet", times=times)

    async def leads_nowhere(self, app: str, *, known: bool) -> str | None:
        """Wait until nothing answers: 503 while the app is `known` without a replica, 404 when it is not."""
        return await self._until(app, lambda answer: answer.status_code == (503 if known else 404), "still leads to it")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _until(
        self, app: str, wanted: Callable[[Response], bool], otherwise: str, *, times: int = 1
    ) -> str | None:
        said, found = "it does not answer", 0
        try:
            async with asyncio.timeout(_WITHIN):
                while True:
                    try:
                        answer = await self._http.request("GET", f"/{app}/health", headers={"accept": _HEALTH})
                        if wanted(answer):
                            found += 1
                            if found >= times:
                                return None
                            continue
                        said = f"it answers {answer.status_code}"
                        if answer.status_code == 200:
                            said += " with another release"
                    except Problem:
                        said = "it does not answer"
                    found = 0
                    await asyncio.sleep(_EVERY)
        except TimeoutError:
            return f"The cluster's ingress {otherwise}: {said}."


class _Health(msgspec.Struct):
    release: str = msgspec.field(name="releaseId", default="")


def _release(answer: Response) -> str:
    """What the app says that it runs; empty when it does not."""
    try:
        return msgspec.json.decode(answer.content, type=_Health).release
    except msgspec.MsgspecError:
        return ""
