"""What can be shut, whatever the ingress is: this machine's own gateway, or those of orgs' clusters."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from havn.appfolder.ids import AppId
from havn.contracts.protection import Block, BlockRequest, ClosedApp, ClosingRequest
from havn.deploy.author import Author


class Ingresses(Protocol):
    """The ingresses of environments. All of it raises `Problem`s, and every change is in the audit log."""

    async def closed(self, environment: str, orgs: Collection[str] | None) -> list[ClosedApp]:
        """The apps in maintenance of these orgs, or of all."""
        ...

    async def close(self, environment: str, app: AppId, wanted: ClosingRequest, author: Author) -> ClosedApp:
        """Put an app in maintenance, or change what is said about it."""
        ...

    async def open(self, environment: str, app: AppId, author: Author) -> bool:
        """Take an app out of maintenance; false when its ingress could not be told yet."""
        ...

    async def blocks(self, environment: str) -> list[Block]:
        """What is blocked."""
        ...

    async def block(self, environment: str, wanted: BlockRequest, author: Author) -> Block:
        """Block an address, a range or a subscription for a time."""
        ...

    async def unblock(self, environment: str, id_: str, author: Author) -> bool:
        """Take a block away; false when some ingress could not be told yet."""
        ...
