"""The registry port on a folder: an OCI Image Layout for each repository, readable by every tool that knows them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from havn.deploy.registry.model import (
    INDEX,
    MANIFEST,
    REF_NAME,
    Descriptor,
    Index,
    Manifest,
    digest_of,
    encode,
    is_digest,
    is_repository,
)
from havn.deploy.registry.port import NotInRegistry, RegistryError

_MAX_SMALL = 16 * 1024 * 1024
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
# On the descriptor of a referrer in the index, so that finding it needs no look into every manifest.
_SUBJECT = "havn.subject"


class LayoutRegistry:
    """See `Registry`. Several processes may use the folder at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def has(self, repository: str, digest: str) -> bool:
        """See `Registry.has`."""
        return self._blob(repository, digest).is_file()

    async def put(self, repository: str, content: bytes | Path, media_type: str) -> Descriptor:
        """See `Registry.put`."""
        if isinstance(content, bytes):
            digest, size = digest_of(content), len(content)
        else:
            with content.open("rb") as file:
                digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
                size = file.tell()
        target = self._blob(repository, digest)
        if not target.exists():
            self._make(repository)
            with self._whole(target) as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    with content.open("rb") as source:
                        shutil.copyfileobj(source, file)
        return Descriptor(media_type=media_type, digest=digest, size=size)

    async def mount(self, repository: str, digest: str, origin: str) -> bool:
        """See `Registry.mount`."""
        source, target = self._blob(origin, digest), self._blob(repository, digest)
        self._make(repository)
        try:
            # Blobs never change, so two names for one file will do.
            os.link(source, target)
        except FileNotFoundError:
            return False
        except FileExistsError:
            pass
        except OSError:
            return False
        return True

    async def read(self, repository: str, descriptor: Descriptor) -> bytes:
        """See `Registry.read`."""
        if descriptor.size > _MAX_SMALL:
            raise RegistryError(f"{descriptor.digest} of {repository} is larger than it may be.")
        try:
            with self._blob(repository, descriptor.digest).open("rb") as file:
                data = file.read(descriptor.size + 1)
        except FileNotFoundError:
            raise _absent(repository, descriptor.digest) from None
        if len(data) != descriptor.size or digest_of(data) != descriptor.digest:
            raise _damaged(repository, descriptor.digest)
        return data

    async def fetch(self, repository: str, descriptor: Descriptor, to: Path) -> None:
        """See `Registry.fetch`."""
        try:
            source = self._blob(repository, descriptor.digest).open("rb")
        except FileNotFoundError:
            raise _absent(repository, descriptor.digest) from None
        seen, size = hashlib.sha256(), 0
        with source, self._whole(to) as file:
            while piece := source.read(1024 * 1024):
                seen.update(piece)
                size += len(piece)
                if size > descriptor.size:
                    break
                file.write(piece)
            if size != descriptor.size or f"sha256:{seen.hexdigest()}" != descriptor.digest:
                raise _damaged(repository, descriptor.digest)

    async def put_manifest(self, repository: str, manifest: Manifest, *, tag: str | None = None) -> Descriptor:
        """See `Registry.put_manifest`."""
        if tag is not None and not _TAG.fullmatch(tag):
            raise RegistryError(f"{tag[:60]!r} cannot be a tag.")
        for needed in (manifest.config, *manifest.layers):
            if not await self.has(repository, needed.digest):
                raise _absent(repository, needed.digest)
        stored = await self.put(repository, encode(manifest), MANIFEST)
        entry = Descriptor(
            media_type=MANIFEST,
            digest=stored.digest,
            size=stored.size,
            artifact_type=manifest.artifact_type,
            annotations={_SUBJECT: manifest.subject.digest} if manifest.subject is not None else {},
        )
        with self._index(repository) as index:
            # What is stored again moves to the end, so that the order is that of storing.
            entries = [known for known in index if known.digest != entry.digest or REF_NAME in known.annotations]
            if tag is not None:
                entries = [known for known in entries if known.annotations.get(REF_NAME) != tag]
                entries.append(msgspec.structs.replace(entry, annotations={**entry.annotations, REF_NAME: tag}))
            elif all(known.digest != entry.digest for known in entries):
                entries.append(entry)
            index[:] = entries
        return stored

    async def manifest(self, repository: str, reference: str) -> tuple[Descriptor, Manifest]:
        """See `Registry.manifest`."""
        for entry in self._entries(repository):
            if reference in (entry.digest, entry.annotations.get(REF_NAME)):
                bare = Descriptor(media_type=entry.media_type, digest=entry.digest, size=entry.size)
                return bare, await self._decode(repository, bare)
        raise NotInRegistry(f"{repository} has no release {reference}.")

    async def referrers(
        self, repository: str, digest: str, artifact_type: str | None = None
    ) -> list[tuple[Descriptor, Manifest]]:
        """See `Registry.referrers`."""
        found: dict[str, tuple[Descriptor, Manifest]] = {}
        for entry in self._entries(repository):
            if entry.annotations.get(_SUBJECT) != digest or entry.digest in found:
                continue
            if artifact_type is not None and entry.artifact_type != artifact_type:
                continue
            manifest = await self._decode(repository, entry)
            if manifest.subject is not None and manifest.subject.digest == digest:
                found[entry.digest] = (entry, manifest)
        return list(found.values())

    async def tags(self, repository: str) -> dict[str, str]:
        """See `Registry.tags`."""
        entries = self._entries(repository)
        return {entry.annotations[REF_NAME]: entry.digest for entry in entries if REF_NAME in entry.annotations}

    def newest(self, repository: str, artifact_type: str) -> str | None:
        """The digest of the manifest of that type that was stored last, or None."""
        found = [entry.digest for entry in self._entries(repository) if entry.artifact_type == artifact_type]
        return found[-1] if found else None

    async def _decode(self, repository: str, descriptor: Descriptor) -> Manifest:
        try:
            return msgspec.json.decode(await self.read(repository, descriptor), type=Manifest)
        except msgspec.MsgspecError as error:
            raise RegistryError(f"{descriptor.digest} of {repository} is not a manifest: {error}.") from None

    def _place(self, repository: str) -> Path:
        if not is_repository(repository):
            raise RegistryError(f"{repository[:60]!r} cannot be a repository.")
        return self._folder / repository

    def _blob(self, repository: str, digest: str) -> Path:
        if not is_digest(digest):
            raise RegistryError(f"{digest[:80]!r} is not a sha256 digest.")
        return self._place(repository) / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def _make(self, repository: str) -> None:
        place = self._place(repository)
        (place / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        if not (place / "oci-layout").exists():
            with self._whole(place / "oci-layout") as file:
                file.write(_LAYOUT)

    def _entries(self, repository: str) -> list[Descriptor]:
        try:
            data = (self._place(repository) / "index.json").read_bytes()
        except FileNotFoundError:
            return []
        try:
            return list(msgspec.json.decode(data, type=Index).manifests)
        except msgspec.MsgspecError as error:
            raise RegistryError(f"The index of {repository} is damaged: {error}.") from None

    @contextmanager
    def _index(self, repository: str) -> Iterator[list[Descriptor]]:
        """The index's entries, to be changed in place while nobody else does."""
        place = self._place(repository)
        with (place / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = self._entries(repository)
            yield entries
            with self._whole(place / "index.json") as file:
                file.write(encode(Index(schema_version=2, media_type=INDEX, manifests=tuple(entries))))

    @contextmanager
    def _whole(self, target: Path) -> Iterator[IO[bytes]]:
        """Write beside `target`, then put in its place: it is there whole, or as it was."""
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise


def _absent(repository: str, digest: str) -> NotInRegistry:
    return NotInRegistry(f"{repository} has no {digest} in the registry.")


def _damaged(repository: str, digest: str) -> RegistryError:
    return RegistryError(f"{digest} of {repository} is damaged in the registry: its bytes do not match its digest.")
