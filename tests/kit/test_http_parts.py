"""One client for parts that have addresses of their own."""

from __future__ import annotations

import httpx2
import pytest

from havn.kit.http import HttpClient


class Seen(httpx2.AsyncBaseTransport):
    """Keeps the address and the Host of every request."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See `httpx2.AsyncBaseTransport`."""
        self.requests.append((str(request.url), request.headers["host"]))
        return httpx2.Response(200, content=b"")


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("/storage/api/v1/instances", "http://tt02-storage/storage/api/v1/instances"),
        ("/authorization?x=1", "http://tt02-authorization/authorization?x=1"),
        ("http://elsewhere.example.no/x", "http://elsewhere.example.no/x"),
    ],
)
async def test_a_call_goes_to_the_part_that_its_path_names_under_the_platforms_name(path, address):
    seen = Seen()
    client = HttpClient("http://tt02-{api}", name="The platform", host="platform.example.no", transport=seen)
    await client.request("GET", path)
    async with client.stream("GET", path):
        pass
    assert seen.requests == [(address, "platform.example.no")] * 2
    await client.close()


async def test_one_address_for_all_parts_stays_what_it_was():
    seen = Seen()
    client = HttpClient("http://127.0.0.1:8010/", name="The platform", transport=seen)
    await client.request("GET", "/storage/api/v1/instances")
    assert seen.requests[0][0] == "http://127.0.0.1:8010/storage/api/v1/instances"
    await client.close()
