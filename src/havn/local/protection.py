"""Maintenance and blocks on one machine: kept in a file of the state folder, in force at the gateway at once.

A blocked subscription is suspended at the management API, and resumed when its block ends; everything else the gateway
does. Each change is in the audit log.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

import msgspec
import structlog

from havn.appfolder.ids import AppId
from havn.contracts.deploy import AuditEntry
from havn.contracts.protection import Block, BlockRequest, ClosedApp, ClosingRequest
from havn.deploy.author import Author
from havn.deploy.protection import rules, subscriptions
from havn.deploy.protection.subscriptions import Manage
from havn.gateway.ingress.shut import Blocked, Closed
from havn.kit.background import cancel
from havn.kit.clock import Clock, system_clock
from havn.kit.problem import Problem
from havn.local import environment
from havn.local.gateway import Gateway, GatewayAway
from havn.local.secrets import write_private

_log = structlog.get_logger("protection")
_RETRY_SECONDS = 5.0
_EXPIRY = "expiry"

Known = Callable[[], Awaitable[Collection[AppId]]]
Note = Callable[[AuditEntry], Awaitable[None]]


class _State(msgspec.Struct, frozen=True):
    closed: tuple[ClosedApp, ...] = ()
    blocks: tuple[Block, ...] = ()


class Protection:
    """See `Ingresses`: that of this machine's environment, whatever name it is called by.

    `known` tells the apps there are, `manage` calls the management API, `note` writes to the audit.
    """

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
            await cancel(self._expiring)

    async def closed(self, environment: str, orgs: Collection[str] | None) -> list[ClosedApp]:
        """See `Ingresses.closed`."""
        return [each for each in self._state.closed if orgs is None or each.org in orgs]

    async def close(self, environment: str, app: AppId, wanted: ClosingRequest, author: Author) -> ClosedApp:
        """See `Ingresses.close`."""
        if app not in await self._known():
            raise Problem(404, f"There is no app {app} here.", code="unknown_app")
        made = rules.closing(app, wanted, author)
        async with self._turn:
            before = self._find(app)
            others = tuple(each for each in self._state.closed if each is not before)
            await self._keep(msgspec.structs.replace(self._state, closed=(*others, made)))
        await self._audit(author, "maintenance_on", app, before, made)
        return made

    async def open(self, environment: str, app: AppId, author: Author) -> bool:
        """See `Ingresses.open`."""
        async with self._turn:
            before = self._find(app)
            if before is None:
                raise rules.not_closed(app)
            await self._open(before, author)
        return True

    async def blocks(self, environment: str) -> list[Block]:
        """See `Ingresses.blocks`."""
        return [each for each in self._state.blocks if each.until > self._clock()]

    async def block(self, environment: str, wanted: BlockRequest, author: Author) -> Block:
        """See `Ingresses.block`."""
        made = rules.blocking(wanted, author)
        async with self._turn:
            if len(self._state.blocks) >= rules.MAX_BLOCKS:
                raise rules.too_many()
            if made.subscription is not None:
                await subscriptions.suspend(self._manage, made.subscription, made.reason, author.who)
            await self._keep(msgspec.structs.replace(self._state, blocks=(*self._state.blocks, made)))
        await self._audit(author, "block", None, None, made)
        return made

    async def unblock(self, environment: str, id_: str, author: Author) -> bool:
        """See `Ingresses.unblock`."""
        async with self._turn:
            before = next((each for each in self._state.blocks if each.id == id_), None)
            if before is None:
                raise rules.no_block()
            await self._end(before, author)
        return True

    def _find(self, app: AppId) -> ClosedApp | None:
        return next((each for each in self._state.closed if (each.org, each.app) == (app.org, app.app)), None)

    async def _open(self, closed: ClosedApp, author: Author) -> None:
        others = tuple(each for each in self._state.closed if each is not closed)
        await self._keep(msgspec.structs.replace(self._state, closed=others))
        await self._audit(author, "maintenance_off", AppId(closed.org, closed.app), closed, None)

    async def _end(self, block: Block, author: Author) -> None:
        others = tuple(each for each in self._state.blocks if each.id != block.id)
        if block.subscription is not None and all(each.subscription != block.subscription for each in others):
            await subscriptions.resume(self._manage, block.subscription, author.who)
        await self._keep(msgspec.structs.replace(self._state, blocks=others))
        await self._audit(author, "unblock", None, block, None)

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
        """End each maintenance and each block when its time has come; what could not be ended is tried again."""
        while True:
            self._changed.clear()
            now = self._clock()
            author = Author(_EXPIRY, "", now)
            try:
                async with self._turn:
                    for closed in [each for each in self._state.closed if each.until is not None and each.until <= now]:
                        await self._open(closed, author)
                        _log.info("maintenance_ended", app=f"{closed.org}/{closed.app}")
                    for block in [each for each in self._state.blocks if each.until <= now]:
                        await self._end(block, author)
                        _log.info("block_ended", block=block.id)
                ends = [each.until for each in self._state.blocks]
                ends += [each.until for each in self._state.closed if each.until is not None]
                pause = min(((each - now).total_seconds() for each in ends), default=None)
            except Exception as error:  # noqa: BLE001  (whatever it was, the rest must end in time too)
                _log.warning("protection_not_ended", reason=str(error))
                pause = _RETRY_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    async def _audit(self, author: Author, action: str, app: AppId | None, before: Any, after: Any) -> None:
        await self._note(
            AuditEntry(
                at=author.now, who=author.who, address=author.address, action=action, environment=environment.NAME,
                org=app.org if app is not None else "", app=app.app if app is not None else "",
                before=None if before is None else msgspec.to_builtins(before),
                after=None if after is None else msgspec.to_builtins(after),
            )
        )  # fmt: skip


def _load(file: Path) -> _State:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_State)
    except FileNotFoundError:
        return _State()
    except msgspec.MsgspecError as error:
        _log.error("protection_file_unreadable", reason=str(error))
        return _State()
