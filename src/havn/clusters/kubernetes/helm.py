"""Running Helm: one command at a time, values on its standard input, its failures as sentences."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from havn.clusters.port import ClusterError

_LIMIT_SECONDS = 120
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
PENDING = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")
# A value that the chart's schema refuses, by JSON pointer.
_REFUSED = re.compile(r"- at '([^']*)': (.*)")


class Revision(msgspec.Struct, frozen=True):
    """One entry of a release's history."""

    revision: int
    status: str


class Upgraded(msgspec.Struct, frozen=True):
    """What Helm has made of a release: its new revision, and the objects rendered for it."""

    version: int
    manifest: str


class Helm:
    """The program `helm`, with one cluster's kubeconfig and namespace."""

    def __init__(self, program: Path, kubeconfig: Path, namespace: str = "default") -> None:
        self._program = program
        self._kubeconfig = kubeconfig
        self._namespace = namespace

    async def upgrade(self, name: str, chart: Path, values: Mapping[str, Any]) -> Upgraded:
        """Install the release `name` or change it, without waiting for its pods."""
        done = await self._run(
            # What someone changed by hand is taken back: the cluster runs what was asked for.
            "upgrade", name, str(chart), "--install", "--force-conflicts", "--history-max=10", "--values=-",
            "--output=json", text=msgspec.json.encode(values),
        )  # fmt: skip
        return msgspec.json.decode(done, type=Upgraded)

    async def rollback(self, name: str, revision: int) -> None:
        """Put an earlier revision back, as a new one, without waiting for its pods."""
        await self._run("rollback", name, str(revision), "--force-conflicts", "--history-max=10")

    async def uninstall(self, name: str) -> None:
        """Delete what the release made; nothing happens when there is none."""
        await self._run("uninstall", name, "--ignore-not-found")

    async def history(self, name: str) -> list[Revision]:
        """The revisions that are kept, oldest first; empty when there is no such release."""
        try:
            return msgspec.json.decode(await self._run("history", name, "--output=json"), type=list[Revision])
        except ClusterError as error:
            if "not found" in str(error):
                return []
            raise

    async def manifest(self, name: str) -> str:
        """What the newest revision has rendered; empty when there is no such release."""
        try:
            return (await self._run("get", "manifest", name)).decode()
        except ClusterError as error:
            if "not found" in str(error):
                return ""
            raise

    async def unlock(self, name: str) -> None:
        """Free a release that a killed Helm left half way: back to its last whole revision, or away."""
        history = await self.history(name)
        if not history or history[-1].status not in PENDING:
            return
        whole = [each.revision for each in history if each.status in ("deployed", "superseded")]
        if whole:
            await self.rollback(name, whole[-1])
        else:
            await self.uninstall(name)

    async def _run(self, *arguments: str, text: bytes = b"") -> bytes:
        try:
            process = await asyncio.create_subprocess_exec(
                str(self._program), *arguments, f"--kubeconfig={self._kubeconfig}", f"--namespace={self._namespace}",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                # A kubeconfig may call a program for its token, which needs its surroundings; never our own settings.
                env={name: value for name, value in os.environ.items() if not name.startswith("HAVN_")}
                | {"HELM_DRIVER": "secret"},
                # It ends when we are killed: whoever goes on must not meet it at the same release.
                start_new_session=True, preexec_fn=_die_with_parent,
            )  # fmt: skip
        except OSError as error:
            raise ClusterError(f"Helm cannot be run from {self._program}: {error.strerror}.") from error
        try:
            async with asyncio.timeout(_LIMIT_SECONDS):
                out, err = await process.communicate(text)
        except TimeoutError:
            raise ClusterError(f"Helm {arguments[0]} did not end within {_LIMIT_SECONDS} seconds.") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise ClusterError(f"Helm {arguments[0]} failed: {_said(err)}")
        return out


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _said(output: bytes) -> str:
    """What Helm has written, without its decoration, and ended as a sentence."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    told = [line.removeprefix("Error: ") for line in lines if not line.startswith(("WARNING", "level=", "I1", "W1"))]
    if refused := [match for line in told if (match := _REFUSED.fullmatch(line))]:
        named = "; ".join(f"{each[1].strip('/').replace('/', '.') or 'at the top'}: {each[2]}" for each in refused)
        return f"the chart does not take these values, so mend them where they are set: {named}."[:2000]
    said = " ".join(told)[:2000] or "it does not say why"
    return said if said.endswith(".") else f"{said}."
