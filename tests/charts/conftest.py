"""Rendering charts with the Helm of the toolchain."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from havn.local.kubernetes import Toolchain

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "sha256:" + "0123456789abcdef" * 4

Render = Callable[..., list[dict[str, Any]]]


class RenderError(Exception):
    """Helm refused; the message is its standard error."""


@pytest.fixture(scope="session")
def helm() -> Path:
    return Toolchain.ensure(ROOT / "toolchain", say=print).program("helm")


@pytest.fixture
def render_app(helm, tmp_path) -> Render:
    """`render_app(path="value", …)`: the objects of charts/app with dotted values changed from a plain app's."""
    base = {
        "org": "ttd",
        "app": "first",
        "domain": "tt02.example.no",
        "environment": "tt02",
        "image": {"repository": "registry.example.no/ttd/first", "digest": DIGEST},
    }

    def render(changes: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        values = msgspec.json.decode(msgspec.json.encode(base))
        for path, value in (changes or {}).items():
            place = values
            *parents, last = path.split(".")
            for name in parents:
                place = place.setdefault(name, {})
            place[last] = value
        source = tmp_path / "values.json"
        source.write_bytes(msgspec.json.encode(values))
        command = [str(helm), "template", "first", str(ROOT / "charts" / "app"), "-f", str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RenderError(done.stderr)
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    render.error = RenderError  # type: ignore[attr-defined]
    return render
