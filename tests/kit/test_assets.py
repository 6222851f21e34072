"""The assets' addresses, caching and content encoding."""

from __future__ import annotations

import gzip
from pathlib import Path

import httpx2
import msgspec
import pytest

from havn.kit import assets
from havn.kit.web import create_app


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("GZIP", "gzip"),
        ("br;q=0.2, gzip;q=0.8", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("br ; q=0.5", "br"),
        ("*", "br"),
        ("*;q=0.5, br;q=0", "gzip"),
        ("identity, br;q=0.5", "identity"),
        ("identity;q=0, gzip;q=0", "identity"),
        ("", "identity"),
        ("br;q=banana", "identity"),
        ("deflate", "identity"),
    ],
)
def test_the_preferred_encoding_is_chosen(accept: str, chosen: str) -> None:
    assert assets.choose_encoding(accept) == chosen


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    (tmp_path / "manifest.json").write_bytes(
        msgspec.json.encode({"havn.css": assets.Asset("havn.abc.css", "text/css; charset=utf-8", 5, 9)})
    )
    (tmp_path / "havn.abc.css").write_bytes(b"body{}")
    (tmp_path / "havn.abc.css.gz").write_bytes(gzip.compress(b"body{}"))
    (tmp_path / "havn.abc.css.br").write_bytes(b"brotli")
    return tmp_path


def client(folder: Path) -> httpx2.AsyncClient:
    app = create_app(assets.routes(folder), name="test")
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test")


async def test_an_asset_is_cached_for_ever_under_its_hashed_name_only(dist: Path) -> None:
    async with client(dist) as http:
        answer = await http.get("/_assets/havn.abc.css", headers={"accept-encoding": "gzip"})
        assert answer.status_code == 200
        assert answer.text == "body{}"
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["content-type"] == "text/css; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["vary"] == "Accept-Encoding"
        plain = await http.get("/_assets/havn.abc.css", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == b"body{}"
        for name in ("havn.css", "manifest.json", "havn.abc.css.gz", "..%2fmanifest.json"):
            assert (await http.get(f"/_assets/{name}")).status_code == 404, name


async def test_assets_that_are_not_built_say_what_to_run(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        answer = await http.get("/_assets/havn.abc.css")
    assert answer.status_code == 503
    assert "make assets" in answer.json()["detail"]
    with pytest.raises(assets.AssetsNotBuilt, match="run `make assets`"):
        assets.manifest(tmp_path)
