"""Looking at an app from where its users come in: whether the ingress leads to it, or leads to it no more."""

from __future__ import annotations

import asyncio
from typing import Any

from havn.kit.http import HttpClient
from havn.kit.problem import Problem

_WITHIN = 20.0
_EVERY = 0.1


class Front:
    """The ingress of one cluster, at an address that we reach it at."""

    def __init__(self, address: str, host: str, *, verify: Any = True) -> None:
        """`address` is the ingress's base URL, `host` that of the org's apps; `verify` as for an HTTP client."""
        self._http = HttpClient(address, name="The cluster's ingress", host=host, timeout=5.0, verify=verify)

    async def leads_to(self, app: str) -> str | None:
        """Wait until the app answers; returns why it does not when that takes too long."""
        return await self._until(app, lambda status: status == 200, "does not lead to it yet")

    async def leads_nowhere(self, app: str, *, known: bool) -> str | None:
        """Wait until nothing answers: 503 while the app is `known` without a replica, 404 when it is not."""
        return await self._until(app, lambda status: status == (503 if known else 404), "still leads to it")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _until(self, app: str, wanted: Any, otherwise: str) -> str | None:
        said = "it does not answer"
        try:
            async with asyncio.timeout(_WITHIN):
                while True:
                    try:
                        answer = await self._http.request("GET", f"/{app}/health")
                        if wanted(answer.status_code):
                            return None
                        said = f"it answers {answer.status_code}"
                    except Problem:
                        said = "it does not answer"
                    await asyncio.sleep(_EVERY)
        except TimeoutError:
            return f"The cluster's ingress {otherwise}: {said}."
