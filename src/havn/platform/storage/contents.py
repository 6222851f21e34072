"""Contents of data elements in the blob store: written aside, then swapped in by a row, then swept.

Before a blob is written its path is announced as garbage; the transaction that refers to it takes the announcement
back. Whatever a crash leaves behind is therefore on the list that `sweep` works through.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import quote

import structlog

from havn.kit.blobs import BlobContent, BlobNotFoundError, Blobs
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.storage.access import not_found
from havn.platform.storage.store import Database, garbage
from havn.platform.storage.store.rows import Stored
from havn.platform.storage.uploads import Received, Upload

# An upload may last half as long as its announcement waits: then no blob is swept before its row can be written.
_GRACE = timedelta(hours=12)
_LONGEST_UPLOAD_SECONDS = 6 * 3600
_BATCH = 500
_log = structlog.get_logger("storage")


class Contents:
    """Writes, reads and removes contents."""

    def __init__(self, database: Database, blobs: Blobs, clock: Clock) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock

    async def receive(self, upload: Upload, stored: Stored, element: str, *, empty: Problem) -> Received:
        """Store an upload at a path of its own; raises `empty` when it has no bytes."""
        org, app = quote(stored.org, safe=""), quote(stored.app, safe="")
        path = f"{org}/{app}/{stored.guid}/{element}/{secrets.token_hex(8)}"
        await garbage.announce(self._database, path, self._clock() + _GRACE)
        try:
            async with asyncio.timeout(_LONGEST_UPLOAD_SECONDS):
                await self._blobs.write(path, upload.chunks())
            if upload.size == 0:
                raise empty
        except BaseException:
            await self.drop(path)
            raise
        return Received(path, upload.size, upload.sha256, upload.content_type, upload.filename)

    async def open(self, path: str | None) -> BlobContent:
        """The content at `path`; raises `BlobNotFoundError`."""
        if path is None:
            raise BlobNotFoundError("")
        return await self._blobs.open(path)

    async def digest(self, path: str | None) -> str:
        """SHA-256 of what lies at `path`, in lower-case hex; 404 when nothing does."""
        try:
            content = await self.open(path)
        except BlobNotFoundError:
            raise not_found("content") from None
        digest = hashlib.sha256()
        async for chunk in content.chunks:
            digest.update(chunk)
        return digest.hexdigest()

    async def drop(self, *paths: str) -> None:
        """Remove blobs on the garbage list at once, if possible; if not, `sweep` does it later."""
        try:
            for path in paths:
                await self._blobs.delete(path)
                await garbage.removed(self._database, path)
        except (Problem, OSError) as error:
            _log.warning("blob_left_for_later", error=str(error))

    async def sweep(self) -> int:
        """Remove every blob whose time has come; how many."""
        count = 0
        while paths := await garbage.due(self._database, self._clock(), _BATCH):
            for path in paths:
                await self._blobs.delete(path)
                await garbage.removed(self._database, path)
            count += len(paths)
        return count


async def single(content: bytes) -> AsyncIterator[bytes]:
    """`content` as the one chunk of a stream."""
    yield content
