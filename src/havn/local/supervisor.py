"""Keeping one child running: started again with growing pauses when it ends, ready when a probe says so."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal

from havn.kit.background import cancel
from havn.kit.clock import Clock, system_clock
from havn.local.process import Child

State = Literal["starting", "ready", "unready", "waiting", "stopping"]

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 15.0
_STEADY = 30.0
"""Seconds a child must have been ready before a failure counts as the first again."""
_PROBE_EVERY = 0.03
_LIVENESS_EVERY = 10.0
_LIVENESS_MISSES = 3

HOPELESS = 2
"""Exit code of a program that would only fail again: its settings or its app cannot be used."""

Start = Callable[[Callable[[str], None]], Awaitable[Child]]
"""Starts the program once more; its output goes to the function given."""
Probe = Callable[[], Awaitable[bool]]
Changed = Callable[[], Awaitable[None] | None]


class StartFailed(Exception):
    """The child did not become ready; the message says why, in a sentence."""


class Supervisor:
    """Runs one child for as long as `run` runs.

    `start` makes the process, `probe` asks whether it is ready, `changed` is called after every change of `state`
    (it takes a replica that has died out of the routes before anything else is done).
    """

    def __init__(
        self,
        name: str,
        start: Start,
        probe: Probe,
        *,
        output: Callable[[str], None],
        changed: Changed | None = None,
        ready_within: float = 60.0,
        grace: float = 10.0,
        clock: Clock = system_clock,
    ) -> None:
        self.name = name
        self.state: State = "starting"
        self.reason: str | None = None
        self.restarts = 0
        self._clock = clock
        self.since: datetime = clock()
        self.child: Child | None = None
        self._start = start
        self._probe = probe
        self._output = output
        self._changed = changed
        self._ready_within = ready_within
        self._grace = grace
        self._tail: deque[str] = deque(maxlen=20)
        self._failures = 0
        self._hopeless = False
        self._change = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start supervising."""
        self._task = asyncio.create_task(self._run(), name=f"supervise {self.name}")

    async def ready(self, *, attempts: int = 3) -> None:
        """Wait until it is ready. Raises `StartFailed` after `attempts` failed starts, or one without hope."""
        async with self._change:
            while self.state != "ready":
                if self.state == "stopping" or self._failures >= attempts or self._hopeless:
                    raise StartFailed(self.reason or f"{self.name} was stopped")
                await self._change.wait()

    async def stop(self) -> None:
        """Stop the child in good order, and do not start it again."""
        await self._become("stopping", None)
        if self._task is not None:
            await cancel(self._task)
        if self.child is not None:
            await self.child.stop(self._grace)

    async def _run(self) -> None:
        while True:
            self._tail.clear()
            try:
                self.child = await self._start(self._line)
            except OSError as error:
                await self._failed(f"it could not be started: {error.strerror or error}")
                continue
            await self._watch(self.child)

    async def _watch(self, child: Child) -> None:
        """See one run of the child through to its end."""
        exited = asyncio.create_task(child.wait())
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            if await self._becomes_ready(exited, began):
                steady = loop.time() + _STEADY
                await self._become("ready", None)
                hung = not await self._stays_alive(exited)
                if loop.time() > steady:
                    self._failures = 0
                if hung:
                    child.kill()
                    await exited
                    await self._failed("it no longer answered its health probe")
                    return
            elif not exited.done():
                child.kill()
                await exited
                self._hopeless = True
                await self._failed(f"it was not ready within {self._ready_within:.0f} seconds{self._last()}")
                return
            self._hopeless = self._hopeless or exited.result() == HOPELESS
            await self._failed(f"it {_how(exited.result())}{self._last()}")
        finally:
            if not exited.done():
                exited.cancel()

    async def _becomes_ready(self, exited: asyncio.Task[int], began: float) -> bool:
        loop = asyncio.get_running_loop()
        while not exited.done() and loop.time() - began < self._ready_within:
            if await self._probe():
                return True
            await asyncio.wait({exited}, timeout=_PROBE_EVERY)
        return False

    async def _stays_alive(self, exited: asyncio.Task[int]) -> bool:
        """Until it ends (True), or has missed several health probes in a row (False)."""
        misses = 0
        while True:
            await asyncio.wait({exited}, timeout=_LIVENESS_EVERY)
            if exited.done():
                return True
            misses = 0 if await self._probe() else misses + 1
            if misses >= _LIVENESS_MISSES:
                return False

    async def _failed(self, reason: str) -> None:
        self._failures += 1
        self.restarts += 1
        await self._become("waiting", reason)
        await asyncio.sleep(min(_FIRST_PAUSE * 2 ** (self._failures - 1), _LONGEST_PAUSE))
        await self._become("starting", reason)

    async def _become(self, state: State, reason: str | None) -> None:
        self.state, self.reason, self.since = state, reason, self._clock()
        if self._changed is not None and (waiting := self._changed()) is not None:
            await waiting
        async with self._change:
            self._change.notify_all()

    def _line(self, text: str) -> None:
        self._tail.append(text)
        self._output(text)

    def _last(self) -> str:
        lines = [line for line in self._tail if line.strip()]
        return f", last line: {lines[-1][:500]}" if lines else ""


def _how(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
