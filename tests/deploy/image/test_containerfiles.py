"""images/*/Containerfile says what `havn image build` does, step by step."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from havn.deploy.image import base, contents, debian

ROOT = Path(__file__).resolve().parents[3]
KINDS = ("runtime", "platform")


def steps(kind: str) -> list[tuple[str, str]]:
    """The instructions of the last stage, each with its arguments, lines joined."""
    text = (ROOT / "images" / kind / "Containerfile").read_text()
    text = re.sub(r"(?m)^#.*\n", "", text).replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    last = max(number for number, line in enumerate(lines) if line[0] == "FROM")
    return [(name, " ".join(rest.split())) for name, rest in lines[last:]]


def lock() -> Any:
    spec = importlib.util.spec_from_file_location("images_lock", ROOT / "images" / "lock.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", KINDS)
def test_a_container_is_started_in_the_same_way(kind):
    said = steps(kind)
    wanted = base.image_settings(kind)
    assert tuple(rest for name, rest in said if name == "ENV") == wanted.env
    assert dict(rest.split("=", 1) for name, rest in said if name == "LABEL") == wanted.labels
    assert [rest for name, rest in said if name == "USER"] == [wanted.user]
    assert [rest for name, rest in said if name == "WORKDIR"] == [wanted.working_dir]
    assert {rest: {} for name, rest in said if name == "EXPOSE"} == wanted.exposed_ports
    assert [tuple(json.loads(rest)) for name, rest in said if name == "ENTRYPOINT"] == [wanted.entrypoint]


@pytest.mark.parametrize("kind", KINDS)
def test_debians_packages_are_the_same(kind):
    run = next(rest for name, rest in steps(kind) if name == "RUN")
    found = re.search(r"apt-get install --yes --no-install-recommends ([^&]+)", run)
    assert found is not None
    assert tuple(found[1].split()) == debian.PACKAGES


@pytest.mark.parametrize("kind", KINDS)
def test_files_go_to_the_same_places(kind):
    copied = [rest.split()[-2:] for name, rest in steps(kind) if name == "COPY"]
    wanted = [["/site", f"/{contents.SITE}"]]
    if kind == "platform":
        wanted += [["/helm", f"/{base.HELM}/helm"], ["charts", f"/{base.CHARTS}"]]
    assert copied == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_python_packages_are_those_of_the_lock_file_with_hashes(kind):
    assert (ROOT / "images" / kind / "requirements.txt").read_text() == lock().requirements(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_the_lock_files_packages_are_those_that_are_installed(kind):
    text = (ROOT / "images" / kind / "requirements.txt").read_text()
    locked = dict(re.findall(r"(?m)^([a-z0-9.-]+)==(\S+)", text))
    installed = {
        re.sub(r"[-_.]+", "-", found.name).lower(): found.version for found in contents.packages(lock().ROOTS[kind])
    }
    assert locked == installed


@pytest.mark.parametrize("kind", KINDS)
def test_no_foreign_image_is_named_without_its_digest(kind):
    text = (ROOT / "images" / kind / "Containerfile").read_text()
    assert set(re.findall(r"(?m)^FROM (\S+)", text)) <= {"${BASE}", "${GO}"}
    assert not re.search(r"(?m)^ARG (BASE|GO)=", text)
