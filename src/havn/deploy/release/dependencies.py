"""An app's own Python dependencies: exactly the wheels that `requirements.txt` names by hash, laid out by us.

`pip` only finds and downloads them (from its cache when it can), so that its configuration for indexes and proxies
holds. Unpacking is ours: the same wheels give the same files, whichever pip fetched them.
"""

from __future__ import annotations

import email.parser
import functools
import hashlib
import importlib.util
import re
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

import msgspec

from havn.deploy.release.model import MAX_FILES, MAX_UNPACKED, Python, ReleaseError

_DATA = re.compile(r"[^/]+\.data/(purelib|platlib)/(.+)")
_OTHER_DATA = re.compile(r"[^/]+\.data/")


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """A package for the bill of materials."""

    name: str
    version: str
    licence: str | None
    sha256: str


class Dependencies(msgspec.Struct, frozen=True):
    """The files to be put on the path, what they are, and what they need of the interpreter."""

    files: dict[str, bytes]
    components: tuple[Component, ...]
    python: Python


def none() -> Dependencies:
    """No dependencies: any interpreter of our version will do."""
    return Dependencies({}, (), Python(version=_version()))


def resolve(requirements: Path) -> Dependencies:
    """Fetch and lay out what `requirements` locks. Raises `ReleaseError`."""
    with tempfile.TemporaryDirectory() as folder:
        wheels = _download(requirements, Path(folder))
        files: dict[str, bytes] = {}
        components = []
        pure = True
        for wheel in wheels:
            laid_out, component, wheel_pure = _lay_out(wheel)
            _refuse_ours(component)
            clashes = sorted(laid_out.keys() & files.keys())
            if any(laid_out[name] != files[name] for name in clashes):
                raise ReleaseError(f"{component.name} and another dependency both bring {clashes[0]}.")
            files |= laid_out
            components.append(component)
            pure = pure and wheel_pure
    if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_UNPACKED:
        raise ReleaseError("The dependencies are larger than a release may be.")
    python = (
        Python(version=_version())
        if pure
        else Python(
            version=_version(),
            abi=f"cp{sys.version_info.major}{sys.version_info.minor}",
            platform=sysconfig.get_platform().replace("-", "_").replace(".", "_"),
        )
    )
    return Dependencies(files, tuple(sorted(components, key=lambda each: each.name)), python)


def cache_key(requirements: bytes) -> str:
    """What the result of `resolve` depends on."""
    where = f"{sys.implementation.cache_tag} {sysconfig.get_platform()}"
    return hashlib.sha256(where.encode() + b"\0" + requirements).hexdigest()


def _download(requirements: Path, folder: Path) -> list[Path]:
    command = [
        *_pip(), "download", "--require-hashes", "--only-binary=:all:", "--no-deps", "--disable-pip-version-check",
        "--quiet", "--no-input", "--dest", str(folder), "--requirement", str(requirements),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = lines[-1] if lines else done.stderr.strip()[-300:] or "pip failed"
        if "hash" in reason.lower():
            reason += " Lock them with `uv pip compile --generate-hashes` or `pip-compile --generate-hashes`."
        raise ReleaseError(f"{requirements.name} could not be resolved: {reason}")
    return sorted(folder.glob("*.whl"))


def _pip() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    # An environment made by uv has no pip, but Python brings a wheel of it, which runs as it is.
    places = [Path("/usr/share/python-wheels")]
    if (spec := importlib.util.find_spec("ensurepip")) is not None and spec.origin is not None:
        places.append(Path(spec.origin).parent / "_bundled")
    for place in places:
        for wheel in sorted(place.glob("pip-*.whl")):
            return [sys.executable, f"{wheel}/pip"]
    raise ReleaseError(
        "Dependencies need pip, which this Python does not have: run `python -m ensurepip` and try again."
    )


def _lay_out(wheel: Path) -> tuple[dict[str, bytes], Component, bool]:
    """A wheel's importable files (scripts and headers are of no use to an app), and its metadata."""
    files: dict[str, bytes] = {}
    total = 0
    metadata = tags = b""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                path = PurePosixPath(info.filename)
                if path.is_absolute() or ".." in path.parts or "\\" in info.filename:
                    raise ReleaseError(f"{wheel.name} holds {info.filename[:100]!r}, outside of itself.")
                total += info.file_size
                if total > MAX_UNPACKED:
                    raise ReleaseError(f"{wheel.name} is larger than a release may be.")
                match = _DATA.fullmatch(info.filename)
                if match is None and _OTHER_DATA.match(info.filename):
                    continue
                name = match[2] if match is not None else info.filename
                if name.endswith(".dist-info/RECORD"):
                    continue
                data = archive.read(info)
                if name.endswith(".dist-info/METADATA"):
                    metadata = data
                elif name.endswith(".dist-info/WHEEL"):
                    tags = data
                files[name] = data
    except zipfile.BadZipFile as error:
        raise ReleaseError(f"{wheel.name} is damaged.") from error
    headers = email.parser.BytesParser().parsebytes(metadata, headersonly=True)
    component = Component(
        name=re.sub(r"[-_.]+", "-", str(headers["Name"])).lower(),
        version=str(headers["Version"]),
        licence=_licence(headers.get("License-Expression"), headers.get_all("Classifier") or []),
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
    )
    pure = email.parser.BytesParser().parsebytes(tags, headersonly=True).get("Root-Is-Purelib", "false") == "true"
    return files, component, pure


def _licence(expression: str | None, classifiers: list[str]) -> str | None:
    if expression:
        return expression
    names = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: ")]
    return names[0] if names else None


def _refuse_ours(component: Component) -> None:
    """A package that the runtime itself is built on cannot be another version inside the same process."""
    try:
        ours = distribution(component.name).version
    except PackageNotFoundError:
        return
    if component.name in runtime_packages() and ours != component.version:
        raise ReleaseError(
            f"{component.name} {component.version} cannot be used: the runtime itself has {ours}. "
            f"Leave it out of requirements.txt, or ask for {ours}."
        )


# What an app's process imports; the rest of Havn's packages are not in its way.
RUNTIME = (
    "starlette", "granian", "uvloop", "msgspec", "httpx2", "structlog", "joserfc", "cryptography", "lxml", "jinja2",
    "markdown-it-py", "nh3", "python-multipart", "jsonschema-rs", "typst", "jmespath", "google-re2",
    "watchfiles", "pyyaml", "tzdata", "prometheus-client", "setproctitle",
)  # fmt: skip


@functools.cache
def runtime_packages() -> frozenset[str]:
    """The packages that the runtime is built on, directly or not: an app shares them and cannot bring its own."""
    found: set[str] = set(RUNTIME)
    pending = list(RUNTIME)
    while pending:
        name = pending.pop()
        try:
            wanted = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        for line in wanted:
            if "extra ==" in line:
                continue
            match = re.match(r"[A-Za-z0-9._-]+", line)
            if match is not None:
                package = re.sub(r"[-_.]+", "-", match[0]).lower()
                if package not in found:
                    found.add(package)
                    pending.append(package)
    return frozenset(found)


def _version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
