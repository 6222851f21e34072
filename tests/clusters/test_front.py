"""Whether an ingress leads to a release: against a real server that answers as an ingress with two replicas does."""

from __future__ import annotations

import http.server
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from havn.clusters.kubernetes.front import Front

OLD, NEW = ("sha256:" + each * 64 for each in "ab")


@contextmanager
def ingress(answers: Iterator[str | None]) -> Iterator[tuple[str, list[str | None]]]:
    """Its address, and what it has answered so far: each request takes the next release, None for an old runtime."""
    given: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            release = next(answers)
            given.append(release)
            body = b"Healthy"
            if release is not None and "application/health+json" in self.headers["accept"]:
                body = msgspec.json.encode({"status": "pass", "releaseId": release})
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", given
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def led(answers: Iterator[str | None], ask: Callable[[Front], object]) -> list[str | None]:
    """What was answered until the front was sure."""
    with ingress(answers) as (address, given):
        front = Front(address, "ttd.apps.example.test")
        assert await ask(front) is None  # type: ignore[misc]
        await front.close()
        return given


async def test_it_leads_to_a_release_when_every_replica_in_turn_answers_with_it():
    both = itertools.chain([OLD, NEW, OLD, NEW, NEW, OLD], itertools.repeat(NEW))
    given = await led(both, lambda front: front.leads_to("first", NEW, times=2))
    assert given == [OLD, NEW, OLD, NEW, NEW]
    both = itertools.chain([OLD, NEW, OLD, NEW, NEW, OLD], itertools.repeat(NEW))
    given = await led(both, lambda front: front.leads_to("first", NEW, times=3))
    assert given == [OLD, NEW, OLD, NEW, NEW, OLD, NEW, NEW, NEW]


async def test_a_runtime_that_does_not_say_what_it_runs_is_believed():
    assert await led(itertools.repeat(None), lambda front: front.leads_to("first", NEW, times=2)) == [None, None]


async def test_without_a_release_any_answer_will_do():
    assert await led(itertools.repeat(OLD), lambda front: front.leads_to("first")) == [OLD]
