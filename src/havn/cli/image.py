"""`havn image`: base images without a container engine, and apps moved to another base."""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import msgspec
from cyclopts import App

from havn.cli.output import Failure, JsonOption, say, write, write_json
from havn.cli.platform import StateOption, state_folder

if TYPE_CHECKING:
    from havn.deploy.image.base import Tools
    from havn.deploy.registry.remote import RemoteRegistry
    from havn.kit.http import HttpClient

app = App(name="image", help="Make base images without a container engine, and put apps on them.")
app.command(
    "havn.cli.image_app:image_app",
    name="app",
    help="Put an app's release on a base image, in a registry: what charts/app takes when it is installed by hand.\n\n"
    "The same release and base give the same digest. Credentials of a registry are read from HAVN_REGISTRY_USER and "
    "HAVN_REGISTRY_PASSWORD. A deployment by a control plane does this by itself.",
)
app.command(
    "havn.cli.image_roll:roll",
    name="roll",
    help="Put running apps on another base image in waves, releases unchanged; stop after a wave with a failure.\n\n"
    "Run it again to go on: apps that are on the image already are left alone. The first wave is a single app.",
)

_REFERENCE = re.compile(r"(?P<place>.+?)(?:@(?P<digest>sha256:[0-9a-f]{64}))?")
_CACHE = "~/.cache/havn/images"
_SECONDS = 120


class Reference(msgspec.Struct, frozen=True):
    """A repository of a registry, and perhaps one image in it: `[http://]HOST[:PORT]/REPOSITORY[@DIGEST]`."""

    origin: str
    repository: str
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Raises `Failure`."""
        match = _REFERENCE.fullmatch(text)
        place = match["place"] if match else ""
        # Plain HTTP only where it is asked for by name.
        parts = urlsplit(place if "://" in place else f"https://{place}")
        if match is None or parts.scheme not in ("http", "https") or not parts.netloc or not parts.path.strip("/"):
            raise Failure(f"{text!r} names no repository: write HOST/REPOSITORY, or HOST/REPOSITORY@sha256:… .")
        return cls(f"{parts.scheme}://{parts.netloc}", parts.path.strip("/"), match["digest"])

    @property
    def name(self) -> str:
        """As Kubernetes and Helm take it."""
        return f"{urlsplit(self.origin).netloc}/{self.repository}"


@app.command
def build(
    kind: Literal["runtime", "platform"],
    /,
    *,
    base: str | None = None,
    push: str | None = None,
    tag: str | None = None,
    helm: Path | None = None,
    charts: Path | None = None,
    out: Path | None = None,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Make a base image: `runtime` for apps, `platform` for what charts/platform runs. The same parts give one digest.

    Credentials of a registry are read from HAVN_REGISTRY_USER and HAVN_REGISTRY_PASSWORD.

    Parameters
    ----------
    kind
        Which image.
    base
        HOST/REPOSITORY@sha256:… of an image whose /usr/bin/python3 is to be used, instead of Debian's packages.
    push
        HOST/REPOSITORY to send it to; http://HOST/REPOSITORY for a registry without TLS. Only what is missing there
        is sent.
    tag
        A tag for it, besides its digest.
    helm
        For `platform`: the Helm program, linked statically (default: HAVN_HELM, else the toolchain of this checkout).
    charts
        For `platform`: the folder of our charts (default: HAVN_CHARTS, else charts/ of this checkout).
    out
        Folder of OCI image layouts to keep it in (default: images/ in the state folder).
    json_
        Write digest and sizes as JSON.
    """
    from havn.deploy.registry import RegistryError
    from havn.deploy.release.model import ReleaseError

    target = None if push is None else Reference.parse(push)
    on = None if base is None else Reference.parse(base)
    if on is not None and on.digest is None:
        raise Failure(f"{base} must end with a digest, @sha256:…, so that the image is the same tomorrow.")
    folder = out or state_folder(state) / "images"
    tools = _tools(helm, charts) if kind == "platform" else None
    began = time.perf_counter()
    try:
        made = asyncio.run(_build(kind, on, tools, folder, target, tag))
    except (ReleaseError, RegistryError) as error:
        raise Failure(str(error)) from None
    if json_:
        write_json(made)
        return
    size = made.size / 1e6
    sent = "" if made.sent is None else f", {made.sent / 1e6:.1f} MB of it sent"
    say(f"Made the {kind} image in {time.perf_counter() - began:.1f} s: {size:.1f} MB{sent}.")
    write(made.digest if target is None else f"{target.name}@{made.digest}")


class _Made(msgspec.Struct, frozen=True, omit_defaults=True):
    digest: str
    size: int
    repository: str
    sent: int | None = None


async def _build(
    kind: Literal["runtime", "platform"],
    on: Reference | None,
    tools: Tools | None,
    folder: Path,
    target: Reference | None,
    tag: str | None,
) -> _Made:
    from havn.deploy.image import base
    from havn.deploy.image.given import Given
    from havn.deploy.image.transfer import Place, copy
    from havn.deploy.registry.layout import LayoutRegistry

    local = LayoutRegistry(folder)
    repository = f"havn/{kind}"
    cache = Path(os.environ.get("HAVN_IMAGE_CACHE") or _CACHE).expanduser()
    clients: list[HttpClient] = []
    try:
        given = None
        if on is not None and on.digest is not None:
            given = Given(Place(remote(on, clients), on.repository), on.digest)
        made = await base.build(
            kind, registry=local, repository=repository, cache=cache, tag=tag, on=given, tools=tools
        )
        _, manifest = await local.manifest(repository, made.digest)
        size = sum(part.size for part in (*manifest.layers, manifest.config))
        if target is None:
            return _Made(made.digest, size, str(folder / repository))
        say(f"Sending to {target.name} …")
        place = Place(remote(target, clients), target.repository)
        sent = await copy(Place(local, repository), made.digest, place, tag=tag)
        return _Made(made.digest, size, target.name, sent)
    finally:
        for client in clients:
            await client.close()


def remote(reference: Reference, clients: list[HttpClient]) -> RemoteRegistry:
    """The registry that a reference names; whoever asks closes what is added to `clients`."""
    from havn.deploy.registry.remote import Credentials, RemoteRegistry
    from havn.kit.http import HttpClient

    client = HttpClient(reference.origin, name="The registry", timeout=_SECONDS)
    clients.append(client)
    user, password = os.environ.get("HAVN_REGISTRY_USER"), os.environ.get("HAVN_REGISTRY_PASSWORD")
    return RemoteRegistry(client, credentials=Credentials(user, password or "") if user else None)


def _tools(helm: Path | None, charts: Path | None) -> Tools:
    from havn.deploy.image.base import Tools

    checkout = Path(__file__).resolve().parents[3]
    helm = helm or _named("HAVN_HELM")
    if helm is None and (checkout / "toolchain" / "go.mod").exists():
        from havn.local.kubernetes import Toolchain
        from havn.local.kubernetes.toolchain import ToolchainError

        try:
            helm = Toolchain.ensure(checkout / "toolchain", say=say).program("helm")
        except ToolchainError as error:
            raise Failure(str(error)) from None
    if helm is None:
        raise Failure("The platform image holds Helm: say where that program is, with --helm.")
    charts = charts or _named("HAVN_CHARTS") or checkout / "charts"
    if not charts.is_dir():
        raise Failure("The platform image holds our charts: say where they are, with --charts.")
    return Tools(helm, charts)


def _named(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None
