"""The registry port on an OCI registry over HTTP (OCI Distribution Specification 1.1).

Uploads are resumed where the registry says it got to, blobs that are there are not sent again, and a registry without
the referrers API is used through the fallback tag that the specification gives (`sha256-…`).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from havn.deploy.registry.model import (
    INDEX,
    MANIFEST,
    Descriptor,
    Index,
    Manifest,
    describe,
    digest_of,
    encode,
    is_digest,
    is_repository,
)
from havn.deploy.registry.port import NotInRegistry, RegistryError
from havn.kit.http import HttpClient, Response, TransportError
from havn.kit.problem import Problem

_MAX_SMALL = 16 * 1024 * 1024
_CHUNK = 4 * 1024 * 1024
_TRIES = 4
_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class Credentials(msgspec.Struct, frozen=True):
    """A user and password, or token, for one registry."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.user!r})"


class Unreachable(RegistryError):
    """The registry cannot be reached just now."""


class _Unexpected(RegistryError):
    """An answer that the specification does not give here."""


class _Token(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None


class RemoteRegistry:
    """See `Registry`. `prefix` stands before every repository, for a registry that is shared."""

    def __init__(
        self,
        client: HttpClient,
        *,
        prefix: str = "",
        credentials: Credentials | None = None,
        pauses: Sequence[float] = _PAUSES,
    ) -> None:
        """`pauses`: seconds before each further try of an upload that broke off."""
        self._client = client
        self._pauses = pauses
        self._prefix = f"{prefix.strip('/')}/" if prefix else ""
        self._credentials = credentials
        self._tokens: dict[str, str] = {}
        # The fallback index is read, changed and written back: one at a time from this process.
        self._referring = asyncio.Lock()

    async def has(self, repository: str, digest: str) -> bool:
        """See `Registry.has`."""
        return (await self._call("HEAD", repository, f"blobs/{_digest(digest)}", accept=(200, 404))).status_code == 200

    async def put(self, repository: str, content: bytes | Path, media_type: str) -> Descriptor:
        """See `Registry.put`."""
        if isinstance(content, bytes):
            descriptor = describe(content, media_type)
        else:
            with content.open("rb") as file:
                digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
                descriptor = Descriptor(media_type=media_type, digest=digest, size=file.tell())
        if not await self.has(repository, descriptor.digest):
            await self._upload(repository, content, descriptor)
        return descriptor

    async def mount(self, repository: str, digest: str, origin: str) -> bool:
        """See `Registry.mount`."""
        if not is_repository(origin):
            return False
        wanted = urlencode({"mount": _digest(digest), "from": f"{self._prefix}{origin}"})
        try:
            answer = await self._call("POST", repository, f"blobs/uploads/?{wanted}", accept=(201, 202))
        except Unreachable:
            raise
        except RegistryError:
            # It may not let us read there: the blob is sent as any other.
            return False
        if answer.status_code == 202:
            # It opened an upload instead, which nobody will use.
            with suppress(RegistryError):
                await self._send("DELETE", repository, _place(answer), accept=(200, 202, 204, 404))
        return answer.status_code == 201

    async def read(self, repository: str, descriptor: Descriptor) -> bytes:
        """See `Registry.read`."""
        if descriptor.size > _MAX_SMALL:
            raise RegistryError(f"{descriptor.digest} of {repository} is larger than it may be.")
        data = b"".join([piece async for piece in self._pieces(repository, descriptor, 0)])
        if len(data) != descriptor.size or digest_of(data) != descriptor.digest:
            raise _damaged(repository, descriptor.digest)
        return data

    async def fetch(self, repository: str, descriptor: Descriptor, to: Path) -> None:
        """See `Registry.fetch`. A connection that breaks is taken up again where it broke."""
        handle, name = tempfile.mkstemp(dir=to.parent, prefix=".new-")
        fresh = Path(name)
        try:
            seen, size = hashlib.sha256(), 0
            with os.fdopen(handle, "wb") as file:
                for left in reversed(range(_TRIES)):
                    try:
                        async for piece in self._pieces(repository, descriptor, size):
                            seen.update(piece)
                            size += len(piece)
                            file.write(piece)
                        break
                    except TransportError as error:
                        if not left:
                            raise RegistryError(f"Fetching {descriptor.digest} broke off: try again.") from error
            if size != descriptor.size or f"sha256:{seen.hexdigest()}" != descriptor.digest:
                raise _damaged(repository, descriptor.digest)
            fresh.chmod(0o644)
            fresh.replace(to)
        finally:
            with suppress(FileNotFoundError):
                fresh.unlink()

    async def put_manifest(self, repository: str, manifest: Manifest, *, tag: str | None = None) -> Descriptor:
        """See `Registry.put_manifest`."""
        data = encode(manifest)
        stored = describe(data, manifest.media_type)
        for reference in (stored.digest, *([tag] if tag is not None else [])):
            answer = await self._call(
                "PUT", repository, f"manifests/{reference}", accept=(201,), content=data,
                headers={"content-type": manifest.media_type},
            )  # fmt: skip
        if manifest.subject is not None and "oci-subject" not in answer.headers:
            await self._add_to_fallback(repository, manifest, stored)
        return stored

    async def manifest(self, repository: str, reference: str) -> tuple[Descriptor, Manifest]:
        """See `Registry.manifest`."""
        data = await self._document(repository, reference, MANIFEST)
        if data is None:
            raise NotInRegistry(f"{repository} has no release {reference}.")
        if is_digest(reference) and digest_of(data) != reference:
            raise _damaged(repository, reference)
        try:
            return describe(data, MANIFEST), msgspec.json.decode(data, type=Manifest)
        except msgspec.MsgspecError as error:
            raise RegistryError(f"{reference} of {repository} is not a manifest: {error}.") from None

    async def referrers(
        self, repository: str, digest: str, artifact_type: str | None = None
    ) -> list[tuple[Descriptor, Manifest]]:
        """See `Registry.referrers`."""
        found: list[tuple[Descriptor, Manifest]] = []
        for entry in await self._referring_to(repository, _digest(digest)):
            if artifact_type is not None and entry.artifact_type not in (None, artifact_type):
                continue
            descriptor, manifest = await self.manifest(repository, entry.digest)
            fits = artifact_type is None or manifest.artifact_type == artifact_type
            if fits and manifest.subject is not None and manifest.subject.digest == digest:
                found.append((msgspec.structs.replace(descriptor, artifact_type=manifest.artifact_type), manifest))
        return found

    async def tags(self, repository: str) -> dict[str, str]:
        """See `Registry.tags`."""
        answer = await self._call("GET", repository, "tags/list", accept=(200, 404))
        if answer.status_code == 404:
            return {}
        names = msgspec.json.decode(answer.content).get("tags") or []
        found = {}
        for name in names:
            if name.startswith("sha256-"):
                continue
            data = await self._document(repository, name, MANIFEST)
            if data is not None:
                found[name] = digest_of(data)
        return found

    async def _upload(self, repository: str, content: bytes | Path, descriptor: Descriptor) -> None:
        """Send a blob piece by piece, going on after a break where the registry says that it got to."""
        place, offset, failures = "", 0, 0
        while True:
            try:
                if failures:
                    place, offset = await self._arrived(repository, place)
                    if not place and await self.has(repository, descriptor.digest):
                        return
                if not place:
                    place, offset = _place(await self._call("POST", repository, "blobs/uploads/", accept=(202,))), 0
                while offset < descriptor.size:
                    piece = _piece(content, offset)
                    sent = await self._send(
                        "PATCH", repository, place, accept=(202,), content=piece,
                        headers={
                            "content-type": "application/octet-stream",
                            "content-range": f"{offset}-{offset + len(piece) - 1}",
                        },
                    )  # fmt: skip
                    place, offset, failures = _place(sent), offset + len(piece), 0
                finish = f"{place}{'&' if '?' in place else '?'}{urlencode({'digest': descriptor.digest})}"
                await self._send("PUT", repository, finish, accept=(201,), headers={"content-length": "0"})
            except (Unreachable, _Unexpected):
                if failures == len(self._pauses):
                    raise
                await asyncio.sleep(self._pauses[failures])
                failures += 1
            else:
                return

    async def _arrived(self, repository: str, place: str) -> tuple[str, int]:
        """Where an upload goes on, and how much of it the registry has; no place when it forgot the upload."""
        if not place:
            return "", 0
        try:
            asked = await self._send("GET", repository, place, accept=(204,))
        except (NotInRegistry, _Unexpected):
            return "", 0
        return _place(asked), int(asked.headers.get("range", "0--1").rsplit("-", 1)[1]) + 1

    async def _add_to_fallback(self, repository: str, manifest: Manifest, stored: Descriptor) -> None:
        assert manifest.subject is not None
        tag = manifest.subject.digest.replace(":", "-")
        entry = msgspec.structs.replace(
            stored, artifact_type=manifest.artifact_type, annotations=dict(manifest.annotations)
        )
        async with self._referring:
            known = await self._referring_to(repository, manifest.subject.digest)
            if any(other.digest == entry.digest for other in known):
                return
            index = Index(schema_version=2, media_type=INDEX, manifests=(*known, entry))
            await self._call(
                "PUT", repository, f"manifests/{tag}", accept=(201,), content=encode(index),
                headers={"content-type": INDEX},
            )  # fmt: skip

    async def _referring_to(self, repository: str, digest: str) -> tuple[Descriptor, ...]:
        answer = await self._call("GET", repository, f"referrers/{digest}", accept=(200, 404))
        if answer.status_code == 200 and answer.headers.get("content-type", "").startswith(INDEX):
            data: bytes | None = answer.content
        else:
            data = await self._document(repository, digest.replace(":", "-"), INDEX)
        if data is None:
            return ()
        try:
            return msgspec.json.decode(data, type=Index).manifests
        except msgspec.MsgspecError as error:
            raise RegistryError(f"What refers to {digest} of {repository} cannot be read: {error}.") from None

    async def _document(self, repository: str, reference: str, media_type: str) -> bytes | None:
        answer = await self._call(
            "GET", repository, f"manifests/{reference}", accept=(200, 404), headers={"accept": media_type}
        )
        if answer.status_code == 404:
            return None
        if len(answer.content) > _MAX_SMALL:
            raise RegistryError(f"{reference} of {repository} is larger than it may be.")
        return answer.content

    async def _pieces(self, repository: str, descriptor: Descriptor, offset: int) -> AsyncIterator[bytes]:
        headers = {"range": f"bytes={offset}-"} if offset else {}
        path = f"{self._place(repository)}/blobs/{_digest(descriptor.digest)}"
        # A small call first, so that the token is at hand: a stream cannot be begun twice.
        if not await self.has(repository, descriptor.digest):
            raise NotInRegistry(f"{repository} has no {descriptor.digest} in the registry.")
        size = offset
        async with self._stream(path, {**headers, **self._authority(repository)}) as answer:
            if answer.status_code not in (200, 206) or (offset and answer.status_code != 206):
                raise RegistryError(f"The registry answered {answer.status_code} for {descriptor.digest}.")
            async for piece in answer.aiter_bytes(1024 * 1024):
                size += len(piece)
                if size > descriptor.size:
                    raise _damaged(repository, descriptor.digest)
                yield piece

    @asynccontextmanager
    async def _stream(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[Any]:
        """An answer read piece by piece; where blobs are kept elsewhere it follows there once, without our token."""
        async with self._client.stream("GET", path, headers=headers) as answer:
            if answer.status_code not in (301, 302, 303, 307, 308):
                yield answer
                return
            target = answer.headers.get("location", "")
        kept = {name: value for name, value in headers.items() if name == "range"}
        async with self._client.stream("GET", target, headers=kept) as answer:
            yield answer

    async def _call(
        self, method: str, repository: str, path: str, *, accept: tuple[int, ...], content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:  # fmt: skip
        full = f"{self._place(repository)}/{path}"
        return await self._send(method, repository, full, accept=accept, content=content, headers=headers)

    async def _send(
        self, method: str, repository: str, path: str, *, accept: tuple[int, ...], content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:  # fmt: skip
        for attempt in range(2):
            sent = {**(headers or {}), **self._authority(repository)}
            try:
                answer = await self._client.request(method, path, headers=sent, content=content)
            except Problem as problem:
                raise Unreachable("The registry cannot be reached just now: try again.") from problem
            if answer.status_code == 401 and attempt == 0:
                await self._authorise(repository, answer.headers.get("www-authenticate", ""))
                continue
            break
        if answer.status_code in (401, 403):
            raise RegistryError(f"The registry does not let us into {self._prefix}{repository}: check its credentials.")
        if answer.status_code == 404 and 404 not in accept:
            raise NotInRegistry(f"{repository} is not in the registry.")
        if answer.status_code not in accept:
            raise _Unexpected(f"The registry answered {answer.status_code} to {method} for {repository}.")
        return answer

    def _place(self, repository: str) -> str:
        if not is_repository(repository):
            raise RegistryError(f"{repository[:60]!r} cannot be a repository.")
        return f"/v2/{self._prefix}{repository}"

    def _authority(self, repository: str) -> dict[str, str]:
        token = self._tokens.get(repository)
        return {"authorization": token} if token else {}

    async def _authorise(self, repository: str, challenge: str) -> None:
        """Answer a challenge: Basic with our credentials, or Bearer with a token from the realm it names."""
        scheme = challenge.split(" ", 1)[0].lower()
        basic = None
        if self._credentials is not None:
            pair = f"{self._credentials.user}:{self._credentials.password}".encode()
            basic = f"Basic {base64.b64encode(pair).decode()}"
        if scheme == "basic" and basic is not None:
            self._tokens[repository] = basic
        elif scheme == "bearer":
            asked = dict(_CHALLENGE.findall(challenge))
            realm = asked.get("realm", "")
            if urlsplit(realm).scheme not in ("http", "https"):
                raise RegistryError("The registry names no place to get a token from.")
            scope = f"repository:{self._prefix}{repository}:pull,push"
            params = {"service": asked.get("service", ""), "scope": asked.get("scope") or scope}
            got = await self._client.request(
                "GET", realm, params=params, headers={"authorization": basic} if basic else None
            )
            if got.status_code != 200:
                raise RegistryError("The registry gives us no token: check its credentials.")
            token = msgspec.json.decode(got.content, type=_Token)
            self._tokens[repository] = f"Bearer {token.token or token.access_token}"


def _piece(content: bytes | Path, offset: int) -> bytes:
    if isinstance(content, bytes):
        return content[offset : offset + _CHUNK]
    with content.open("rb") as file:
        file.seek(offset)
        return file.read(_CHUNK)


def _place(answer: Response) -> str:
    location: str = answer.headers.get("location", "")
    if not location:
        raise RegistryError("The registry names no place to upload to.")
    # Relative or absolute: only ever on the registry that we were given.
    parts = urlsplit(location)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _digest(digest: str) -> str:
    if not is_digest(digest):
        raise RegistryError(f"{digest[:80]!r} is not a sha256 digest.")
    return digest


def _damaged(repository: str, digest: str) -> RegistryError:
    return RegistryError(f"{digest} of {repository} is damaged in the registry: its bytes do not match its digest.")
