"""Buckets in Valkey or Redis (7 or newer), each decided by one script inside the server, on the server's clock.

What the server forgets when it restarts without its data is as if every bucket were full: a caller gets at most one
burst too many. A clock set back costs a caller one filling of the bucket at most; one set forward fills it at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from havn.engines.limits import Taken
from havn.platform.management.metering.rates import Request, StoreAwayError

_SCRIPT = files(__package__).joinpath("take.lua").read_text()
_DIGEST = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
_PREFIX = "havn:rate:"


class ValkeyRates:
    """Buckets at `url`: `redis://[user:password@]host:port/db`, `rediss://` for TLS, `unix:///socket`.

    `micros` gives the time in place of the server's own clock.
    """

    def __init__(self, url: str, *, micros: Callable[[], int] | None = None, timeout: float = 0.5) -> None:
        self._micros = micros
        self._client: Any = Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # One more attempt, for a connection that was closed while it lay idle. A script that ran without its answer
            # arriving has handed out a portion that nobody spends: too little, never too much.
            retry=Retry(NoBackoff(), 1),
            max_connections=50,
        )

    async def settle(self, requests: Sequence[Request]) -> list[Taken]:
        """As `RateStore.settle`: one round trip for them all."""
        if not requests:
            return []
        try:
            answers = await self._run(requests)
            unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if unknown:
                # A new server, or one that has restarted. Those that did not run are run now, and no other.
                await self._client.script_load(_SCRIPT)
                again = await self._run([requests[index] for index in unknown])
                for index, answer in zip(unknown, again, strict=True):
                    answers[index] = answer
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreAwayError(type(error).__name__) from error
        for answer in answers:
            if isinstance(answer, Exception):
                raise StoreAwayError(type(answer).__name__) from answer
        return [Taken(int(granted), int(remaining), int(wait)) for granted, remaining, wait in answers]

    async def _run(self, requests: Sequence[Request]) -> list[Any]:
        now = "" if self._micros is None else str(self._micros())
        pipeline = self._client.pipeline(transaction=False)
        for request in requests:
            bucket = request.bucket
            pipeline.execute_command(
                "EVALSHA", _DIGEST, 1, _PREFIX + request.key, bucket.capacity, bucket.requests, bucket.micros,
                request.holder, request.keeps, request.returned, request.need, request.want, request.valid, now,
            )  # fmt: skip
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
