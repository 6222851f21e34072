"""The environments that apps are deployed to: what an app is told there, its platform, and the keys it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from havn.contracts.deploy import ApprovalRule, EnvironmentType
from havn.deploy.publishing import Publisher
from havn.kit.problem import Problem


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """One environment, with its own platform and data."""

    name: str
    type: EnvironmentType
    scheme: str
    domain: str
    publisher: Publisher
    settings: Mapping[str, str]
    """What every app there is told, as environment variables."""
    approval: ApprovalRule = "none"
    """`another`: somebody else than who asks for a deployment must approve it."""

    def address(self, org: str, app: str) -> str:
        """Where people reach the app."""
        return f"{self.scheme}://{org}.apps.{self.domain}/{app}"


class Environments(Protocol):
    """Finds environments; asked anew each time, since they may be changed while the control plane runs."""

    async def find(self, name: str) -> Environment:
        """The environment. Raises a 404 `Problem` (`unknown_environment`) that names those there are."""
        ...

    async def all(self) -> list[Environment]:
        """Every environment, in the order they are shown."""
        ...


class FixedEnvironments:
    """See `Environments`: these, and then those of `others`."""

    def __init__(self, *environments: Environment, others: Environments | None = None) -> None:
        self._mine = {each.name: each for each in environments}
        self._others = others

    async def find(self, name: str) -> Environment:
        """See `Environments.find`."""
        found = self._mine.get(name)
        if found is None and self._others is not None:
            found = next((each for each in await self._others.all() if each.name == name), None)
        if found is None:
            raise unknown(name, [each.name for each in await self.all()])
        return found

    async def all(self) -> list[Environment]:
        """See `Environments.all`."""
        rest = await self._others.all() if self._others is not None else []
        return [*self._mine.values(), *(each for each in rest if each.name not in self._mine)]


def unknown(name: str, known: Sequence[str]) -> Problem:
    """The 404 for an environment that there is not."""
    there_is = f"there is {', '.join(known)}" if known else "add one with `havn environment add`"
    return Problem(404, f"There is no environment {name[:60]}: {there_is}.", code="unknown_environment")


class Keyring(Protocol):
    """The keys of orgs and of app deployments; kept encrypted at rest."""

    async def trusted(self, org: str) -> Sequence[str]:
        """Public keys (PEM) with which the org's releases may be signed."""
        ...

    async def access_key(self, environment: str, org: str, app: str, rollout: int) -> str:
        """The private JWK of one rollout of an app, made when it is first asked for."""
        ...

    async def rollouts(self, environment: str, org: str, app: str) -> Sequence[int]:
        """Those of the app that have a key."""
        ...

    async def key_id(self, environment: str, org: str, app: str, rollout: int) -> str | None:
        """The id of the rollout's key; None when it has none."""
        ...

    async def forget(self, environment: str, org: str, app: str, rollout: int) -> None:
        """Throw the rollout's key away, once its public half is withdrawn: nothing else knows the id of that."""
        ...
