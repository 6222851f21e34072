"""Reading one's own writes: a write tells the version of the state that holds it, a question may demand that version.

The token is one number for everything that decisions rest on here, so that whoever gave a right and then asks about it,
of whichever replica, is never answered from before it was given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from havn.contracts.authorization import VERSION_HEADER
from havn.guard.facts import BEHIND, FactCache
from havn.guard.middleware import demanded_version
from havn.kit.problem import Problem
from havn.platform.authorization.store.changes import VersionStore

NOT_MADE = "version_not_made"
Handler = Callable[[Request], Awaitable[Response]]
Stamp = Callable[[Handler], Handler]


class Versions:
    """The version of the state, on both ends of a request."""

    def __init__(self, store: VersionStore, facts: FactCache) -> None:
        self._store = store
        self._facts = facts

    def stamped(self, write: Handler) -> Handler:
        """The handler of a write, whose successful answers carry the version of the state that holds the write."""

        async def handler(request: Request) -> Response:
            response = await write(request)
            if response.status_code < 300:
                # What is written is written: an answer without its version is better than none.
                with suppress(Problem):
                    response.headers[VERSION_HEADER] = str(await self._store.current())
            return response

        return handler

    async def arrived(self, version: int) -> None:
        """Return once nothing older than `version` can decide here.

        409 `Problem` `version_not_made` when the state has never been that new, 503 `snapshot_behind` when the change
        has not been heard of in time.
        """
        try:
            await self._facts.at_least(version)
        except Problem as problem:
            if problem.code == BEHIND and await self._store.current() < version:
                raise Problem(
                    409, "No write was ever answered with that version.", code=NOT_MADE, atLeast=version
                ) from None
            raise


class AtLeast:
    """ASGI middleware: a request with `X-Authz-Version`, or `?atLeast=`, waits until that version has arrived."""

    def __init__(self, app: ASGIApp, versions: Versions) -> None:
        self.app = app
        self._versions = versions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait where it is asked for, and pass on."""
        if scope["type"] == "http":
            try:
                wanted = _wanted(Request(scope))
                if wanted is not None:
                    await self._versions.arrived(wanted)
            except Problem as problem:
                await problem.response()(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _wanted(request: Request) -> int | None:
    text = request.query_params.get("atLeast")
    return demanded_version(request.headers if text is None else Headers({VERSION_HEADER: text}))
