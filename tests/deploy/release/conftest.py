"""A small app, a registry folder, and an org's key."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from havn.appfolder.ids import AppId
from havn.cli.new import write_app
from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.release.build import Built, build
from havn.deploy.release.signing import SigningKey

ID = AppId("ttd", "first")


@pytest.fixture
def app_folder(tmp_path: Path) -> Path:
    """What `havn new` makes."""
    folder = tmp_path / "app"
    write_app(folder, ID, title="First")
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> LayoutRegistry:
    return LayoutRegistry(tmp_path / "registry")


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey(SigningKey.generate())


@pytest.fixture
def make(registry, key, tmp_path):
    """`make(folder)`: build a release."""

    def run(folder: Path, **options) -> Built:
        used = {"registry": registry, "key": key, "cache": tmp_path / "cache"} | options
        return asyncio.run(build(folder, ID, **used))

    return run
