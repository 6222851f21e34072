"""The job that looks after a cluster's certificates: it renews what is due, and comes back by itself.

It may be ended between any two steps and begun again: what is to be done is read from the cluster each time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from havn.clusters.kubernetes import KubernetesCluster
from havn.clusters.port import Cluster, ClusterError
from havn.deploy.authority.certificates import Pair
from havn.deploy.authority.keeper import Keeper
from havn.deploy.sealing import SealError
from havn.kit.problem import Problem
from havn.kit.queue import Job

T = TypeVar("T")

_EVERY_SECONDS = 3600.0
_CHANGING_SECONDS = 30.0


class _Which(msgspec.Struct, frozen=True):
    environment: str
    org: str


class ClusterIssuer:
    """See `havn.clusters.kubernetes.leaves.Issuer`: the authority of one cluster."""

    def __init__(self, keeper: Keeper, environment: str, org: str, others: str = "") -> None:
        """`others` are more authorities that pods believe, such as the one of the platform's certificate, PEM."""
        self._keeper = keeper
        self._place = (environment, org)
        self._others = others

    async def bundle(self) -> str:
        """See `Issuer.bundle`."""
        return await _opened(self._keeper.bundle(*self._place)) + self._others.strip()

    async def signer(self) -> str:
        """See `Issuer.signer`."""
        return await _opened(self._keeper.signer(*self._place))

    async def issue(self, names: Sequence[str]) -> Pair:
        """See `Issuer.issue`."""
        return await _opened(self._keeper.issue(*self._place, names))


Find = Callable[[str, str], Awaitable[Cluster | None]]
"""The cluster of an org in an environment; None when there is none any more. Raises `ClusterError`."""


class Tending:
    """Does the jobs `certificates`."""

    def __init__(self, keeper: Keeper, find: Find) -> None:
        self._keeper = keeper
        self._find = find

    async def run(self, job: Job) -> None:
        """Handle a job."""
        which = msgspec.json.decode(job.payload, type=_Which)
        place = (which.environment, which.org)
        try:
            cluster = await self._find(which.org, which.environment)
            if cluster is None:
                await self._keeper.store.forget(*place)
                return
            changing = await self._keeper.advance(*place)
            if isinstance(cluster, KubernetesCluster):
                await cluster.renew_certificates()
        except (ClusterError, SealError) as error:
            # Tried again soon, and again.
            raise Problem(503, str(error)) from error
        await self._keeper.store.request_later(
            *place, _CHANGING_SECONDS if changing else _EVERY_SECONDS, besides=job.id
        )


async def _opened(work: Awaitable[T]) -> T:
    try:
        return await work
    except SealError as error:
        raise ClusterError(str(error)) from error
