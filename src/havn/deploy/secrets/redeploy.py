"""Deploying anew what is given a secret that has changed: the same release, with the secrets as they are now."""

from __future__ import annotations

from havn.contracts.deploy import Deployment
from havn.deploy.access import Operator
from havn.deploy.secrets.store import Scope
from havn.deploy.store import Store, Wanted
from havn.kit.clock import Clock


class Redeploy:
    """Asks for a deployment of each app that a scope's secrets go to."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def __call__(self, scope: Scope, operator: Operator) -> list[Deployment]:
        """The deployments, none when nothing of the scope is deployed."""
        found = []
        for desired in await self._store.all_desired(scope.environment, scope.org):
            if scope.app in ("", desired.target.app):
                wanted = Wanted(
                    target=desired.target,
                    kind="deploy",
                    release=desired.release,
                    replicas=desired.replicas,
                    who=operator.name,
                    address=operator.address,
                )
                found.append(await self._store.request(wanted, self._clock()))
        return found
