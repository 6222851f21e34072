"""`/health`: whether requests may be sent to this replica, and for who asks in JSON which release it runs."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from havn.runtime.context import AppContext

_JSON = "application/health+json"


async def health(request: Request) -> Response:
    """Ready: the folder was read and the code loaded before this could be asked.

    `application/health+json` (draft-inadarei-api-health-check) tells the release too, by which a rollout sees what the
    ingress leads to.
    """
    if _JSON not in request.headers.get("accept", ""):
        return PlainTextResponse("Healthy", headers={"vary": "Accept"})
    context: AppContext = request.app.state.context
    content = msgspec.json.encode({"status": "pass", "releaseId": context.settings.release})
    return Response(content, headers={"vary": "Accept"}, media_type=_JSON)
