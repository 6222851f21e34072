"""The keys of orgs and of app deployments on this machine, in the encrypted secrets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from havn.deploy.release.signing import SigningKey
from havn.local.secrets import SecretStore
from havn.platform.secrets import new_key


class LocalKeyring:
    """See `havn.deploy.environments.Keyring`; also holds the orgs' private signing keys, one for each."""

    def __init__(self, store: SecretStore) -> None:
        self._store = store

    def signing_key(self, org: str) -> SigningKey:
        """The key with which the org's releases are signed on this machine."""
        return SigningKey(self._store.get(f"org/{org}/signing-key", SigningKey.generate))

    async def trusted(self, org: str) -> Sequence[str]:
        """See `Keyring.trusted`."""
        found = self._store.find(f"org/{org}/signing-key")
        return [SigningKey(found).public()] if found is not None else []

    async def access_key(self, environment: str, org: str, app: str, rollout: int) -> str:
        """See `Keyring.access_key`."""
        return self._store.get(_name(environment, org, app, rollout), new_key)

    async def rollouts(self, environment: str, org: str, app: str) -> Sequence[int]:
        """See `Keyring.rollouts`."""
        prefix = f"app/{environment}/{org}/{app}/"
        found = (int(name.removeprefix(prefix)) for name in self._store.under(prefix))
        # 0 is that of `havn dev`, which no deployment may take away.
        return sorted(each for each in found if each)

    async def key_id(self, environment: str, org: str, app: str, rollout: int) -> str | None:
        """See `Keyring.key_id`."""
        found = self._store.find(_name(environment, org, app, rollout))
        return None if found is None else str(msgspec.json.decode(found, type=dict[str, Any])["kid"])

    async def forget(self, environment: str, org: str, app: str, rollout: int) -> None:
        """See `Keyring.forget`."""
        self._store.remove(_name(environment, org, app, rollout))


def _name(environment: str, org: str, app: str, rollout: int) -> str:
    return f"app/{environment}/{org}/{app}/{rollout}"
