"""An app's own packages, from wheels made here: pip finds them through its own configuration."""

import asyncio
import base64
import hashlib
import json
import re
import subprocess
import sys
import zipfile

import pytest

from havn.deploy.release.dependencies import resolve, runtime_packages
from havn.deploy.release.model import ReleaseError
from havn.deploy.release.open import DEPENDENCIES, unpack


def wheel(folder, name="tall-ord", version="1.2", files=None, tag="py3-none-any"):
    """A wheel as build tools make it."""
    package = name.replace("-", "_")
    content = {f"{package}/__init__.py": "SVAR = 42\n"} if files is None else files
    info = f"{package}-{version}.dist-info"
    pure = "true" if tag.endswith("any") else "false"
    content = {
        **content,
        f"{info}/METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense-Expression: MIT\n\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {pure}\nTag: {tag}\n",
    }
    path = folder / f"{package}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        record = ""
        for file, text in content.items():
            archive.writestr(file, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{file},sha256={digest},{len(text.encode())}\n"
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return path


def lock(app_folder, monkeypatch, *paths):
    """requirements.txt for these wheels, and pip told where they are."""
    lines = []
    for path in paths:
        name, version, *_ = path.name.split("-")
        lines.append(f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(paths[0].parent))
    (app_folder / "requirements.txt").write_text("\n".join(lines) + "\n")


def test_locked_wheels_come_into_the_release_and_are_fetched_once(make, app_folder, registry, tmp_path, monkeypatch):
    path = wheel(tmp_path)
    lock(app_folder, monkeypatch, path)
    first = make(app_folder)
    # From the cache: the wheel is no longer to be had.
    path.unlink()
    assert make(app_folder).release.digest == first.release.digest
    asyncio.run(unpack(registry, "ttd/first", first.release.digest, tmp_path / "out"))
    assert (tmp_path / "out" / DEPENDENCIES / "tall_ord" / "__init__.py").read_text() == "SVAR = 42\n"
    assert not list((tmp_path / "out" / DEPENDENCIES).glob("*.dist-info/RECORD"))


def test_the_layer_is_the_same_however_the_wheel_was_fetched(make, app_folder, tmp_path, monkeypatch):
    lock(app_folder, monkeypatch, wheel(tmp_path))
    first = make(app_folder)
    assert make(app_folder, cache=tmp_path / "another").release.digest == first.release.digest


def test_a_wheel_with_other_bytes_than_locked_is_refused(make, app_folder, tmp_path, monkeypatch):
    lock(app_folder, monkeypatch, wheel(tmp_path))
    wheel(tmp_path, files={"tall_ord/__init__.py": "SVAR = 43\n"})
    with pytest.raises(ReleaseError, match="hash"):
        make(app_folder)


def test_a_wheel_that_reaches_outside_itself_is_refused(app_folder, tmp_path, monkeypatch):
    lock(app_folder, monkeypatch, wheel(tmp_path, files={"../evil.py": "x"}))
    with pytest.raises(ReleaseError, match="outside of itself"):
        resolve(app_folder / "requirements.txt")


def test_a_package_of_the_runtime_in_another_version_is_refused(app_folder, tmp_path, monkeypatch):
    lock(app_folder, monkeypatch, wheel(tmp_path, name="starlette", version="0.1"))
    with pytest.raises(ReleaseError, match=r"starlette 0\.1 cannot be used: the runtime itself has"):
        resolve(app_folder / "requirements.txt")


def test_what_is_in_the_release_is_in_the_bill(app_folder, tmp_path, monkeypatch):
    path = wheel(tmp_path)
    lock(app_folder, monkeypatch, path)
    found = resolve(app_folder / "requirements.txt")
    assert [(c.name, c.version, c.licence) for c in found.components] == [("tall-ord", "1.2", "MIT")]
    assert found.components[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.python.abi == "none"


def test_everything_that_an_app_process_imports_is_known_to_be_the_runtimes():
    code = (
        "import sys, json, havn.runtime.app, havn.runtime.pages, havn.runtime.receipt, importlib.metadata as m;"
        "tops = {name.partition('.')[0] for name in sys.modules}; owners = m.packages_distributions();"
        "print(json.dumps(sorted({d for t in tops for d in owners.get(t, [])})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {re.sub(r"[-_.]+", "-", name).lower() for name in json.loads(done.stdout)}
    # Libraries take these up when they happen to be there, whatever their version.
    optional = {"rich", "pygments", "attrs", "greenlet"}
    assert imported - runtime_packages() - optional <= {"havn", "setuptools", "pip"}
