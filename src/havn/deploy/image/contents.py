"""What a base image holds of Havn: the packages installed beside it, file by file, as they are installed here."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from havn.deploy.release.dependencies import RUNTIME
from havn.deploy.release.model import ReleaseError

SITE = "usr/lib/python3/dist-packages"

PLATFORM = (
    *RUNTIME, "asyncpg", "obstore", "pyrage", "psutil", "prometheus-client", "redis", "kr8s", "cyclopts", "rich",
    "packaging", "async-timeout",
)  # fmt: skip


def site_packages(roots: tuple[str, ...]) -> dict[str, bytes]:
    """The files of Havn and of `roots` with all that they need, by their path in an image's site folder.

    Raises `ReleaseError` naming a package that is not installed here.
    """
    files = _havn()
    for found in packages(roots):
        files |= _files(found)
    return files


def packages(roots: tuple[str, ...]) -> list[Distribution]:
    """The packages `roots` and all that they need, as they are installed here, by name. Raises `ReleaseError`."""
    pending, done = list(roots), {}
    while pending:
        name = re.sub(r"[-_.]+", "-", pending.pop()).lower()
        if name in done:
            continue
        try:
            done[name] = distribution(name)
        except PackageNotFoundError:
            raise ReleaseError(f"The package {name} is not installed here, and the image needs it.") from None
        pending += _needs(done[name])
    return [done[name] for name in sorted(done)]


def _havn() -> dict[str, bytes]:
    # From the package's own folder, so that a checkout gives the same image as an installed wheel.
    import havn

    root = Path(havn.__file__).parent
    return {
        f"havn/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _files(found: Distribution) -> dict[str, bytes]:
    files = {}
    for path in found.files or []:
        if path.parts[0] == ".." or "__pycache__" in path.parts or path.name in {"RECORD", "INSTALLER", "REQUESTED"}:
            continue
        files[path.as_posix()] = path.read_binary()
    return files


def _needs(found: Distribution) -> list[str]:
    """The names that a distribution needs here: optional extras and other platforms' left out."""
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in found.requires or []]
    return [each.name for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
