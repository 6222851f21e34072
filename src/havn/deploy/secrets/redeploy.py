"""Deploying anew what is given a secret that has changed: the same release, with the secrets as they are now."""

from __future__ import annotations

from havn.contracts.deploy import Deployment
from havn.deploy.access import Operator
from havn.deploy.secrets.store import Scope
from havn.deploy.store import Desired, Store, Wanted
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
                deployment = await self._deploy(desired, operator)
                if deployment is not None:
                    found.append(deployment)
        return found

    async def _deploy(self, desired: Desired, operator: Operator) -> Deployment | None:
        """A deployment that is given the secrets as they are; None when the app is on its way out."""
        release, base = desired.release, desired.base
        newest = next(iter(await self._store.history(desired.target, 1)), None)
        if newest is not None and newest.status in ("queued", "running"):
            if newest.kind == "undeploy":
                return None
            if newest.kind != "scale":
                if newest.status == "queued":
                    return newest
                # Not what is there now: that would take a change back that is just being made.
                release, base = newest.release or release, newest.base
        wanted = Wanted(
            target=desired.target,
            kind="deploy",
            release=release,
            base=base,
            replicas=desired.replicas,
            who=operator.name,
            address=operator.address,
        )
        return await self._store.request(wanted, self._clock())
