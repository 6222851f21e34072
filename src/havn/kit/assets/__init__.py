"""The front-end assets that `make assets` builds from `frontend/`: their addresses, and serving them.

File names carry a hash of the content, so an answer is good for ever and is cached as such; the compressed forms are
made at build time. Every ASGI application that draws pages mounts `routes()` and writes `url(name, base)` in them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.kit.problem import Problem

DIST = Path(__file__).parent / "dist"
PREFIX = "/_assets"
FOREVER = "public, max-age=31536000, immutable"


class AssetsNotBuilt(Exception):
    """The assets are missing: `make assets` has not run in this checkout."""

    def __init__(self, folder: Path) -> None:
        super().__init__("The front-end assets are not built: run `make assets`.")
        self.folder = folder


class Asset(msgspec.Struct, frozen=True):
    """One built file."""

    file: str
    """Its name with the hash in it."""
    type: str
    """Its media type."""
    size: int
    """Bytes, uncompressed."""
    br: int
    """Bytes with brotli: what a browser loads."""


@functools.cache
def manifest(folder: Path = DIST) -> Mapping[str, Asset]:
    """What was built, by plain name. Raises `AssetsNotBuilt`."""
    try:
        content = (folder / "manifest.json").read_bytes()
    except FileNotFoundError:
        raise AssetsNotBuilt(folder) from None
    return msgspec.json.decode(content, type=dict[str, Asset])


def url(name: str, base: str = "") -> str:
    """The address of asset `name` (such as `havn.css`) below `base`, the path that `routes()` is mounted at.

    Raises `AssetsNotBuilt`, and KeyError for a name that is no asset.
    """
    return f"{base}{PREFIX}/{manifest()[name].file}"


def routes(folder: Path = DIST) -> list[Route]:
    """One route that answers for every asset, with the best content encoding the client takes."""

    async def asset(request: Request) -> Response:
        return _answer(folder, request.path_params["file"], request.headers.get("accept-encoding", ""))

    return [Route(f"{PREFIX}/{{file}}", asset, name="assets")]


def _answer(folder: Path, file: str, accept_encoding: str) -> Response:
    try:
        known = {asset.file: asset for asset in manifest(folder).values()}
    except AssetsNotBuilt as error:
        raise Problem(503, str(error), code="assets_not_built") from None
    asset = known.get(file)
    if asset is None:
        raise Problem(404, "There is no such asset.", code="unknown_asset")
    encoding = choose_encoding(accept_encoding)
    headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
    if encoding != "identity":
        headers["Content-Encoding"] = encoding
    # `media_type` would have a charset added to it a second time.
    headers["Content-Type"] = asset.type
    return Response(_read(folder, file, encoding), headers=headers)


@functools.cache
def _read(folder: Path, file: str, encoding: str) -> bytes:
    suffix = {"br": ".br", "gzip": ".gz", "identity": ""}[encoding]
    return (folder / (file + suffix)).read_bytes()


def choose_encoding(accept: str) -> str:
    """`br`, `gzip` or `identity`: the one an `Accept-Encoding` header prefers (RFC 9110, 12.5.3).

    Among equals the smallest wins. When a header forbids all three, `identity` is given: an answer beats a 406.
    """
    weights: dict[str, float] = {}
    for part in accept.split(","):
        coding, _, parameters = part.strip().lower().partition(";")
        if coding:
            weights[coding.strip()] = _weight(parameters)
    anything = weights.get("*", 0.0)
    candidates = [("br", anything), ("gzip", anything), ("identity", 0.001)]
    best, weight = "identity", 0.0
    for coding, default in candidates:
        wanted = weights.get(coding, default)
        if wanted > weight:
            best, weight = coding, wanted
    return best


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        key, _, value = parameter.strip().partition("=")
        if key.strip() == "q":
            try:
                return max(0.0, min(1.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
