"""The API as a process builds it, from settings alone."""

from __future__ import annotations

import httpx2
import msgspec
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from havn.kit import settings
from havn.platform.storage.app import build
from havn.platform.storage.settings import Settings


async def test_it_is_built_from_settings_and_serves(make_database, keys, tmp_path):
    async def away(request):
        # A platform without API management manages nothing; everything else of it is away.
        status = 404 if request.path_params["path"].startswith("management/") else 503
        return JSONResponse({"status": status}, status)

    others = httpx2.ASGITransport(app=Starlette(routes=[Route("/{path:path}", away, methods=["GET", "POST"])]))
    environment = {
        "HAVN_DOMAIN": "havn.example",
        "HAVN_PLATFORM_URL": "http://platform",
        "HAVN_STORAGE_DATABASE_URL": await make_database("storage"),
        "HAVN_STORAGE_BLOBS_URL": f"file://{tmp_path}/blobs",
        "HAVN_PLATFORM_ACCESS_KEY": msgspec.json.encode(keys["platform"].as_dict(private=True)).decode(),
        "HAVN_STORAGE_ENFORCE_LOCKS": "false",
    }
    app = await build(settings.load(Settings, environment), transport=others)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://storage") as http,
    ):
        for path in ("health", "health/ready"):
            assert (await http.get(f"/storage/api/v1/{path}")).text == "OK"
        assert (await http.get("/storage/api/v1/applications")).json() == {"applications": []}
        # With authentication away nobody can be let in, and nobody is told that they did wrong.
        answer = await http.get("/storage/api/v1/instances", headers={"authorization": "Bearer a.b.c"})
        assert answer.status_code in (401, 503)
