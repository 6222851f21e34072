"""What answers where no app is, behind another ingress."""

from __future__ import annotations

import httpx2
import pytest

from havn.gateway.ingress.unknown import UnknownSettings, build


@pytest.fixture
def get():
    app = build(UnknownSettings(apps_host="ttd.apps.example.no:8443", platform_host="platform.example.no"))

    async def run(host: str, path: str, **headers: str) -> httpx2.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://x") as client:
            return await client.get(path, headers={"host": host, **headers})

    return run


async def test_a_person_gets_a_page_in_their_language(get):
    answer = await get("ttd.apps.example.no", "/x", accept="text/html", **{"accept-language": "en"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no service at this address on ttd.apps.example.no" in answer.text


async def test_a_program_gets_a_problem_that_tells_host_and_app_apart(get):
    assert (await get("ttd.apps.example.no", "/health")).json()["code"] == "unknown_app"
    assert (await get("nav.apps.example.no", "/first")).json()["code"] == "unknown_host"
    assert (await get("platform.example.no", "/storages/x")).json()["code"] == "unknown_address"
    assert (await get("nowhere.example.no", "/health")).json()["code"] == "unknown_host"


async def test_a_hostile_host_is_shown_as_text(get):
    answer = await get("<script>", "/", accept="text/html")
    assert "<script>" not in answer.text


@pytest.mark.parametrize("address", ["10.0.0.1:5005", "10.0.0.1", "[fd00::1]:5005", "[::1]"])
async def test_a_probe_by_address_finds_it_healthy(get, address):
    assert (await get(address, "/health")).status_code == 200
    assert (await get(address, "/healthy")).status_code == 404
