"""A small app, a registry folder, and an org's key."""

from __future__ import annotations

import asyncio
import importlib.resources
from pathlib import Path

import pytest

from havn.appfolder.ids import AppId
from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.release.build import Built, build
from havn.deploy.release.signing import SigningKey

ID = AppId("ttd", "first")


@pytest.fixture
def app_folder(tmp_path: Path) -> Path:
    """What `havn new` makes."""
    folder = tmp_path / "app"
    template = Path(str(importlib.resources.files("havn.cli") / "template" / "App"))
    for path in sorted(template.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            target = folder / path.relative_to(template)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(path.read_text().replace("[ORG]", "ttd").replace("[APP]", "first"))
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
