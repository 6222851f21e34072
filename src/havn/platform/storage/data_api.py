"""Routes of data elements: HTTP in and out, contents streamed both ways."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from havn.contracts.storage import IDEMPOTENCY_HEADER, DataElement, FileScanStatus
from havn.guard.middleware import require_principal
from havn.kit.web import json_response
from havn.platform.storage import bodies, uploads
from havn.platform.storage.access import Access
from havn.platform.storage.changes import Call
from havn.platform.storage.conditions import etag
from havn.platform.storage.elements import Elements, Links
from havn.platform.storage.instances import as_guid, checked_key
from havn.platform.storage.instances_api import flag, guid_of


def _element(request: Request) -> str:
    return as_guid(request.path_params["element"])


class DataApi:
    """Handlers."""

    def __init__(self, elements: Elements, access: Access) -> None:
        self._elements = elements
        self._access = access

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        one = f"{base}/instances/{{party:int}}/{{guid}}"
        return [
            Route(f"{one}/data/{{element}}", self.read, methods=["GET"]),
            Route(f"{one}/data/{{element}}", self.replace, methods=["PUT"]),
            Route(f"{one}/data", self.add, methods=["POST"]),
            Route(f"{one}/data/{{element}}", self.delete, methods=["DELETE"]),
            Route(f"{one}/data/{{element}}/lock", self.lock, methods=["PUT"]),
            Route(f"{one}/data/{{element}}/lock", self.unlock, methods=["DELETE"]),
            Route(f"{one}/dataelements/{{element}}", self.put_metadata, methods=["PUT"]),
            Route(f"{one}/dataelements/{{element}}/filescanstatus", self.scanned, methods=["PUT"]),
            Route(f"{one}/dataelementexists/{{element}}", self.exists, methods=["GET"]),
        ]

    async def add(self, request: Request) -> Response:
        """POST data?dataType=&refs=&generatedFromTask=."""
        call, params = Call.of(request), request.query_params
        key = checked_key(request.headers.get(IDEMPOTENCY_HEADER))
        element = await self._elements.add(
            call, request, guid_of(request), params.get("dataType"), _links(request), key
        )
        links = element.self_links
        location = (links.platform if links else None) or ""
        return json_response(element, 201, {"location": location, **etag(element.version)})

    async def replace(self, request: Request) -> Response:
        """PUT data/{element}?refs=&generatedFromTask=."""
        element = await self._elements.replace(
            Call.of(request), request, guid_of(request), _element(request), _links(request)
        )
        return json_response(element, headers=etag(element.version))

    async def read(self, request: Request) -> Response:
        """GET data/{element}."""
        principal = require_principal(request)
        element, content = await self._elements.open(principal, guid_of(request), _element(request))
        headers = {
            "content-length": str(content.size),
            "cache-control": "private, no-store",
            "x-content-type-options": "nosniff",
            # Whatever the content pretends to be, a browser that is led here must not run it.
            "content-security-policy": "sandbox; default-src 'none'",
            **uploads.disposition(element.filename),
            **etag(element.version),
        }
        response = StreamingResponse(content.chunks, headers=headers)
        # Set as it was stored: Starlette would add a charset to text types.
        response.headers["content-type"] = element.content_type or uploads.DEFAULT_TYPE
        return response

    async def delete(self, request: Request) -> Response:
        """DELETE data/{element}?delay=."""
        element = await self._elements.delete(
            Call.of(request), guid_of(request), _element(request), delay=flag(request, "delay")
        )
        return json_response(element, headers=etag(element.version))

    async def lock(self, request: Request) -> Response:
        """PUT data/{element}/lock."""
        element, changed = await self._elements.set_locked(
            Call.of(request), guid_of(request), _element(request), locked=True
        )
        return json_response(element, 201 if changed else 200, etag(element.version))

    async def unlock(self, request: Request) -> Response:
        """DELETE data/{element}/lock."""
        element, _ = await self._elements.set_locked(
            Call.of(request), guid_of(request), _element(request), locked=False
        )
        return json_response(element, headers=etag(element.version))

    async def put_metadata(self, request: Request) -> Response:
        """PUT dataelements/{element}."""
        call = Call.of(request)
        wanted = await bodies.read(request, DataElement)
        element = await self._elements.put_metadata(call, guid_of(request), _element(request), wanted)
        return json_response(element, headers=etag(element.version))

    async def scanned(self, request: Request) -> Response:
        """PUT dataelements/{element}/filescanstatus, for platform components."""
        await self._access.component(request)
        status = await bodies.read(request, FileScanStatus)
        await self._elements.set_scan_result(guid_of(request), _element(request), status.file_scan_result)
        return Response(status_code=200)

    async def exists(self, request: Request) -> Response:
        """GET dataelementexists/{element}, for platform components."""
        await self._access.component(request)
        return json_response(await self._elements.exists(guid_of(request), _element(request)))


def _links(request: Request) -> Links:
    params = request.query_params
    return Links.of(params.getlist("refs"), params.get("generatedFromTask"))
