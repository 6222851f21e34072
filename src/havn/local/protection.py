"""Maintenance and blocks on one machine: kept in a file of the state folder, in force at the gateway at once.

A blocked subscription is suspended at the management API, and resumed when its block ends; everything else the gateway
does. Each change is in the audit log.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import uuid
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from havn.appfolder.ids import AppId
from havn.contracts.deploy import AuditEntry
from havn.contracts.management import ACTING_FOR, ACTING_ORG, SubscriptionChange
from havn.contracts.protection import Block, BlockRequest, ClosedApp, ClosingRequest
from havn.deploy.access import ALL_ORGS
from havn.deploy.endpoints import Endpoint, all_orgs, any_org, body, caller
from havn.gateway.ingress.shut import Blocked, Closed
from havn.kit.clock import Clock, system_clock
from havn.kit.problem import Problem
from havn.kit.web import json_response
from havn.local import environment
from havn.local.gateway import Gateway, GatewayAway
from havn.local.secrets import write_private

_log = structlog.get_logger("protection")
_MAX_BLOCKS = 1000
_RETRY_SECONDS = 5.0

Known = Callable[[], Awaitable[Collection[AppId]]]
Manage = Callable[..., Awaitable[Any]]
Note = Callable[[AuditEntry], Awaitable[None]]


class _State(msgspec.Struct, frozen=True):
    closed: tuple[ClosedApp, ...] = ()
    blocks: tuple[Block, ...] = ()


class Protection:
    """What is shut. `known` tells the apps there are, `manage` calls the management API, `note` writes to the audit."""

    def __init__(
        self, file: Path, gateway: Gateway, *, known: Known, manage: Manage, note: Note, clock: Clock = system_clock
    ) -> None:
        self._file = file
        self._gateway = gateway
        self._known = known
        self._manage = manage
        self._note = note
        self._clock = clock
        self._state = _load(file)
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._expiring: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Put in force what was when the machine stopped."""
        await self._apply()
        self._expiring = asyncio.create_task(self._expire(), name="blocks end")

    async def stop(self) -> None:
        """Look after it no more."""
        if self._expiring is not None:
            self._expiring.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._expiring

    def endpoints(self) -> list[Endpoint]:
        """The routes of the control plane."""
        at = "/environments/{environment}"
        app = f"{at}/orgs/{{org}}/apps/{{app}}/maintenance"
        return [
            Endpoint(method="GET", path=f"{at}/maintenance", handler=self._list_closed, role="look", org=any_org,
                     answer=list[ClosedApp]),
            Endpoint(method="PUT", path=app, handler=self._close, role="deploy", body=ClosingRequest, answer=ClosedApp),
            Endpoint(method="DELETE", path=app, handler=self._open, role="deploy", status=204),
            Endpoint(method="GET", path=f"{at}/blocks", handler=self._list_blocks, role="look", org=all_orgs,
                     answer=list[Block]),
            Endpoint(method="POST", path=f"{at}/blocks", handler=self._block, role="administer", org=all_orgs,
                     body=BlockRequest, answer=Block, status=201),
            Endpoint(method="DELETE", path=f"{at}/blocks/{{id}}", handler=self._unblock, role="administer",
                     org=all_orgs, status=204),
        ]  # fmt: skip

    async def _list_closed(self, request: Request) -> Response:
        """The apps in maintenance."""
        _here(request)
        orgs = caller(request).orgs("look")
        return json_response([each for each in self._state.closed if orgs is None or each.org in orgs])

    async def _close(self, request: Request) -> Response:
        """Put an app in maintenance, or change what is said about it."""
        _here(request)
        id_ = AppId(request.path_params["org"], request.path_params["app"])
        if id_ not in await self._known():
            raise Problem(404, f"There is no app {id_} here.", code="unknown_app")
        wanted, operator = body(request, ClosingRequest), caller(request)
        if wanted.until is not None and wanted.until.tzinfo is None:
            raise Problem(400, "Give the time with its zone, such as 2026-03-01T22:00:00+01:00.", code="invalid_time")
        made = ClosedApp(
            org=id_.org, app=id_.app, message=wanted.message, until=wanted.until, since=self._clock(), who=operator.name
        )
        async with self._turn:
            before = next((each for each in self._state.closed if (each.org, each.app) == (id_.org, id_.app)), None)
            others = tuple(each for each in self._state.closed if each is not before)
            await self._keep(msgspec.structs.replace(self._state, closed=(*others, made)))
        await self._audit(request, "maintenance_on", id_.org, id_.app, before, made)
        return json_response(made)

    async def _open(self, request: Request) -> Response:
        """Take an app out of maintenance."""
        _here(request)
        org, app = request.path_params["org"], request.path_params["app"]
        async with self._turn:
            before = next((each for each in self._state.closed if (each.org, each.app) == (org, app)), None)
            if before is None:
                raise Problem(404, f"{org}/{app} is not in maintenance.", code="not_in_maintenance")
            others = tuple(each for each in self._state.closed if each is not before)
            await self._keep(msgspec.structs.replace(self._state, closed=others))
        await self._audit(request, "maintenance_off", org, app, before, None)
        return Response(status_code=204)

    async def _list_blocks(self, request: Request) -> Response:
        """What is blocked."""
        _here(request)
        return json_response([each for each in self._state.blocks if each.until > self._clock()])

    async def _block(self, request: Request) -> Response:
        """Block an address, a range or a subscription for a time."""
        _here(request)
        wanted, operator, now = body(request, BlockRequest), caller(request), self._clock()
        if (wanted.network is None) == (wanted.subscription is None):
            raise Problem(400, "Block either a network or a subscription.", code="invalid_block")
        network = _network(wanted.network) if wanted.network is not None else None
        made = Block(
            id=uuid.uuid4().hex[:12],
            network=network,
            subscription=wanted.subscription,
            until=now + timedelta(seconds=wanted.seconds),
            reason=wanted.reason,
            since=now,
            who=operator.name,
        )
        async with self._turn:
            if len(self._state.blocks) >= _MAX_BLOCKS:
                raise Problem(409, "There are too many blocks: take some away first.", code="too_many_blocks")
            if wanted.subscription is not None:
                await self._subscription(wanted.subscription, "suspend", wanted.reason, operator.name)
            await self._keep(msgspec.structs.replace(self._state, blocks=(*self._state.blocks, made)))
        await self._audit(request, "block", "", "", None, made)
        return json_response(made, 201)

    async def _unblock(self, request: Request) -> Response:
        """Take a block away."""
        _here(request)
        async with self._turn:
            before = next((each for each in self._state.blocks if each.id == request.path_params["id"]), None)
            if before is None:
                raise Problem(404, "There is no such block.", code="unknown_block")
            await self._end(before, caller(request).name)
        await self._audit(request, "unblock", "", "", before, None)
        return Response(status_code=204)

    async def _end(self, block: Block, who: str) -> None:
        others = tuple(each for each in self._state.blocks if each.id != block.id)
        if block.subscription is not None and all(each.subscription != block.subscription for each in others):
            try:
                await self._subscription(block.subscription, "resume", "The block has ended.", who)
            except Problem as problem:
                # Ended or resumed by somebody else meanwhile: then there is nothing to give back.
                if problem.status not in (404, 409):
                    raise
        await self._keep(msgspec.structs.replace(self._state, blocks=others))

    async def _subscription(self, id_: str, act: str, reason: str, who: str) -> None:
        answer = await self._manage(
            "POST",
            f"subscriptions/{id_}/{act}",
            query={},
            body=msgspec.json.encode(SubscriptionChange(reason=reason)),
            headers={ACTING_FOR: who, ACTING_ORG: ALL_ORGS, "content-type": "application/json"},
        )
        if not answer.is_success:
            document = msgspec.json.decode(answer.content, type=dict[str, Any]) if answer.content else {}
            raise Problem(
                answer.status_code, document.get("detail") or "The subscription could not be changed.",
                code=document.get("code"),
            )  # fmt: skip

    async def _keep(self, state: _State) -> None:
        await asyncio.to_thread(write_private, self._file, msgspec.json.encode(state))
        self._state = state
        self._changed.set()
        await self._apply()

    async def _apply(self) -> None:
        # A gateway that is away takes the newest table when it comes back.
        with contextlib.suppress(GatewayAway):
            await self._gateway.shut(
                [
                    Closed(name=f"{each.org}/{each.app}", message=each.message, until=each.until)
                    for each in self._state.closed
                ],
                [
                    Blocked(network=each.network, until=each.until)
                    for each in self._state.blocks
                    if each.network is not None
                ],
            )

    async def _expire(self) -> None:
        """Take each block away when its time has come; what could not be ended is tried again."""
        while True:
            self._changed.clear()
            now = self._clock()
            try:
                async with self._turn:
                    for block in [each for each in self._state.blocks if each.until <= now]:
                        await self._end(block, "expiry")
                        _log.info("block_ended", block=block.id)
                pause = min(((each.until - now).total_seconds() for each in self._state.blocks), default=None)
            except (Problem, OSError) as error:
                _log.warning("block_not_ended", reason=str(error))
                pause = _RETRY_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    async def _audit(self, request: Request, action: str, org: str, app: str, before: Any, after: Any) -> None:
        operator = caller(request)
        await self._note(
            AuditEntry(
                at=self._clock(), who=operator.name, address=operator.address, action=action,
                environment=environment.NAME, org=org, app=app,
                before=None if before is None else msgspec.to_builtins(before),
                after=None if after is None else msgspec.to_builtins(after),
            )
        )  # fmt: skip


def _here(request: Request) -> None:
    name = request.path_params["environment"]
    if name != environment.NAME:
        raise Problem(
            409,
            f"The ingress of {name} is not on this machine: shut apps and block clients there with the values "
            "`protection` of its cluster's chart.",
            code="other_ingress",
        )


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Problem(400, f"{text} is neither an address nor a range.", code="invalid_block") from None
    if network.prefixlen < (8 if network.version == 4 else 24):
        raise Problem(400, f"{text} is too wide a range to block.", code="invalid_block")
    return str(network)


def _load(file: Path) -> _State:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_State)
    except FileNotFoundError:
        return _State()
    except msgspec.MsgspecError as error:
        _log.error("protection_file_unreadable", reason=str(error))
        return _State()
