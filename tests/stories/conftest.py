"""The whole platform as a user starts it, and a real browser in front of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
HAVN = [str(Path(sys.executable).parent / "havn")]
CHROMIUM = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


class Platform:
    """`havn up` in a state folder of its own, on a port of its own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen[str] | None = None

    def up(self, *options: str) -> dict[str, Any]:
        """Start it; returns what it says about itself once everything is ready."""
        log = (self.state.parent / "up.log").open("a")
        command = [*HAVN, "up", f"--state={self.state}", f"--port={self.port}", "--json", *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT)
        log.close()
        assert self._process.stdout is not None
        text = ""
        for line in self._process.stdout:
            text += line
            try:
                said: dict[str, Any] = json.loads(text)
            except ValueError:
                continue
            return said
        raise AssertionError((self.state.parent / "up.log").read_text())

    def down(self) -> int:
        """Ctrl-C; returns the exit status."""
        return self._end(signal.SIGINT)

    def kill(self) -> None:
        """kill -9 of the whole parent."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        status = self._process.wait(60)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        return status

    def havn(self, *arguments: str) -> Any:
        """Run a command against this platform; returns its JSON."""
        done = subprocess.run(
            [*HAVN, *arguments, "--json", f"--state={self.state}"],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def address(self, org: str, app: str) -> str:
        """The address of an app."""
        return f"http://{org}.apps.havn.localhost:{self.port}/{app}"

    def parts(self) -> dict[str, dict[str, Any]]:
        """The platform's own processes by name."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/v1/machine")
        request.add_header("Host", f"console.havn.localhost:{self.port}")
        with urllib.request.urlopen(request) as answer:
            return {part["name"]: part for part in json.load(answer)}

    def processes(self) -> list[str]:
        """Command lines of every process that belongs to this state folder."""
        found = []
        for place in Path("/proc").iterdir():
            if not place.name.isdigit() or int(place.name) == os.getpid():
                continue
            try:
                command = (place / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
                environ = (place / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(self.state) in command or str(self.state) in environ:
                found.append(command)
        return found


@pytest.fixture(scope="module")
def platform(state_folder: Path) -> Iterator[Platform]:
    made = Platform(state_folder)
    made.up()
    yield made
    made.down()


# For one file: the driver keeps an event loop running on this thread, which async tests of other files cannot have.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        yield launched
        launched.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """`open_page(script=True, **context options)`: a page of a browser that has never been here before."""
    contexts = []

    def open_one(*, script: bool = True, **options: Any) -> Page:
        context = browser.new_context(java_script_enabled=script, locale="nb-NO", accept_downloads=True, **options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        return context.new_page()

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    return (ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture
def check_page(axe: str) -> Callable[[Page], None]:
    """`check_page(page)`: no WCAG 2.1 A or AA fault that axe can find. Does nothing where scripts are switched off."""

    def check(page: Page) -> None:
        page.evaluate(axe)
        found = page.evaluate(
            "() => axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']}).then(result => result.violations)"
        )
        faults = [
            f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]
        ]
        assert faults == [], f"{page.url}: {faults}"

    return check
