"""One real process that enforces: `python process.py PORT MANAGEMENT_URL` with the app's key on standard input."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from havn.clients.metering import MeteringClient
from havn.guard.metering.meter import Management, Meter
from havn.guard.metering.middleware import Metering
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.clock import system_clock
from havn.kit.http import HttpClient
from havn.kit.serve import run, serve


async def main() -> None:
    port, management_url = int(sys.argv[1]), sys.argv[2]
    signer = PlatformTokenSigner(
        issuer="ttd", app="permit", audience="https://platform.havn.test", key=sys.stdin.read(), clock=system_clock
    )
    clients = [MeteringClient(HttpClient(management_url, name="Management")) for _ in range(2)]
    meter = Meter(Management(clients[0], clients[1], signer, org="ttd", app="permit"))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with meter.running():
            await meter.following.known()
            yield

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    app = Starlette(
        routes=[Route("/{path:path}", answer)], lifespan=lifespan, middleware=[Middleware(Metering, meter=meter)]
    )
    await serve(app, port=port)


if __name__ == "__main__":
    run(main)
