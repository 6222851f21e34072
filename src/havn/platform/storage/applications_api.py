"""Routes of application metadata and texts: HTTP in and out, nothing else."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts.storage import Application, ApplicationList, TextResource
from havn.guard.middleware import principal, require_principal
from havn.kit.web import json_response
from havn.platform.storage import bodies
from havn.platform.storage.access import Access
from havn.platform.storage.applications import Applications
from havn.platform.storage.instances_api import flag


class ApplicationsApi:
    """Handlers."""

    def __init__(self, applications: Applications, access: Access) -> None:
        self._applications = applications
        self._access = access

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        one = f"{base}/applications/{{org}}/{{app}}"
        return [
            Route(one, self.get, methods=["GET"]),
            Route(one, self.replace, methods=["PUT"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{base}/applications", self.listed, methods=["GET"]),
            Route(f"{base}/applications", self.publish, methods=["POST"]),
            Route(f"{base}/applications/{{org}}", self.of_org, methods=["GET"]),
            Route(f"{one}/texts", self.publish_text, methods=["POST"]),
            Route(f"{one}/texts/{{language}}", self.text, methods=["GET"]),
            Route(f"{one}/texts/{{language}}", self.replace_text, methods=["PUT"]),
            Route(f"{one}/texts/{{language}}", self.delete_text, methods=["DELETE"]),
        ]

    async def listed(self, request: Request) -> Response:
        """GET applications."""
        return json_response(ApplicationList(applications=await self._applications.listed()))

    async def of_org(self, request: Request) -> Response:
        """GET applications/{org}."""
        return json_response(ApplicationList(applications=await self._applications.listed(request.path_params["org"])))

    async def get(self, request: Request) -> Response:
        """GET applications/{org}/{app}."""
        return json_response(await self._applications.get(*_app(request)))

    async def publish(self, request: Request) -> Response:
        """POST applications?appId=."""
        by = await self._publisher(request)
        app_id = request.query_params.get("appId")
        application = await self._applications.publish(app_id, await bodies.read(request, Application), by)
        return json_response(application, 201, {"location": application.id or ""})

    async def replace(self, request: Request) -> Response:
        """PUT applications/{org}/{app}."""
        by = await self._publisher(request)
        return json_response(
            await self._applications.replace(*_app(request), await bodies.read(request, Application), by)
        )

    async def delete(self, request: Request) -> Response:
        """DELETE applications/{org}/{app}?hard=."""
        by = await self._publisher(request)
        return json_response(await self._applications.delete(*_app(request), by, hard=flag(request, "hard")))

    async def text(self, request: Request) -> Response:
        """GET applications/{org}/{app}/texts/{language}; any caller with a token."""
        require_principal(request)
        return json_response(await self._applications.text(*_app(request), request.path_params["language"]))

    async def publish_text(self, request: Request) -> Response:
        """POST applications/{org}/{app}/texts."""
        await self._publisher(request)
        text = await bodies.read(request, TextResource)
        return json_response(await self._applications.put_text(*_app(request), text), 201)

    async def replace_text(self, request: Request) -> Response:
        """PUT applications/{org}/{app}/texts/{language}."""
        await self._publisher(request)
        text = await bodies.read(request, TextResource)
        language = request.path_params["language"]
        written = await self._applications.put_text(*_app(request), text, language=language)
        return Response(status_code=204) if written is None else json_response(written)

    async def delete_text(self, request: Request) -> Response:
        """DELETE applications/{org}/{app}/texts/{language}."""
        await self._publisher(request)
        await self._applications.delete_text(*_app(request), request.path_params["language"])
        return Response(status_code=200)

    async def _publisher(self, request: Request) -> str:
        await self._access.publisher(request, principal(request))
        return principal(request).performed_by() or "platform"


def _app(request: Request) -> tuple[str, str]:
    return request.path_params["org"], request.path_params["app"]
