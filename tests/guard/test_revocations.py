"""Ended sessions: learnt by polling, forgotten when their tokens are over, kept while authentication is away."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from havn.clients.authentication import AuthenticationClient
from havn.guard.revocations import RevocationFeed
from havn.kit.http import HttpClient
from havn.kit.problem import Problem


class Authentication:
    def __init__(self, clock) -> None:
        self.clock = clock
        self.ended: list[tuple[int, str]] = []
        self.away = False
        self.asked: list[int] = []
        self.news = asyncio.Event()

    def end(self, sid: str) -> None:
        self.ended.append((len(self.ended) + 1, sid))
        self.news.set()

    async def revocations(self, request: Any) -> JSONResponse:
        after = int(request.query_params["after"])
        self.asked.append(after)
        if self.away:
            return JSONResponse({}, 503)
        if int(request.query_params["wait"]) and len(self.ended) <= after:
            self.news.clear()
            await self.news.wait()
        until = (self.clock() + timedelta(minutes=30)).isoformat()
        return JSONResponse(
            {
                "next": len(self.ended),
                "revoked": [{"sid": sid, "until": until} for number, sid in self.ended if number > after],
            }
        )


@pytest.fixture
async def authentication(clock):
    return Authentication(clock)


@pytest.fixture
async def feed(authentication, clock):
    app = Starlette(routes=[Route("/authentication/api/v1/revocations", authentication.revocations)])
    http = HttpClient("http://platform", name="Authentication", transport=httpx2.ASGITransport(app=app))
    yield RevocationFeed(AuthenticationClient(http), clock=clock, retry_seconds=0)
    await http.close()


async def test_an_ended_session_is_known_after_the_poll_and_forgotten_when_over(feed, authentication, clock) -> None:
    authentication.end("a")
    await feed.poll(0)
    assert feed.revoked("a")
    assert not feed.revoked("b")
    clock.forward(3600)
    authentication.end("b")
    await feed.poll(0)
    assert not feed.revoked("a")
    assert feed.revoked("b")
    assert authentication.asked == [0, 1]


async def test_what_is_known_stays_known_while_authentication_is_away(feed, authentication) -> None:
    authentication.end("a")
    await feed.poll(0)
    authentication.away = True
    with pytest.raises(Problem):
        await feed.poll(0)
    assert feed.revoked("a")


async def test_a_restored_authentication_is_read_from_the_beginning(feed, authentication) -> None:
    for sid in ("a", "b"):
        authentication.end(sid)
    await feed.poll(0)
    authentication.ended = [(1, "c")]
    await feed.poll(0)
    await feed.poll(0)
    assert feed.revoked("c")


async def test_in_the_background_news_arrive_by_themselves(feed, authentication) -> None:
    async with asyncio.timeout(5), feed.running():
        while not authentication.asked:  # noqa: ASYNC110
            await asyncio.sleep(0)
        authentication.end("a")
        while not feed.revoked("a"):  # noqa: ASYNC110
            await asyncio.sleep(0)
