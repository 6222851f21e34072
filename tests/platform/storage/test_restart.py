"""Storage killed in the middle of submits, started again, and asked again: nothing lost, nothing double."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from havn.clients.applications import ApplicationsClient
from havn.clients.credentials import Credentials
from havn.clients.storage import StorageClient
from havn.contracts.storage import (
    Application,
    DataType,
    Instance,
    InstanceEvent,
    InstanceOwner,
    PlatformUser,
    ProcessElementInfo,
    ProcessState,
    ProcessStateUpdate,
)
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.clock import system_clock
from havn.kit.http import HttpClient
from havn.kit.problem import Problem

CASES = 40
DEATHS_AFTER = (10, 50, 90, 140)
"""Answers given before each death; there are four steps to a case."""


class Child:
    """The storage process."""

    def __init__(self, url: str, folder: Path, keys: dict[str, Any]) -> None:
        self._url, self._folder = url, folder
        self._keys = msgspec.json.encode({name: key.as_dict(private=True) for name, key in keys.items()})
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(Path(__file__).with_name("serve.py")), str(self.port), self._url, str(self._folder),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(self._keys)
        self._process.stdin.close()
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)
                    continue
                writer.close()
                return

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()


class Answers:
    """Counts answers, and says when there have been so many."""

    def __init__(self) -> None:
        self.count = 0
        self._waiting: dict[int, asyncio.Event] = {}

    def note(self) -> None:
        self.count += 1
        for wanted, event in self._waiting.items():
            if self.count >= wanted:
                event.set()

    async def reached(self, count: int) -> None:
        await self._waiting.setdefault(count, asyncio.Event()).wait()


async def _insist(answers: Answers, action: Any) -> Any:
    """Repeat until an answer comes, as the app does."""
    while True:
        try:
            answer = await action()
            answers.note()
            return answer
        except Problem as problem:
            if problem.status != 503:
                raise
            await asyncio.sleep(0.02)


async def _submit(storage: StorageClient, answers: Answers, credentials: Credentials, number: int) -> str:
    """Create, fill in, submit: each step with its key or version."""
    wanted = Instance(
        instance_owner=InstanceOwner(party_id="50001"),
        process=ProcessState(current_task=ProcessElementInfo(element_id="Task_1", altinn_task_type="data")),
    )
    made = await _insist(
        answers, lambda: storage.create_instance("ttd/skjema", wanted, credentials, idempotency_key=f"case {number}")
    )
    content = f"<case>{number}</case>".encode()
    await _insist(
        answers,
        lambda: storage.add_data(
            made.id, "model", content, credentials, content_type="text/xml", idempotency_key=f"form {number}"
        ),
    )
    version = (await _insist(answers, lambda: storage.instance(made.id, credentials))).version
    task = ProcessElementInfo(element_id="Task_2", altinn_task_type="signing", flow_type="CompleteCurrentMoveToNext")
    event = InstanceEvent(instance_id=made.id, event_type="process_EndTask", user=PlatformUser(user_id=1001))
    update = ProcessStateUpdate(state=ProcessState(current_task=task), events=[event])
    try:
        await _insist(answers, lambda: storage.move_process(made.id, update, credentials, if_match=version))
    except Problem as problem:
        # An earlier attempt was carried out although no answer came.
        if problem.status != 412:
            raise
    return made.id


async def test_killed_in_the_middle_of_submits_it_loses_and_doubles_nothing(
    world, make_database, keys, blob_folder, tmp_path
):
    url = await make_database("storage")
    child = Child(url, blob_folder, keys)
    await child.start()
    http = HttpClient(f"http://127.0.0.1:{child.port}", name="Storage")
    storage, credentials = StorageClient(http), Credentials(world.user(exp=4_000_000_000, nbf=0, iat=0))
    platform = Credentials(platform_token=_fresh_component_token(world))
    application = Application(id="ttd/skjema", data_types=[DataType(id="model")])
    await ApplicationsClient(http).publish_application(application, platform)
    answers = Answers()
    submits = [asyncio.create_task(_submit(storage, answers, credentials, number)) for number in range(CASES)]
    for count in DEATHS_AFTER:
        await answers.reached(count)
        await child.kill()
        await child.start()
    ids = await asyncio.gather(*submits)
    assert len(set(ids)) == CASES
    for number, instance_id in enumerate(ids):
        instance = await storage.instance(instance_id, credentials)
        assert instance.process.current_task.element_id == "Task_2"
        (element,) = instance.data
        assert await storage.read_data(instance_id, element.id, credentials) == f"<case>{number}</case>".encode()
        events = Counter(each.event_type for each in await storage.events(instance_id, credentials))
        assert events == {"Created": 2, "process_EndTask": 1}
    await http.close()
    await child.kill()


def _fresh_component_token(world: Any) -> str:
    key = msgspec.json.encode(world.keys["platform"].as_dict(private=True)).decode()
    audience = "https://platform.havn.example"
    return PlatformTokenSigner(issuer="platform", app="deploy", audience=audience, key=key, clock=system_clock).token()
