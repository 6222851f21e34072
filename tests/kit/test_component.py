"""A component as a process of its own: health, readiness, waiting for what is away, and draining."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from havn.kit.component import Alone


@pytest.fixture
def app():
    """An application whose database may be away, with a slow route, a route that waits for news, and a stream."""
    made = Starlette()
    made.state.database, made.state.stopping = True, asyncio.Event()
    made.state.go, made.state.begun = asyncio.Event(), asyncio.Event()

    async def ready(request):
        return PlainTextResponse("OK", 200 if made.state.database else 503)

    async def slow(request):
        made.state.begun.set()
        await made.state.go.wait()
        return PlainTextResponse("done")

    async def news(request):
        made.state.begun.set()
        await made.state.stopping.wait()
        return PlainTextResponse("none")

    async def lines():
        while True:
            made.state.begun.set()
            yield b'{"kind":"alive"}\n'
            await asyncio.sleep(0)

    async def stream(request):
        return StreamingResponse(lines(), media_type="application/x-ndjson")

    for path, handler in (("/x/ready", ready), ("/x/slow", slow), ("/x/news", news), ("/x/stream", stream)):
        made.router.routes.append(Route(path, handler))
    return made


@asynccontextmanager
async def caller(alone: Alone):
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=alone), base_url="http://x") as client:
        yield client


async def statuses(client) -> tuple[int, int]:
    return (await client.get("/health")).status_code, (await client.get("/health/ready")).status_code


async def test_a_process_lives_before_it_is_built_and_is_ready_when_its_database_is(app):
    alone = Alone("/x/ready")
    async with caller(alone) as client:
        assert await statuses(client) == (200, 503)
        assert (await client.get("/x/slow")).json()["code"] == "starting"
        alone.app = app
        assert await statuses(client) == (200, 200)
        app.state.database = False
        assert await statuses(client) == (200, 503)


async def test_without_a_place_to_ask_a_built_process_is_ready(app):
    alone = Alone(None)
    alone.app = app
    async with caller(alone) as client:
        assert await statuses(client) == (200, 200)


async def test_draining_waits_for_requests_under_way_and_lets_those_go_who_wait_for_news(app):
    alone = Alone("/x/ready")
    alone.app = app
    async with caller(alone) as client:
        slow, news = asyncio.create_task(client.get("/x/slow")), asyncio.create_task(client.get("/x/news"))
        await app.state.begun.wait()
        draining = asyncio.create_task(alone.drain(30))
        assert (await news).text == "none"
        assert await statuses(client) == (200, 503)
        assert not draining.done()
        app.state.go.set()
        assert (await slow).text == "done"
        await draining


async def test_a_stream_without_an_end_ends_whole_when_the_process_drains(app):
    alone = Alone("/x/ready")
    alone.app = app
    async with caller(alone) as client:
        stream = asyncio.create_task(client.get("/x/stream"))
        await app.state.begun.wait()
        await alone.drain(30)
        assert (await stream).text.endswith('"alive"}\n')


async def test_draining_is_cut_short_at_its_time(app):
    alone = Alone("/x/ready")
    alone.app = app
    async with caller(alone) as client:
        slow = asyncio.create_task(client.get("/x/slow"))
        await app.state.begun.wait()
        await alone.drain(0)
        app.state.go.set()
        await slow
