"""Where an instance stands, asked of storage only for requests that do not say."""

from __future__ import annotations

import re

from havn.clients.credentials import Credentials
from havn.clients.storage import StorageClient
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.problem import Problem
from havn.platform.authorization.resources import InstanceFacts

_INSTANCE = re.compile(r"[0-9]{1,10}/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class InstanceLookup:
    """Asks storage with authorization's own platform token."""

    def __init__(self, storage: StorageClient, signer: PlatformTokenSigner) -> None:
        self._storage = storage
        self._signer = signer

    async def facts(self, instance_id: str) -> InstanceFacts | None:
        """The instance's app and place; None when there is no such instance. 503 `Problem` when storage is away."""
        if not _INSTANCE.fullmatch(instance_id):
            return None
        try:
            found = await self._storage.auth_info(instance_id, Credentials(platform_token=self._signer.token()))
        except Problem as problem:
            if problem.status in (403, 404):
                return None
            raise
        org, _, app = found.app_id.partition("/")
        process = found.process
        task = process.current_task.element_id if process is not None and process.current_task is not None else None
        return InstanceFacts(org, app, task, process.end_event if process is not None else None)
