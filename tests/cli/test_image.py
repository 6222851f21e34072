"""`havn image build`: what it is told, and what it refuses."""

from __future__ import annotations

import pytest

from havn.cli.image import Reference, build
from havn.cli.image_app import image_app
from havn.cli.output import Failure

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "origin", "repository", "digest"),
    [
        ("registry.example.no/havn/runtime", "https://registry.example.no", "havn/runtime", None),
        ("http://127.0.0.1:5000/x", "http://127.0.0.1:5000", "x", None),
        (f"registry.example.no:5000/a/b@{DIGEST}", "https://registry.example.no:5000", "a/b", DIGEST),
    ],
)
def test_a_repository_is_named_with_its_registry(text, origin, repository, digest):
    assert Reference.parse(text) == Reference(origin, repository, digest)


def test_a_reference_is_written_as_kubernetes_takes_it():
    assert Reference.parse("http://127.0.0.1:5000/havn/runtime").name == "127.0.0.1:5000/havn/runtime"


@pytest.mark.parametrize("text", ["", "havn", "ftp://x/y", "https://registry.example.no"])
def test_what_names_no_repository_is_refused(text):
    with pytest.raises(Failure, match="names no repository"):
        Reference.parse(text)


def test_a_base_without_a_digest_is_refused(tmp_path):
    with pytest.raises(Failure, match="must end with a digest"):
        build("runtime", base="registry.example.no/debian", out=tmp_path)


def test_an_apps_image_is_made_of_a_base_with_a_digest_and_gets_one_of_its_own(tmp_path):
    with pytest.raises(Failure, match="must end with a digest"):
        image_app("ttd/first", base="registry.example.no/havn/runtime", push="registry.example.no/first")
    with pytest.raises(Failure, match="without a digest"):
        image_app(
            "ttd/first",
            base=f"registry.example.no/havn/runtime@{DIGEST}",
            push=f"registry.example.no/first@{DIGEST}",
        )
    with pytest.raises(Failure, match="There is no release of ttd/first yet"):
        image_app(
            "ttd/first",
            base=f"registry.example.no/havn/runtime@{DIGEST}",
            push="registry.example.no/first",
            state=tmp_path,
        )


def test_a_tool_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Failure, match="our charts"):
        build("platform", helm=tmp_path / "helm", charts=tmp_path / "charts", out=tmp_path)


def test_a_registry_that_is_away_ends_in_a_sentence(tmp_path):
    with pytest.raises(Failure, match="cannot be reached"):
        build("runtime", base=f"http://127.0.0.1:9/debian@{DIGEST}", out=tmp_path)
