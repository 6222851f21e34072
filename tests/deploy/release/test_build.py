"""Making releases: the same bytes for the same input, wherever and whenever."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.release.build import commit_of, licence_of
from havn.deploy.release.model import SBOM, ReleaseError, RuntimeRange, runtime_range
from havn.deploy.release.open import find


def test_the_same_files_give_the_same_digest_at_another_time_and_place(make, app_folder, tmp_path):
    first = make(app_folder)
    elsewhere = tmp_path / "somewhere" / "else"
    elsewhere.mkdir(parents=True)
    # Copied in another order, with other times and modes.
    for path in sorted(app_folder.rglob("*"), reverse=True):
        if path.is_file():
            target = elsewhere / path.relative_to(app_folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            os.utime(target, (1_000_000_000, 1_000_000_000))
            target.chmod(0o600)
    again = make(elsewhere, registry=LayoutRegistry(tmp_path / "other"), cache=tmp_path / "cache2")
    assert again.release.digest == first.release.digest
    assert not again.existed


def test_another_process_with_another_locale_and_hash_seed_makes_the_same_bytes(make, app_folder, tmp_path):
    expected = make(app_folder).release.digest
    script = (
        "import asyncio, sys; from pathlib import Path; from havn.appfolder.ids import AppId;"
        "from havn.deploy.registry.layout import LayoutRegistry; from havn.deploy.release.build import build;"
        "from havn.deploy.release.signing import SigningKey; out = Path(sys.argv[2]);"
        "b = asyncio.run(build(Path(sys.argv[1]), AppId('ttd', 'first'), registry=LayoutRegistry(out / 'r'),"
        " key=SigningKey(SigningKey.generate()), cache=out / 'c')); print(b.release.digest)"
    )
    environ = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(app_folder), str(tmp_path / "p")],
        capture_output=True, text=True, check=True, env=environ, umask=0o077,
    )  # fmt: skip
    assert done.stdout.strip() == expected


def test_building_again_adds_nothing_to_the_registry(make, app_folder, tmp_path):
    make(app_folder)
    before = sorted((path, path.stat().st_size) for path in (tmp_path / "registry").rglob("*"))
    assert make(app_folder).existed
    assert sorted((path, path.stat().st_size) for path in (tmp_path / "registry").rglob("*")) == before


def test_one_changed_letter_gives_another_digest(make, app_folder):
    first = make(app_folder).release.digest
    text = app_folder / "config" / "texts" / "resource.nb.json"
    text.write_text(text.read_text().replace("Navn", "Namn"))
    assert make(app_folder).release.digest != first


def test_files_that_are_no_part_of_an_app_are_left_out(make, app_folder):
    first = make(app_folder).release.digest
    (app_folder / ".git").mkdir()
    (app_folder / ".git" / "config").write_text("x")
    (app_folder / "logic" / "__pycache__").mkdir()
    (app_folder / "logic" / "__pycache__" / "hooks.pyc").write_bytes(b"x")
    (app_folder / ".env").write_text("SECRET=1")
    (app_folder / "Program.cs").write_text("class X {}")
    (app_folder / "obj").mkdir()
    (app_folder / "obj" / "x.json").write_text("{}")
    assert make(app_folder).release.digest == first


def test_outbound_rules_beside_the_app_go_with_the_release(make, app_folder):
    plain = make(app_folder)
    app = app_folder.rename(app_folder.with_name("App"))
    rules = app.parent / "deployment"
    rules.mkdir()
    (rules / "values.yaml").write_text("a: 1\n")
    assert make(app).release.digest == plain.release.digest
    (rules / "egress.yaml").write_text("mode: enforce\n")
    assert make(app).release.digest != plain.release.digest


def test_a_link_is_refused(make, app_folder):
    (app_folder / "options").mkdir()
    (app_folder / "options" / "passwords.json").symlink_to("/etc/passwd")
    with pytest.raises(ReleaseError, match=r"options/passwords\.json is a link"):
        make(app_folder)


async def test_the_labels_tell_commit_builder_and_licence(app_folder, registry, key, tmp_path):
    from havn.appfolder.ids import AppId
    from havn.deploy.release.build import build

    (app_folder.parent / "LICENSE").write_text("                 Apache License\n   Version 2.0, January 2004\n")
    built = await build(
        app_folder, AppId("ttd", "first"), registry=registry, key=key, cache=tmp_path / "c", commit="a" * 40
    )
    labels = (await find(registry, "ttd/first", built.release.digest)).config.labels
    assert labels["org.opencontainers.image.revision"] == "a" * 40
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["havn.builder"].startswith("havn/")


async def test_a_bill_of_materials_is_attached(app_folder, registry, key, tmp_path):
    from havn.appfolder.ids import AppId
    from havn.deploy.release.build import build

    built = await build(app_folder, AppId("ttd", "first"), registry=registry, key=key, cache=tmp_path / "c")
    [(_, manifest)] = await registry.referrers("ttd/first", built.release.digest, SBOM)
    bill = json.loads(await registry.read("ttd/first", manifest.layers[0]))
    assert (bill["bomFormat"], bill["specVersion"], bill["components"]) == ("CycloneDX", "1.6", [])
    assert bill["metadata"]["component"]["version"] == built.release.digest


def test_requirements_without_hashes_are_refused_with_the_way_out(make, app_folder):
    (app_folder / "requirements.txt").write_text("idna==3.10\n")
    with pytest.raises(ReleaseError, match="--generate-hashes"):
        make(app_folder)


def test_a_comment_alone_needs_no_resolving(make, app_folder):
    (app_folder / "requirements.txt").write_text("# none yet\n\n")
    assert make(app_folder).release.config.python.abi == "none"


def test_the_commit_is_that_of_a_clean_checkout_only(app_folder):
    git = ["git", "-C", str(app_folder), "-c", "user.name=x", "-c", "user.email=x@example.no"]
    assert commit_of(app_folder) is None
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
    assert len(commit_of(app_folder) or "") == 40
    (app_folder / "more.json").write_text("{}")
    assert commit_of(app_folder) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SPDX-License-Identifier: EUPL-1.2\n", "EUPL-1.2"),
        ("MIT License\n\nCopyright", "MIT"),
        ("All rights reserved", None),
    ],
)
def test_the_licence_is_read_from_its_file(app_folder, text, expected):
    (app_folder / "LICENSE").write_text(text)
    assert licence_of(app_folder) == expected


def test_a_release_runs_on_versions_until_the_next_that_may_break_it():
    assert runtime_range("0.4.2") == RuntimeRange(minimum="0.4.2", below="0.5.0")
    assert runtime_range("2.1.0") == RuntimeRange(minimum="2.1.0", below="3.0.0")
    assert runtime_range("0.4.2").holds("0.4.10")
    assert not runtime_range("0.4.2").holds("0.4.1")
    assert not runtime_range("0.4.2").holds("0.5.0")
