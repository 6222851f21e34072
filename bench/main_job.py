"""The main job: time to a working form, an app's memory and start, the form page's weight, saves, building.

`python bench/main_job.py` prints the table as Markdown. The load comes from a second process on loopback and is
bounded: 50 people who each save a field once a second, for twenty seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).resolve().parent.parent
HAVN = str(Path(sys.executable).parent / "havn")
PEOPLE, SECONDS = 50, 20
PERSONS = ("Sindig Bjørk", "Nøyaktig Ugle", "Stille Bekk", "Streng Falk", "Reisende Svale")


class Platform:
    """`havn up` in a folder, with its port."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / ".havn"
        self.port = free_port()
        self._process: subprocess.Popen[str] | None = None

    def up(self) -> float:
        """Start it; returns the seconds until a form's page was answered."""
        began = time.perf_counter()
        command = [HAVN, "up", f"--state={self.state}", f"--port={self.port}", "--json"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
        )
        assert self._process.stdout is not None
        while self._process.stdout.readline().strip() != "}":
            if self._process.poll() is not None:
                raise SystemExit("havn up failed: run it by hand to see why.")
        with httpx2.Client(trust_env=False) as client:
            answer = client.get(f"http://127.0.0.1:{self.port}/byggegebyr/", headers={"host": self.host("fjord")})
            assert answer.status_code == 200, answer.status_code
        return time.perf_counter() - began

    def down(self) -> None:
        """Ctrl-C."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)

    def host(self, org: str) -> str:
        """The Host of an org's apps."""
        return f"{org}.apps.havn.localhost:{self.port}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def app_process(app: str, state: Path) -> int:
    for record in (state / "run").glob("*.json"):
        said = json.loads(record.read_text())
        if str(said.get("name", "")).split("/", 1)[-1].startswith(f"{app}-"):
            return int(said["pid"])
    raise SystemExit(f"no process of {app}")


def pss(pid: int) -> float:
    """MB of a process and its children, shared pages divided among those who share them."""
    total = 0
    for each in (pid, *children(pid)):
        text = Path(f"/proc/{each}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[1])  # type: ignore[index]
    return total / 1024


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def start_seconds(pid: int) -> float:
    """Start a second process as this one was started, and take the time until it answers."""
    raw = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    environ = dict(pair.decode().split("=", 1) for pair in raw if b"=" in pair)
    times = []
    for _ in range(5):
        environ["HAVN_PORT"] = str(free_port())
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-P", "-m", "havn.runtime"], env=environ, stdout=subprocess.DEVNULL)
        while True:
            try:
                with socket.create_connection(("127.0.0.1", int(environ["HAVN_PORT"])), timeout=1) as connection:
                    connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    if b" 200 " in connection.recv(100):
                        break
            except OSError:
                time.sleep(0.005)
        times.append(time.perf_counter() - began)
        process.terminate()
        process.wait()
    return statistics.median(times)


class Person:
    """A signed-in person who saves a field of an instance of their own."""

    def __init__(self, platform: Platform, client: httpx2.AsyncClient, name: str) -> None:
        self._base = f"http://127.0.0.1:{platform.port}"
        self._client = client
        self._name = name
        self._domain = f"havn.localhost:{platform.port}"
        self._host = platform.host("ttd")
        self._headers: dict[str, str] = {}
        self._form = ""

    async def start(self) -> None:
        foreign = await self._client.post(
            f"{self._base}/test-token", json={"person": self._name}, headers={"host": f"login.{self._domain}"}
        )
        own = await self._client.get(
            f"{self._base}/authentication/api/v1/exchange/id-porten?audience=ttd",
            headers={"host": f"platform.{self._domain}", "authorization": f"Bearer {foreign.json()}"},
        )
        self._headers = {"host": self._host, "authorization": f"Bearer {own.json()}"}
        me = await self._client.get(f"{self._base}/veifeil/api/v1/profile/user", headers=self._headers)
        made = await self._client.post(
            f"{self._base}/veifeil/instances?instanceOwnerPartyId={me.json()['partyId']}", headers=self._headers
        )
        instance = made.json()
        element = next(each["id"] for each in instance["data"] if each["dataType"] == "melding")
        self._form = f"{self._base}/veifeil/instances/{instance['id']}/data/{element}"

    async def save(self, number: int) -> float:
        """Milliseconds that one save took."""
        patch = [{"op": "add", "path": "/beskrivelse", "value": f"text {number}"}]
        began = time.perf_counter()
        answer = await self._client.patch(
            self._form, json={"patch": patch, "ignoredValidators": []}, headers=self._headers
        )
        assert answer.status_code == 200, answer.text
        return (time.perf_counter() - began) * 1000


async def save_under_load(platform: Platform) -> list[float]:
    limits = httpx2.Limits(max_connections=PEOPLE, max_keepalive_connections=PEOPLE)
    async with httpx2.AsyncClient(trust_env=False, timeout=30, limits=limits) as client:
        people = [Person(platform, client, PERSONS[number % len(PERSONS)]) for number in range(PEOPLE)]
        for person in people:
            await person.start()
        taken: list[float] = []

        async def work(person: Person, offset: float) -> None:
            await asyncio.sleep(offset)
            for number in range(SECONDS):
                due = asyncio.get_running_loop().time() + 1
                taken.append(await person.save(number))
                await asyncio.sleep(max(0, due - asyncio.get_running_loop().time()))

        await asyncio.gather(*(work(person, number / PEOPLE) for number, person in enumerate(people)))
    return taken


def page_weight(platform: Platform) -> tuple[int, int]:
    """Bytes over the wire of a form's page with all that it links to, and how many requests."""
    sent = {"host": platform.host("fjord"), "accept-encoding": "br"}
    total, count = 0, 1
    with httpx2.Client(trust_env=False) as client:

        def fetch(path: str) -> httpx2.Response:
            nonlocal total
            with client.stream("GET", f"http://127.0.0.1:{platform.port}{path}", headers=sent) as answer:
                raw = b"".join(answer.iter_raw())
                total += len(raw)
                assert answer.status_code == 200, path
            return client.get(f"http://127.0.0.1:{platform.port}{path}", headers={"host": sent["host"]})

        page = fetch("/byggegebyr/").text
        for link in dict.fromkeys(re.findall(r'(?:href|src)="(/[^"]*/_assets/[^"]+)"', page)):
            fetch(link)
            count += 1
    return total, count


def build_seconds(platform: Platform) -> float:
    times = []
    for _ in range(6):
        began = time.perf_counter()
        subprocess.run(
            [HAVN, "build", "examples/apps/tilskudd", f"--state={platform.state}", "--json"],
            cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def load_process(port: int) -> list[float]:
    """The load, from a second process."""
    code = "\n".join(
        (
            "import asyncio, json, sys",
            f"sys.path.insert(0, {str(ROOT / 'bench')!r})",
            "import main_job",
            "platform = main_job.Platform(main_job.Path('/nowhere'))",
            f"platform.port = {port}",
            "print(json.dumps(asyncio.run(main_job.save_under_load(platform))))",
        )
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="havn-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        platform = Platform(Path(folder))
        first = platform.up()
        platform.down()
        again = platform.up()
        pid = app_process("veifeil", platform.state)
        idle = pss(pid)
        started = start_seconds(pid)
        weight, requests = page_weight(platform)
        taken = sorted(load_process(platform.port))
        loaded = pss(pid)
        built = build_seconds(platform)
        platform.down()

    def rank(share: float) -> float:
        return taken[min(len(taken) - 1, int(len(taken) * share))]

    rows: list[tuple[Any, ...]] = [
        ("`havn up` to a working form, first time (database made, apps built)", f"{first:.1f} s", ""),
        ("`havn up` to a working form, from then on", f"{again:.1f} s", "≤ 5 s"),
        ("app, idle, PSS over all its processes", f"{idle:.0f} MB", "≤ 80 MB"),
        ("app, after the load below", f"{loaded:.0f} MB", ""),
        ("app, from start to ready", f"{started:.2f} s", "≤ 1 s"),
        (f"form page, first load, compressed, {requests} requests", f"{weight / 1000:.1f} kB", "≤ 60 kB"),
        (f"save of one field, {PEOPLE} people, one save a second each: p50", f"{rank(0.5):.0f} ms", ""),
        ("the same: p99", f"{rank(0.99):.0f} ms", "≤ 100 ms"),
        ("release build of the rich example, warm, whole command", f"{built:.2f} s", "≤ 1 s"),
    ]
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}\n")
    print("| What | Measured | Target |\n|---|---|---|")
    for row in rows:
        print(f"| {row[0]} | {row[1]} | {row[2]} |")


if __name__ == "__main__":
    main()
