"""The root of a base image: a Python from Debian's packages, extracted and not installed, without an engine."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from havn.deploy.release.model import ReleaseError

# Debian's release for a version of Python: wheels with compiled code fit one and not the other.
SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}
# libstdc++6 is what compiled wheels (google-re2) expect of the system.
PACKAGES = (
    "base-files", "python3-minimal", "libpython3-stdlib", "libstdc++6", "ca-certificates", "netbase", "tzdata",
)  # fmt: skip


def root(cache: Path) -> tuple[Path, str]:
    """The layer with Debian's Python as a file, and its archive's digest."""
    suite = SUITES.get(sys.version_info[:2])
    if suite is None:
        raise ReleaseError(
            f"A base image needs Debian's Python, which is not {sys.version_info[0]}.{sys.version_info[1]}: "
            f"run this with Python 3.11, or use your own base image with --base."
        )
    name = hashlib.sha256(f"{suite} {PACKAGES}".encode()).hexdigest()[:16]
    layer, diff = cache / f"debian-{name}.tar.gz", cache / f"debian-{name}.diff"
    if not diff.exists():
        if shutil.which("mmdebstrap") is None:
            raise ReleaseError("A base image needs mmdebstrap: install it with apt-get, or use your own with --base.")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            archive = Path(scratch, "root.tar")
            # Extracted and not installed: no maintainer scripts, so no users, no shell, no caches, equal every time.
            command = [
                "mmdebstrap", "--quiet", "--variant=extract", f"--include={','.join(PACKAGES)}", suite, str(archive),
            ]  # fmt: skip
            made = subprocess.run(command, capture_output=True, text=True, check=False, env={"SOURCE_DATE_EPOCH": "0"})
            if made.returncode != 0:
                raise ReleaseError(f"mmdebstrap failed: {made.stderr.strip().splitlines()[-1:]}")
            with archive.open("rb") as file:
                digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
            packed = Path(scratch, "layer")
            with (
                archive.open("rb") as source,
                packed.open("wb") as target,
                gzip.GzipFile(filename="", mode="wb", fileobj=target, compresslevel=6, mtime=0) as squeezed,
            ):
                shutil.copyfileobj(source, squeezed)
            packed.rename(layer)
        # Last, so that what it describes is there.
        diff.write_text(digest)
    return layer, diff.read_text()
