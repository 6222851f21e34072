"""The example apps of a checkout, put into the local environment by `havn up`: built, and deployed when they changed.

An app that somebody has deployed by hand since is left as it is.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from havn.appfolder import AppFolder, AppFolderError
from havn.appfolder.ids import AppId
from havn.deploy.registry import RegistryError
from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.release.build import Built, build
from havn.deploy.release.model import ReleaseError
from havn.deploy.store import Target, Wanted
from havn.kit.clock import system_clock
from havn.local import environment

if TYPE_CHECKING:
    from havn.local.up import LocalPlatform, Report

WHO = "havn up"
_PLACES = (
    Path(__file__).resolve().parents[3] / "examples" / "apps",  # a checkout
    Path(__file__).resolve().parents[1] / "examples",  # an installed wheel
)


async def deploy_examples(platform: LocalPlatform, *, wanted: bool, report: Report) -> None:
    """Deploy the examples that are not there as they are here; return when they, and all apps of before, run."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    if wanted:
        for folder in example_folders():
            try:
                await _deploy(platform, folder)
            except (AppFolderError, ReleaseError, RegistryError) as error:
                report(f"The example {folder.name} is left out: {error}", 0)
    await platform.console.settled()
    report("Apps", loop.time() - began)


def example_folders() -> list[Path]:
    """The folders of the examples, each holding `App/`."""
    for place in _PLACES:
        if place.is_dir():
            return sorted(folder for folder in place.iterdir() if (folder / "App").is_dir())
    return []


async def _deploy(platform: LocalPlatform, folder: Path) -> None:
    built = await asyncio.to_thread(lambda: asyncio.run(_build(platform, folder)))
    release = built.release
    target = Target(environment.NAME, release.org, release.app)
    store = platform.console.store
    history = await store.history(target, limit=1)
    if history and (history[0].requested_by != WHO or history[0].release == release.digest):
        return
    change = Wanted(target=target, kind="deploy", release=release.digest, replicas=1, who=WHO, address="")
    await store.request(change, system_clock())


async def _build(platform: LocalPlatform, folder: Path) -> Built:
    app = AppFolder.read(folder)
    return await build(
        app.root,
        AppId(app.org, app.app),
        registry=LayoutRegistry(platform.state.registry),
        key=platform.keyring.signing_key(app.org),
        cache=platform.state.cache,
    )
