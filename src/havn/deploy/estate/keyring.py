"""`Keyring` from the rows: orgs' public signing keys, and the sealed access key of each rollout of an app."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from joserfc import jwk

from havn.deploy.estate.model import key_place
from havn.deploy.estate.store import EstateStore
from havn.deploy.sealing import Sealer, SealError
from havn.kit.problem import Problem


class StoredKeyring:
    """See `Keyring`."""

    def __init__(self, store: EstateStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    async def trusted(self, org: str) -> Sequence[str]:
        """See `Keyring.trusted`."""
        return await self._store.public_keys(org)

    async def access_key(self, environment: str, org: str, app: str, rollout: int) -> str:
        """See `Keyring.access_key`."""
        place = key_place(environment, org, app, rollout)
        while (found := await self._store.app_key(environment, org, app, rollout)) is None:
            key = jwk.generate_key("EC", "P-256", private=True)
            members = {**key.as_dict(private=True), "kid": key.thumbprint(), "alg": "ES256", "use": "sig"}
            try:
                sealed = self._sealer.seal(place, msgspec.json.encode(members).decode())
            except SealError as error:
                raise Problem(500, str(error), code="sealing_failed") from None
            await self._store.add_app_key(environment, org, app, rollout, key.thumbprint(), sealed)
        try:
            return self._sealer.open(place, found[1])
        except SealError as error:
            raise Problem(500, str(error), code="sealing_failed") from None

    async def rollouts(self, environment: str, org: str, app: str) -> Sequence[int]:
        """See `Keyring.rollouts`."""
        return await self._store.app_keys(environment, org, app)

    async def key_id(self, environment: str, org: str, app: str, rollout: int) -> str | None:
        """See `Keyring.key_id`; it is not sealed, so that a key can be withdrawn that can be opened no more."""
        found = await self._store.app_key(environment, org, app, rollout)
        return None if found is None else found[0]

    async def forget(self, environment: str, org: str, app: str, rollout: int) -> None:
        """See `Keyring.forget`."""
        await self._store.remove_app_key(environment, org, app, rollout)
