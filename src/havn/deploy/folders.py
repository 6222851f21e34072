"""Releases unpacked to be read: each in a folder named by its digest, made once and shared."""

from __future__ import annotations

import asyncio
from pathlib import Path

from havn.appfolder import AppFolder
from havn.appfolder.ids import AppId
from havn.deploy.registry import Registry
from havn.deploy.release.open import APP, unpack


class Folders:
    """App folders by release."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self._registry = registry
        self._folder = folder

    def place(self, release: str) -> Path:
        """Where a release lies once `read` has returned."""
        return self._folder / release.removeprefix("sha256:")

    async def read(self, org: str, app: str, release: str) -> AppFolder:
        """The app folder of a release. Raises `ReleaseError`, `RegistryError`, `AppFolderError`."""
        place = self.place(release)
        await unpack(self._registry, f"{org}/{app}", release, place)
        return await asyncio.to_thread(lambda: AppFolder.read(place / APP, as_=AppId(org, app)))
