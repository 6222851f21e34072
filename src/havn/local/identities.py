"""The age identities of the control plane on this machine: in the encrypted secrets, outside the database."""

from __future__ import annotations

from collections.abc import Sequence

import pyrage

from havn.local.secrets import SecretStore

_NAME = "deploy/identities"


class LocalIdentities:
    """See `havn.deploy.sealing.Identities`; the first is made when it is first asked for."""

    def __init__(self, store: SecretStore) -> None:
        self._store = store

    def all(self) -> Sequence[str]:
        """See `Identities.all`."""
        return self._store.get(_NAME, _new).split()

    def renew(self) -> None:
        """See `Identities.renew`."""
        self._store.put(_NAME, "\n".join([_new(), *self.all()]))

    def keep_first(self) -> None:
        """See `Identities.keep_first`."""
        self._store.put(_NAME, self.all()[0])


def _new() -> str:
    return str(pyrage.x25519.Identity.generate())
