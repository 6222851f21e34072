"""Nothing is lost and nothing is doubled, whichever part is killed in the middle of a submit."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import msgspec
import pytest

pytestmark = pytest.mark.story

ROUNDS = 6


class Session:
    """A signed-in person's API client: it tries again while the platform is away, as a careful client does."""

    def __init__(self, platform: Any, org: str, app: str, person: str) -> None:
        self._base = f"http://127.0.0.1:{platform.port}"
        self._domain = f"havn.localhost:{platform.port}"
        self._host = f"{org}.apps.{self._domain}"
        self._app = app
        self._client = httpx2.Client(trust_env=False, timeout=20)
        foreign = self._client.post(
            f"{self._base}/test-token",
            json={"person": person, "level": "idporten-loa-high"},
            headers={"host": f"login.{self._domain}"},
        )
        exchanged = self._client.get(
            f"{self._base}/authentication/api/v1/exchange/id-porten",
            params={"audience": org},
            headers={"host": f"platform.{self._domain}", "authorization": f"Bearer {foreign.json()}"},
        )
        assert exchanged.status_code == 200, exchanged.text
        self._token = exchanged.json()

    def close(self) -> None:
        self._client.close()

    def call(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        """The first answer that is not the platform's own trouble. Fails after a minute of trouble."""
        deadline = time.monotonic() + 60
        while True:
            try:
                answer = self._client.request(
                    method,
                    f"{self._base}/{self._app}/{path}",
                    headers={"host": self._host, "authorization": f"Bearer {self._token}"},
                    json=body,
                )
                if answer.status_code < 500:
                    return answer
                trouble = f"{answer.status_code} {answer.text[:200]}"
            except httpx2.TransportError as error:
                trouble = repr(error)
            assert time.monotonic() < deadline, f"the platform did not come back within a minute: {trouble}"
            threading.Event().wait(0.05)

    def party(self) -> int:
        return int(self.call("GET", "api/v1/profile/user").json()["partyId"])

    def submit(self, text: str) -> str:
        """Fill in and send one report; returns the instance's id."""
        made = self.call("POST", f"instances?instanceOwnerPartyId={self.party()}")
        assert made.status_code == 201, made.text
        instance = made.json()
        data = next(element["id"] for element in instance["data"] if element["dataType"] == "melding")
        patch = [
            {"op": "add", "path": "/feiltype", "value": "hull"},
            {"op": "add", "path": "/sted", "value": {"veinavn": "Storgata"}},
            {"op": "add", "path": "/beskrivelse", "value": text},
            {"op": "add", "path": "/onskerSvar", "value": False},
        ]
        saved = self.call("PATCH", f"instances/{instance['id']}/data/{data}", {"patch": patch, "ignoredValidators": []})
        assert saved.status_code == 200, saved.text
        sent = self.call("PUT", f"instances/{instance['id']}/process/next")
        if sent.status_code == 409:
            # The answer to a move that was carried out got lost, and the second try met an ended process.
            assert self.call("GET", f"instances/{instance['id']}/process").json()["ended"], sent.text
        else:
            assert sent.status_code == 200, sent.text
        return str(instance["id"])


@pytest.fixture
def session(platform) -> Iterator[Session]:
    made = Session(platform, "ttd", "veifeil", "Sindig Bjørk")
    yield made
    made.close()


def find(platform: Any, victim: str) -> int | None:
    """The process id of a part, from the records on disk: the platform cannot be asked while a part of it is away."""
    if victim == "postgres":
        pidfile = platform.state / "postgres" / "data" / "postmaster.pid"
        return int(pidfile.read_text().split()[0]) if pidfile.exists() else None
    for record in (platform.state / "run").glob("*.json"):
        try:
            said = msgspec.json.decode(record.read_bytes())
        except (OSError, msgspec.DecodeError):
            continue
        if said.get("name", "").startswith("ttd/veifeil-" if victim == "app" else victim):
            return int(said["pid"])
    return None


@pytest.mark.parametrize("victim", ["postgres", "platform", "ingress", "app"])
def test_what_was_sent_is_there_once_though_a_part_was_killed(platform, session, victim):
    started = threading.Event()
    text = [f"{victim} {number}" for number in range(ROUNDS)]
    done: list[str] = []

    def send() -> None:
        for each in text:
            started.set()
            done.append(session.submit(each))

    sender = threading.Thread(target=send)
    sender.start()
    started.wait()
    killed = 0
    while sender.is_alive() and killed < 3:
        pid = find(platform, victim)
        if pid is not None:
            try:
                os.kill(pid, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                pass
        sender.join(1.5)
    sender.join(180)
    assert not sender.is_alive()
    assert killed > 0
    assert len(set(done)) == len(done) == ROUNDS

    for instance, wrote in zip(done, text, strict=True):
        stored = session.call("GET", f"instances/{instance}").json()
        assert stored["process"]["ended"] is not None
        assert stored["status"]["isArchived"] is True
        forms = [element for element in stored["data"] if element["dataType"] == "melding"]
        receipts = [element for element in stored["data"] if element["dataType"] == "ref-data-as-pdf"]
        assert (len(forms), len(receipts)) == (1, 1)
        model = session.call("GET", f"instances/{instance}/data/{forms[0]['id']}").json()
        assert model["beskrivelse"] == wrote
        pdf = session.call("GET", f"instances/{instance}/data/{receipts[0]['id']}")
        assert pdf.content.startswith(b"%PDF-")


def test_everything_is_as_it_was_after_ctrl_c_and_up_again(platform, session):
    instance = session.submit("before the stop")
    before = session.call("GET", f"instances/{instance}").json()
    releases = {(app["org"], app["app"]): app["release"] for app in platform.havn("ps")}
    assert platform.down() == 0
    assert platform.processes() == []
    platform.up()
    again = Session(platform, "ttd", "veifeil", "Sindig Bjørk")
    after = again.call("GET", f"instances/{instance}").json()
    again.close()
    assert after["process"] == before["process"]
    assert [element["id"] for element in after["data"]] == [element["id"] for element in before["data"]]
    assert {(app["org"], app["app"]): app["release"] for app in platform.havn("ps")} == releases


def test_after_kill_9_of_the_parent_nothing_is_left_running_and_up_finds_everything(platform, session):
    instance = session.submit("before the kill")
    platform.kill()
    platform.up()
    again = Session(platform, "ttd", "veifeil", "Sindig Bjørk")
    assert again.call("GET", f"instances/{instance}").json()["status"]["isArchived"] is True
    again.close()
    assert platform.down() == 0
    assert platform.processes() == []
    platform.up()
