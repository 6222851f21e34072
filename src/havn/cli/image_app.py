"""`havn image app`: the image of an app, for who installs `charts/app` with Helm and no control plane."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from havn.cli.deploy import chosen_release
from havn.cli.image import Reference, remote
from havn.cli.output import Failure, JsonOption, say, write, write_json
from havn.cli.platform import StateOption, state_folder

if TYPE_CHECKING:
    from havn.kit.http import HttpClient


class _Made(msgspec.Struct, frozen=True):
    repository: str
    digest: str
    release: str
    base: str


def image_app(
    what: str,
    /,
    *,
    base: str,
    push: str,
    release: Annotated[str | None, Parameter(name=["--release", "-r"])] = None,
    path: Annotated[Path | None, Parameter(name="--path")] = None,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Put an app's release on a base image, in a registry: what `charts/app` takes when it is installed by hand.

    The same release and base give the same digest. Credentials of a registry are read from HAVN_REGISTRY_USER and
    HAVN_REGISTRY_PASSWORD. A deployment by a control plane does this by itself.

    Parameters
    ----------
    what
        ORG/APP, or an app folder, which is built first.
    base
        HOST/REPOSITORY@sha256:… of the runtime image, as `havn image build runtime --push` printed it.
    push
        HOST/REPOSITORY to send it to; http://HOST/REPOSITORY for a registry without TLS. Only what is missing there
        is sent.
    release
        Digest of the release; without it and without --path, the newest release of ORG/APP in the state folder.
    path
        App folder to build for ORG/APP.
    json_
        Write repository and digests as JSON.
    """
    from havn.deploy.registry import RegistryError
    from havn.deploy.release.model import ReleaseError

    under, target = Reference.parse(base), Reference.parse(push)
    if under.digest is None:
        raise Failure(f"{base} must end with a digest, @sha256:…, so that the image is the same tomorrow.")
    if target.digest is not None:
        raise Failure(f"{push} must end without a digest: which one it gets is what this command prints.")
    org, app, digest = chosen_release(what, release, path, None, state)
    try:
        made = asyncio.run(_compose(f"{org}/{app}", digest, under, under.digest, target, state_folder(state)))
    except (ReleaseError, RegistryError) as error:
        raise Failure(str(error)) from None
    if json_:
        write_json(made)
        return
    say(f"Put release {digest.removeprefix('sha256:')[:12]} of {org}/{app} on {under.name}.")
    write(f"{made.repository}@{made.digest}")


async def _compose(repository: str, digest: str, under: Reference, base: str, target: Reference, folder: Path) -> _Made:
    from havn.deploy.image.compose import compose
    from havn.deploy.image.transfer import Place
    from havn.deploy.registry.layout import LayoutRegistry
    from havn.deploy.release.open import find
    from havn.local.state import State

    releases = LayoutRegistry(State(folder).registry)
    clients: list[HttpClient] = []
    try:
        found = await find(releases, repository, digest)
        made = await compose(
            Place(remote(under, clients), under.repository),
            base,
            found,
            Place(releases, repository),
            Place(remote(target, clients), target.repository),
        )
    finally:
        for client in clients:
            await client.close()
    return _Made(target.name, made.digest, digest, base)
