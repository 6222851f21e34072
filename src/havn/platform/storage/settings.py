"""Settings of the Storage API."""

from __future__ import annotations

import msgspec

MiB = 1024 * 1024


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Read by `havn.kit.settings` from the environment and the secrets folder."""

    domain: str
    """The environment's domain, with port when it is not the scheme's own."""
    platform_url: str
    """Where platform APIs are reached from this process."""
    storage_database_url: str
    storage_blobs_url: str
    """Where contents lie: `file:///folder`, `s3://bucket/prefix`, `az://container/prefix`."""
    platform_access_key: str
    """Private JWK of the component `storage`."""
    scheme: str = "https"
    trust_file: str | None = None
    """Authorities that sign the other parts' certificates, beside the system's own; a PEM file, followed."""
    storage_max_upload_bytes: int = 2000 * MiB
    storage_enforce_locks: bool = True
    """Whether a lock on an instance keeps callers without its token from changing it."""
    storage_pool_size: int = 10
