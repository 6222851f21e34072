"""Telling that a budget burns fast: looked at every minute, told once at its beginning and once at its end.

A message is a job in the queue, written in the transaction that notes the alert, so none is lost and none told twice by
two processes that look at once. It is signed with HMAC-SHA256 over the time and the body, and goes through the proxy
for outbound calls, which refuses addresses inside our own networks.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from havn.contracts.levels import FastBurn
from havn.kit.clock import Clock
from havn.kit.http import HttpClient
from havn.kit.problem import Problem
from havn.kit.queue import Job
from havn.platform.management.levels.measuring import Burn, Measuring
from havn.platform.management.levels.store.agreements import AgreementStore, Watched

SIGNATURE = "X-Havn-Signature"
_TRIES = 40
"""With the queue's longest pause of a minute: over half an hour, after which the message is old news."""

_log = structlog.get_logger("levels")


class Alerts:
    """Looks at the agreements with alerts, and delivers messages.

    `secret` gives what signs for an agreement and its salt; `http` is the client whose way out is the proxy, None when
    there is none.
    """

    def __init__(
        self,
        store: AgreementStore,
        measuring: Measuring,
        clock: Clock,
        *,
        secret: Callable[[str, bytes], str],
        http: HttpClient | None,
    ) -> None:
        self._store = store
        self._measuring = measuring
        self._clock = clock
        self._secret = secret
        self._http = http

    async def look(self) -> None:
        """Begin and end alerts, as the burn rates are now."""
        for watched in await self._store.watched():
            burn = await self._measuring.burn(watched.agreement)
            if burn.fast and watched.alert is None:
                id_ = uuid.uuid4()
                message = self._message(watched, burn, id_, "burning")
                org, name = watched.agreement.org, watched.agreement.name
                if await self._store.begin_alert(org, name, id_, message, self._clock()):
                    _log.warning("budget_burns_fast", agreement=watched.agreement.id)
            elif watched.alert is not None and not burn.fast:
                message = self._message(watched, burn, watched.alert, "over")
                await self._store.end_alert(watched.agreement.org, watched.agreement.name, message)

    async def deliver(self, job: Job) -> None:
        """Send one message; raises while it should be tried again."""
        body = bytes(job.payload)
        message = msgspec.json.decode(body, type=FastBurn)
        org, _, name = message.agreement.partition(".")
        target = await self._store.alert_target(org, name)
        if target is None:
            return  # nobody wants to know any more
        assert self._http is not None
        url, salt = target
        headers = {
            "content-type": "application/json",
            SIGNATURE: sign(body, self._secret(message.agreement, salt), int(self._clock().timestamp())),
        }
        try:
            response = await self._http.request("POST", url, headers=headers, content=body)
        except Problem as problem:
            said = problem.detail or problem.title
        else:
            if response.is_success:
                return
            said = f"the receiver answered {response.status_code}"
        if job.attempts + 1 >= _TRIES:
            _log.error("alert_given_up", agreement=message.agreement, reason=said)
            return
        raise Problem(502, said, code="alert_not_delivered")

    def _message(self, watched: Watched, burn: Burn, id_: uuid.UUID, state: Any) -> FastBurn:
        agreement = watched.agreement
        return FastBurn(
            id=str(id_),
            agreement=agreement.id,
            org=agreement.org,
            app=agreement.app,
            state=state,
            at=self._clock(),
            burn=burn.rates,
            availability_target=agreement.targets.availability,
        )


def sign(body: bytes, secret: str, at: int) -> str:
    """The signature's header: `t=<seconds since 1970>,v1=<hex>`, HMAC-SHA256 of `<t>.<body>`."""
    digest = hmac.digest(secret.encode(), b"%d." % at + body, hashlib.sha256).hex()
    return f"t={at},v1={digest}"


async def every(seconds: float, what: Callable[[], Any], name: str) -> None:
    """Do `what` again and again until cancelled; what fails is logged and tried at the next turn."""
    while True:
        try:
            await what()
        except Problem as problem:
            _log.warning("turn_failed", what=name, reason=problem.detail)
        except Exception as error:  # noqa: BLE001  (the next turn comes all the same)
            _log.error("turn_failed", what=name, exc_info=error)
        await asyncio.sleep(seconds)
